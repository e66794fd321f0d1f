"""One request and its reply as ASGI has them, and what every reply carries: the request id, and the time of each stage."""

from __future__ import annotations

import re
from asyncio import timeout
from random import getrandbits
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from service.errors import Overloaded, ServiceError, SlowBody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from starlette.types import Receive, Scope, Send

    from service.api.admission import ByteReservation
    from service.api.lifecycle import Lifecycle
    from service.formats import Piece

REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
"""Ids that are taken over as they come; in place of any other, one is made."""

TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")

FLUSHED_BYTES = 2**16

STAGES = ("decode", "compute", "encode")
"""What an operation consists of, in order."""

TIMINGS = [", ".join(f"{stage};dur=%.3f" for stage in STAGES[:count]).encode() for count in range(len(STAGES) + 1)]
"""Server-Timing after so many stages."""

RawHeader = tuple[bytes, bytes]


EXTENSION = "softmax.connection"
"""Name of the Connection among the extensions of an ASGI scope."""


class Connection(Protocol):
    """Shortcuts that a server may offer beside ASGI, for bodies and replies."""

    def whole(self, receive: Receive) -> bytearray | None:
        """Return the body that `receive` would give, if all of it has arrived; None otherwise."""

    def answer(self, send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], content: Sequence[Piece]) -> bool:
        """Send a whole reply. Return False, and send nothing, where only `send` can do it."""

    def allocate(self, size: int) -> bytearray:
        """Return a buffer whose content is not set."""

    async def receive(self, body: memoryview, count: Callable[[int], None]) -> None:
        """Fill `body` from the connection, and report each part to `count`. Return early if the client leaves."""


class Disconnected(Exception):
    """The client left before its body was read."""


