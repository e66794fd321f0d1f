"""Clients of a server in a thread of this process, which write to its socket what they like."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import uvicorn

from service.server.flow import FlowControl
from service.server.protocol import HttpProtocol
from tests.api.clients import BODY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from service.api.app import Service

CLIENT_TIMEOUT = 0.2
"""Seconds that an impatient server waits for a client, in tests of that."""

HEAD = b"POST /softmax HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)


@contextmanager
def serving(
    app: Service, loop: Literal["uvloop", "asyncio"] = "uvloop", *, client_timeout: float = 10
) -> Iterator[int]:
    """The port of a server in a thread of this process."""
    http: Any = partial(HttpProtocol, flow=FlowControl())
    config = uvicorn.Config(app, port=0, loop=loop, http=http, ws="none", log_config=None)
    config.timeout_keep_alive = client_timeout  # type: ignore[assignment]  # a fraction of a second is enough for tests
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Yield a connection to the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


async def answer(port: int, *pieces: bytes, seconds: float = 10) -> bytes:
    """Return all that a client receives until the server closes the connection."""
    async with connected(port) as (reader, writer), asyncio.timeout(seconds):
        try:
            for piece in pieces:
                if reader.at_eof() or reader.exception():
                    break
                writer.write(piece)
                await asyncio.sleep(0.02)
            return await reader.read()
        except ConnectionError:
            return b""


async def until(holds: Callable[[], bool]) -> None:
    """Waits until something holds, 10 seconds at most."""
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError
