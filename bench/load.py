"""Load: connections that each send the next request when the last one is answered.

Requests are bytes made beforehand. Only the length of a reply is read. Time and count of the requests are bounded.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter, process_time
from typing import TYPE_CHECKING, cast

import uvloop

if TYPE_CHECKING:
    from bench.payloads import Message

HOST = "127.0.0.1"

MOST_REQUESTS = 200_000
"""Largest number of requests in a window."""

GRACE_SECONDS = 60.0
"""Seconds to wait for the last replies after the end of a window."""

GOOD_HEAD = re.compile(rb"HTTP/1\.1 200 .*\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE | re.DOTALL)


class LoadError(Exception):
    """The server did not answer 200, or closed the connection."""


@dataclass
class Window:
    """Result of a window.

    seconds: from the first request to the last reply. busy: share of that time in which the load generator computed.
    """

    latencies: list[float] = field(default_factory=list)
    reply_bytes: int = 0
    seconds: float = 0.0
    busy: float = 0.0


def request(port: int, path: str, message: Message) -> bytes:
    """Return the bytes of a POST request."""
    headers = {"Host": f"{HOST}:{port}", **message.headers, "Content-Length": str(len(message.body))}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + message.body


def drive(port: int, sent: bytes, connections: int, seconds: float) -> Window:
    """Send the same request for some seconds, and wait for the last replies. Raises LoadError, TimeoutError."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_drive(port, sent, connections, seconds))


async def _drive(port: int, sent: bytes, connections: int, seconds: float) -> Window:
    loop, window = asyncio.get_running_loop(), Window()
    start, computed = perf_counter(), process_time()
    ends = [loop.create_future() for _ in range(connections)]
    async with asyncio.timeout(seconds + GRACE_SECONDS):
        for end in ends:
            await loop.create_connection(partial(_Client, sent, window, start + seconds, end), HOST, port)
        await asyncio.gather(*ends)
    window.seconds = perf_counter() - start
    window.busy = (process_time() - computed) / window.seconds
    return window


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, request: bytes, window: Window, deadline: float, done: asyncio.Future[None]) -> None:
        self.request, self.window, self.deadline, self.done = request, window, deadline, done
        self.head, self.missing, self.sent = b"", 0, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.WriteTransport", transport)
        self.send()

    def send(self) -> None:
        """Send the next request."""
        self.sent = perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        if not self.missing:
            self.head, end, data = (self.head + data).partition(b"\r\n\r\n")
            if not end:
                return
            found = GOOD_HEAD.match(self.head + end)
            if not found:
                self.fail(f"cannot use the answer {self.head.splitlines()[0]!r}")
                return
            self.window.reply_bytes = self.missing = int(found[1])
            self.head = b""
        self.missing -= len(data)
        if not self.missing:
            self.answered()

    def answered(self) -> None:
        """Record the latency of a reply, and send the next request until the window ends."""
        now, latencies = perf_counter(), self.window.latencies
        latencies.append(now - self.sent)
        if now < self.deadline and len(latencies) < MOST_REQUESTS:
            self.send()
        else:
            self.done.set_result(None)
            self.transport.close()

    def fail(self, reason: str) -> None:
        """End the window with an error."""
        self.done.set_exception(LoadError(reason))
        self.transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.done.done():
            self.fail("the server closed the connection")
