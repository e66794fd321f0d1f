"""One request and its response: headers, body, request id, and the time of each stage."""

from __future__ import annotations

import asyncio
import re
from contextlib import contextmanager
from functools import cached_property
from random import getrandbits
from time import perf_counter
from typing import TYPE_CHECKING

from service.api.problems import problem_response
from service.errors import SlowBody
from service.formats.compression import inflated_size

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence

    from starlette.types import Message, Receive, Scope, Send

    from service.api.admission import ByteReservation
    from service.api.lifecycle import Lifecycle
    from service.formats import Piece

REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
"""Request ids that are accepted from a client; any other is replaced."""

TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")

SHORT_REPLY_BYTES = 2**16
"""Longest response that is written in one step; a longer one waits until the client has read most of it."""

STAGES = ("decode", "compute", "encode")
"""The stages of an operation, in order."""

TIMINGS = [
    ", ".join(f"{name};dur=%.3f" for name in (*STAGES[:count], "total")).encode() for count in range(len(STAGES) + 1)
]
"""The header Server-Timing after so many stages."""

RawHeader = tuple[bytes, bytes]

REJECTION = "softmax.rejection"
"""ASGI extension: the error that the application answers a request with, because the server rejects it."""

RECEIVE_NOWAIT = "softmax.receive_nowait"
"""ASGI extension: a function that returns the next message of `receive`, None if `receive` would wait for it."""

GATHER = "softmax.gather"
"""ASGI extension: a function that makes `receive` return the whole body at once; it returns a Gathering, or None."""

PIECES = "softmax.pieces"
"""ASGI extension: the server accepts any bytes-like object as a body, not only bytes."""


class Disconnected(Exception):
    """The client left before it had a response."""


