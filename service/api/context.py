"""One request and its response: headers, body, request id, and the time of each stage."""

from __future__ import annotations

import asyncio
import re
from contextlib import contextmanager
from functools import cached_property
from random import getrandbits
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from service.api.problems import problem_response
from service.errors import SlowBody

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence

    from starlette.types import Message, Receive, Scope, Send

    from service.api.admission import ByteReservation, Gathering
    from service.api.lifecycle import Lifecycle
    from service.api.security import Origins, RawHeader
    from service.formats import Piece

REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
"""Request ids that are accepted from a client; any other is replaced."""

TRACEPARENT = re.compile(rb"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")

SHORT_REPLY_BYTES = 2**16
"""Longest response that is written in one step; a longer one waits until the client has read most of it."""

STAGES = ("decode", "compute", "encode")
"""The stages of an operation, in order."""

TIMINGS = [
    ", ".join(f"{name};dur=%.3f" for name in (*STAGES[:count], "total")).encode() for count in range(len(STAGES) + 1)
]
"""The header Server-Timing after so many stages."""

REJECTION = "softmax.rejection"
"""ASGI extension: the error that the application answers a request with, because the server rejects it."""

SERVER = "softmax.server"
"""ASGI extension: a `ServerRequest`."""


class ServerRequest(Protocol):
    """A request as a server with more than ASGI offers it. The server accepts any bytes-like object as a body.

    known: what the application remembers of the head. A further request with the same head has the same dictionary.
    """

    known: dict[Any, Any]

    def take_body(self) -> bytes | bytearray | None:
        """Return the body if it has arrived as a whole; `receive` does not return it again. Return None otherwise."""

    def gather(self) -> Gathering | None:
        """Make `receive` return the whole body at once. Return None, and change nothing, if its length is unknown."""


class Disconnected(Exception):
    """The client left before it had a response."""


class Head(NamedTuple):
    """The meaning of the headers of a request.

    headers: by name in lower case; the values of a repeated header are joined with commas.
    request_id: "" if the client sent none, or one that is not accepted.
    """

    headers: dict[bytes, bytes]
    request_id: str
    content_length: int

    @classmethod
    def of(cls, raw: Sequence[RawHeader]) -> Head:
        """Return the meaning of some headers."""
        headers = dict(raw)
        if len(headers) < len(raw):
            headers = _joined(raw)
        sent = headers.get(b"x-request-id", b"")
        # Python parses at most 4,300 digits, and HTTP allows any number of leading zeros
        length = int(headers.get(b"content-length", b"").lstrip(b"0") or 0)
        return cls(headers, sent.decode() if REQUEST_ID.fullmatch(sent) else "", length)


class RequestContext:
    """A request whose body is not read yet, and the way to answer it.

    headers: as in `Head`. known: see `ServerRequest`.
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

    def __init__(self, scope: Scope, receive: Receive, send: Send, lifecycle: Lifecycle, origins: Origins) -> None:
        self.started = perf_counter()
        self._scope = scope
        self._receive = receive
        self._send = send
        self._lifecycle = lifecycle
        self._origins = origins
        self._server: ServerRequest | None = scope.get("extensions", {}).get(SERVER)
        self.known = {} if self._server is None else self._server.known
        if Head not in self.known:
            self.known[Head] = Head.of(scope["headers"])
        head: Head = self.known[Head]
        self.headers: dict[bytes, bytes] = head.headers
        self.content_length: int = head.content_length
        # a new id is not a secret, so it needs no system call
        self.request_id: str = head.request_id or getrandbits(128).to_bytes(16, "big").hex()
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
        server, is_short = self._server, self.content_length <= reservation.small_bytes
        body = server.take_body() if server is not None and is_short else None
        if body is not None:
            # a timer costs as much as decoding a short body
            self.content, self.bytes_in = body, len(body)
            if self.bytes_in <= reservation.small_bytes:
                return
            await reservation.add_body(self.bytes_in)
        else:
            if not is_short:
                await reservation.reserve_body(self.content_length, factor)
                reservation.gathering = None if server is None else server.gather()
            try:
                async with asyncio.timeout(seconds):
                    await self._read_pieces(reservation)
            except TimeoutError:
                raise SlowBody(seconds) from None
        reservation.end_body()

    async def _read_pieces(self, reservation: ByteReservation) -> None:
        """Read the whole body, piece by piece."""
        message = await self._receive()
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
        headers = [*headers, *self.reply_headers(), (b"content-length", b"%d" % self.bytes_out)]
        is_short = self.bytes_out <= SHORT_REPLY_BYTES
        if is_short or self._server is None:
            content = (b"".join(content),)
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        for piece in content:
            await self._send({"type": "http.response.body", "body": piece, "more_body": not is_short})
        if not is_short:
            # it returns when the client has read most of the response: until then it is in flight
            await self._send({"type": "http.response.body", "body": b""})

    async def refuse(self, error: Exception, invalid_status: int = 422) -> None:
        """Send the problem response to an error; invalid_status stands for 422."""
        problem = problem_response(error, self.request_id, invalid_status)
        await self.reply(problem.status, problem.headers, (problem.body,))

    def reply_headers(self) -> list[RawHeader]:
        """Return the headers of every response: X-Request-ID, Server-Timing in milliseconds, and those of CORS."""
        total = (perf_counter() - self.started) * 1e3
        headers = [
            (b"x-request-id", self.request_id.encode()),
            (b"server-timing", TIMINGS[len(self.stages)] % (*self.stages, total)),
            *self._origins.headers(self.headers.get(b"origin")),
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