class RequestContext:
    """A request, as yet unread, and the way to answer it.

    headers: by name in lower case, those that came in several lines as one list.
    route: the template of its path.
    lifecycle: says whether the connection is to be closed after the reply.
    gone: has the client left?
    stages: milliseconds of each of STAGES so far, filled in by whoever works on the request; as are operation, rows and
        elements.
    """

    route = ""
    operation = ""
    status = 0
    bytes_in = 0
    bytes_out = 0
    rows: int | None = None
    elements = 0
    gone = False
    _content: bytes | bytearray = b""

    def __init__(self, scope: Scope, receive: Receive, send: Send, lifecycle: Lifecycle) -> None:
        self.started = perf_counter()
        self._scope = scope
        self._receive = receive
        self._send = send
        self._lifecycle = lifecycle
        self._connection: Connection | None = scope.get("extensions", {}).get(EXTENSION)
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        if len(self.headers) < len(scope["headers"]):
            self.headers = _joined(scope["headers"])
        sent = self.headers.get(b"x-request-id", b"")
        self.request_id = sent.decode() if sent and REQUEST_ID.fullmatch(sent) else new_request_id()
        self.method: str = scope["method"]
        self.stages: list[float] = []

    def header(self, name: bytes) -> str | None:
        """The value of a header, None if it is not there."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def query(self) -> str:
        """The query string, still encoded."""
        query: bytes = self._scope["query_string"]
        return query.decode("latin-1")

    @property
    def trace_id(self) -> str | None:
        """The trace that the request is part of, https://www.w3.org/TR/trace-context; None if it does not say."""
        match = TRACEPARENT.fullmatch(self.headers.get(b"traceparent", b""))
        return match[1].decode() if match else None

    def read_at_once(self, reservation: ByteReservation) -> bool:
        """Reads a body of which all has come, for whoever takes it: to set a clock for it takes as long as to decode it.

        False if more is to come, or the server does not know. Raises BodyTooLarge and Overloaded.
        """
        whole = None if self._connection is None else self._connection.whole(self._receive)
        if whole is None:
            return False
        self._content, self.bytes_in = whole, len(whole)
        if self.bytes_in > reservation.small_bytes:
            reservation.add_body(self.bytes_in)
        return True

    async def read(self, reservation: ByteReservation, seconds: float) -> None:
        """Reads the whole body, for whoever takes it.

        Raises BodyTooLarge and Overloaded before a byte is read that would be too many, SlowBody if it takes longer than
        that to arrive, Disconnected if the client leaves.
        """
        # leading zeros: Python reads at most 4300 digits, HTTP any number of them
        length = int(self.headers.get(b"content-length", b"").lstrip(b"0") or 0)
        reservation.check_length(length)
        try:
            async with timeout(seconds):
                await self._read(reservation, length)
        except TimeoutError:
            raise SlowBody(seconds) from None

    async def _read(self, reservation: ByteReservation, length: int) -> None:
        """Reads the body as it comes; length: what was announced, 0 if nothing was."""
        self._content, more = await self._piece()
        if more or self.bytes_in > reservation.small_bytes:
            reservation.add_body(self.bytes_in)
        if not more:
            return
        if self._connection is None or not length:
            await self._read_pieces(reservation)
            return
        try:
            body, start = self._connection.allocate(length), self.bytes_in
        except MemoryError:
            raise Overloaded from None
        body[:start] = self._content
        self._content = body

        def count(size: int) -> None:
            self.bytes_in += size
            try:
                reservation.add_body(size)
            except ServiceError:
                # not only when the refusal is sent: what else came in this turn of the loop would be refused as well
                reservation.release()
                raise

        await self._connection.receive(memoryview(body)[start:], count)
        if self.bytes_in < length:
            raise Disconnected

    async def _read_pieces(self, reservation: ByteReservation) -> None:
        """Reads the rest of a body whose length or whose server is not known."""
        self._content, more = bytearray(self._content), True
        while more:
            piece, more = await self._piece()
            reservation.add_body(len(piece))
            self._content += piece

    def take(self) -> bytes | bytearray:
        """The body, which is forgotten here: so its memory is free as soon as the caller is done with it."""
        content, self._content = self._content, b""
        return content

    async def _piece(self) -> tuple[bytes, bool]:
        """The next piece of the body, and whether more follow."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        piece: bytes = message.get("body", b"")
        self.bytes_in += len(piece)
        return piece, message.get("more_body", False)

    async def disconnected(self) -> None:
        """Returns when the client has left. To be asked only once the body is read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True

    async def reply(
        self, status: int, media_type: str, content: Sequence[Piece], headers: Iterable[RawHeader] = ()
    ) -> None:
        """Sends the reply, its content in order."""
        self.status = status
        self.bytes_out = sum(map(len, content))
        headers = [
            *headers,
            (b"content-type", media_type.encode()),
            (b"content-length", b"%d" % self.bytes_out),
            *self.reply_headers(),
        ]
        is_short = self.bytes_out <= FLUSHED_BYTES
        direct = self._connection if is_short and not self._lifecycle.leaving else None
        if direct is not None and direct.answer(self._send, status, headers, content):
            return
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        if len(content) > 1 and (is_short or self._connection is None):
            # other servers may want bytes, and the reply as one piece
            content = (b"".join(content),)
        if not is_short:
            # the next message waits until the client has taken most of this one: until then it is in flight
            for piece in content:
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            content = (b"",)
        await self._send({"type": "http.response.body", "body": content[0]})

    def reply_headers(self) -> list[RawHeader]:
        """What every reply carries: X-Request-ID, Server-Timing in milliseconds if there are stages."""
        headers = [(b"x-request-id", self.request_id.encode())]
        if self.stages:
            headers.append((b"server-timing", TIMINGS[len(self.stages)] % tuple(self.stages)))
        # as it is now: a client that is not told sends its next request into a connection about to close
        if self._lifecycle.leaving:
            headers.append((b"connection", b"close"))
        return headers


def new_request_id() -> str:
    """An id that no other request has. It is no secret, so it needs no system call."""
    return getrandbits(128).to_bytes(16, "big").hex()


def _joined(headers: Iterable[RawHeader]) -> dict[bytes, bytes]:
    """The headers with the lines of each as one list, RFC 9110, 5.3."""
    joined: dict[bytes, bytes] = {}
    for name, value in headers:
        joined[name] = joined[name] + b", " + value if name in joined else value
    return joined