class RequestContext:
    """A request whose body is not read yet, and the way to answer it.

    headers: by name in lower case; the values of a repeated header are joined with commas.
    content: the body, once it has been read.
    route, operation, key_id, rows, elements, stages: set by the endpoint, for metrics and the log.
    stages: milliseconds of each of STAGES so far.
    gone: whether the client has left.
    """

    route = ""
    operation = ""
    key_id: str | None = None
    status = 0
    bytes_in = 0
    bytes_out = 0
    rows: int | None = None
    elements = 0
    gone = False
    content: bytes | bytearray = b""

    def __init__(self, scope: Scope, receive: Receive, send: Send, lifecycle: Lifecycle) -> None:
        self.started = perf_counter()
        self._scope = scope
        self._receive = receive
        self._send = send
        self._lifecycle = lifecycle
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        if len(self.headers) < len(scope["headers"]):
            self.headers = _joined(scope["headers"])
        sent = self.headers.get(b"x-request-id", b"")
        # a new id is not a secret, so it needs no system call
        self.request_id = sent.decode() if sent and REQUEST_ID.fullmatch(sent) else f"{getrandbits(128):032x}"
        self.method: str = scope["method"]
        self.http_version: str = scope.get("http_version", "1.1")
        self.stages: list[float] = []

    def header(self, name: bytes) -> str | None:
        """Return the value of a header, None if it is missing."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def query(self) -> str:
        """The query string, still encoded."""
        query: bytes = self._scope["query_string"]
        return query.decode("latin-1")

    @property
    def peer(self) -> str | None:
        """The address that connected, None for a Unix socket."""
        client = self._scope.get("client")
        return client[0] if client else None

    @cached_property
    def trace_id(self) -> str | None:
        """The trace id that the client sent (https://www.w3.org/TR/trace-context), None without one."""
        match = TRACEPARENT.fullmatch(self.headers.get(b"traceparent", b""))
        return match[1].decode() if match else None

    async def read(self, reservation: ByteReservation, seconds: float, factor: int = 1) -> None:
        """Read the whole body. A body that has to wait for memory stays unread, which holds the client back.

        factor: memory that the request takes in all, in units of the body.

        Raise BodyTooLarge and Overloaded before reading a byte too many, SlowBody if the body takes longer than
        `seconds`, Disconnected if the client leaves.
        """
        extensions = self._scope.get("extensions", {})
        # Python parses at most 4,300 digits, and HTTP allows any number of leading zeros
        length = int(self.headers.get(b"content-length", b"").lstrip(b"0") or 0)
        if length > reservation.small_bytes:
            await reservation.reserve_body(length, factor)
            if GATHER in extensions:
                reservation.gathering = extensions[GATHER]()
        receive_nowait = extensions.get(RECEIVE_NOWAIT)
        message = receive_nowait() if receive_nowait else None
        if message is not None and not message.get("more_body"):
            # a timer costs as much as decoding a short body
            await self._read_pieces(message, reservation)
        else:
            try:
                async with asyncio.timeout(seconds):
                    await self._read_pieces(message or await self._receive(), reservation)
            except TimeoutError:
                raise SlowBody(seconds) from None
        reservation.end_body()

    async def _read_pieces(self, message: Message, reservation: ByteReservation) -> None:
        """Read the whole body, of which `message` is the first piece."""
        self.content = self._piece(message)
        more = message.get("more_body", False)
        if more or self.bytes_in > reservation.small_bytes:
            await reservation.add_body(self.bytes_in)
        if not more:
            return
        # joined pieces would leave holes in memory, too short for the outputs
        body = bytearray(self.content)
        while message.get("more_body"):
            message = await self._receive()
            piece = self._piece(message)
            await reservation.add_body(len(piece))
            body += piece
        self.content = body

    def _piece(self, message: Message) -> bytes:
        """Return the piece of the body in a message. Raise Disconnected."""
        if message["type"] == "http.disconnect":
            raise Disconnected
        piece: bytes = message.get("body", b"")
        self.bytes_in += len(piece)
        return piece

    def inflated_size(self, encoding: str) -> int:
        """Return the size of the body after decompression, or a bound on it."""
        return inflated_size(self.content, encoding)

    @contextmanager
    def watched(self, leave: Callable[[], object]) -> Iterator[None]:
        """Call `leave` if the client leaves within the block. The body must have been read."""
        watching = asyncio.create_task(self._disconnected())
        watching.add_done_callback(lambda _: self.gone and leave())
        try:
            yield
        finally:
            watching.cancel()

    async def _disconnected(self) -> None:
        while not self.gone:
            self.gone = (await self._receive())["type"] == "http.disconnect"

    async def wait(self, waiting: Coroutine[None, None, None]) -> None:
        """Wait, after the body has been read. Raise Disconnected if the client leaves meanwhile."""
        task = asyncio.create_task(waiting)
        with self.watched(task.cancel):
            try:
                await task
            except asyncio.CancelledError:
                if self.gone:
                    raise Disconnected from None
                raise

    async def reply(self, status: int, headers: Iterable[RawHeader], content: Sequence[Piece]) -> None:
        """Send a response with these headers, and those of every response. Its content is sent in order."""
        self.status = status
        self.bytes_out = sum(map(len, content))
        headers = [*headers, (b"content-length", b"%d" % self.bytes_out), *self.reply_headers()]
        if self.bytes_out > SHORT_REPLY_BYTES:
            await self._send_long(status, headers, content)
        else:
            await self._send({"type": "http.response.start", "status": status, "headers": headers})
            await self._send({"type": "http.response.body", "body": b"".join(content)})

    async def refuse(self, error: Exception, invalid_status: int = 422) -> None:
        """Send the problem response to an error; invalid_status stands for 422."""
        problem = problem_response(error, self.request_id, invalid_status)
        await self.reply(problem.status, problem.headers, (problem.body,))

    async def _send_long(self, status: int, headers: Iterable[RawHeader], content: Sequence[Piece]) -> None:
        """Send a long response, and return when the client has read most of it: until then it is in flight."""
        if PIECES not in self._scope.get("extensions", ()):
            content = (b"".join(content),)
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        for piece in content:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    def reply_headers(self) -> list[RawHeader]:
        """Return the headers of every response: X-Request-ID, and Server-Timing in milliseconds."""
        total = (perf_counter() - self.started) * 1e3
        headers = [
            (b"x-request-id", self.request_id.encode()),
            (b"server-timing", TIMINGS[len(self.stages)] % (*self.stages, total)),
        ]
        # read now: without the header a client sends its next request into a connection that is about to close
        if self._lifecycle.leaving:
            headers.append((b"connection", b"close"))
        return headers


def _joined(headers: Iterable[RawHeader]) -> dict[bytes, bytes]:
    """Return the headers by name, with the values of a repeated one as one list (RFC 9110, 5.3)."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(value)
    return {name: b", ".join(each) for name, each in values.items()}
