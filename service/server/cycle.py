"""One request and its response, between the connection and the ASGI application."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, NoReturn, Protocol

from service.api.context import REJECTION
from service.errors import Draining
from service.server.body import ChunkedBody, FixedLengthBody
from service.server.memory import unfilled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Message, Scope

    from service.errors import ServiceError
    from service.formats import Piece
    from service.server.head import RequestHead

log = logging.getLogger("service")

NO_ROOM = memoryview(b"")

BODILESS = frozenset({204, 304})

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus}

LINE_FEED, CARRIAGE_RETURN = b"\n\r"


class Connection(Protocol):
    """The connection that a request arrived on."""

    def write(self, *pieces: Piece) -> None:
        """Write to the client."""

    write_paused: bool

    def start_response(self) -> list[tuple[bytes, bytes]]:
        """Start the client's time for a response. Return the header with its date."""

    async def drain(self) -> None:
        """Wait until the client has taken most of what was written."""

    def update(self) -> None:
        """Count what is unread, and start or stop reading."""

    def response_completed(self) -> None:
        """Go on to the next request."""

    def abort(self) -> None:
        """Close the connection without sending the rest."""


class RequestCycle:
    """The `receive` and `send` of a request, and how far both have come. It is a `service.api.context.ServerRequest`.

    body_complete: the whole body has arrived. is_waiting: the application waits for more of it.
    unread_bytes: bytes of the body that have arrived, and that the application does not gather. They count until it asks
    for more or responds, because it may wait for memory with what it was given.
    room: memory that the next bytes of the body are read into, empty unless the application gathers them.
    gathered_bytes: bytes of the body in memory of its length.
    response_complete: the whole response has been sent. keep_alive: the connection stays open after it.
    """

    is_waiting = False
    response_complete = False
    unread_bytes = 0
    room = NO_ROOM
    gathered_bytes = 0
    _memory: bytearray | None = None
    _body: bytes | bytearray = b""
    _body_delivered = False
    _body_error: ServiceError | None = None
    _disconnected = False
    _changed: asyncio.Event | None = None
    _has_content = True
    _response_head = b""
    _response_started = False
    _is_chunked = False
    _missing_bytes: int | None = None

    def __init__(self, connection: Connection, head: RequestHead) -> None:
        self._connection = connection
        self._head = head
        self.known = head.known
        self._framing = ChunkedBody() if head.content_length is None else FixedLengthBody(head.content_length)
        self.body_complete = self._framing.is_complete
        self.keep_alive = head.keep_alive
        self._waits_for_continue = head.expects_continue

    def take_body(self) -> bytes | bytearray | None:
        """Return the body if it has arrived as a whole; `receive` does not return it again. Return None otherwise."""
        if not self.body_complete or self._body_delivered or self._disconnected:
            return None
        self._waits_for_continue = False
        self._body_delivered = True
        body, self._body = self._body, b""
        return body

    def gather(self) -> RequestCycle | None:
        """Read the body into memory of its length, and deliver it in one message.

        Return None, and change nothing, if the length is unknown, the body complete, or the client gone.
        """
        length = self._head.content_length
        if not length or self.body_complete or self._disconnected:
            return None
        self._memory = unfilled(length)
        self.room = memoryview(self._memory)
        arrived = len(self._body)
        self.room[:arrived] = self._body
        self.fill(arrived)
        self._body, self.unread_bytes = b"", 0
        self._connection.update()
        return self

    def fill(self, count: int) -> None:
        """Take note of bytes of the body that were read into `room`."""
        self.gathered_bytes += count
        self.room = self.room[count:]
        self._framing = FixedLengthBody(len(self.room))
        self.body_complete = self._framing.is_complete
        if self.body_complete:
            self.stop_gathering()

    def stop_gathering(self) -> None:
        """Deliver what has arrived of the body; the rest follows in pieces."""
        if self._memory is not None:
            self._body = self._memory if self.body_complete else self._memory[: self.gathered_bytes]
            self._memory, self.room = None, NO_ROOM
            self._wake()

    def add_body(self, data: bytes) -> bytes:
        """Take what `data` has of the body, and return the rest. Raise MalformedHeader for invalid framing."""
        piece, rest = self._framing.split(data)
        if not self.response_complete:
            self._body = self._body + piece if self._body else piece
            self.unread_bytes += len(piece)
        self.body_complete = self._framing.is_complete
        self._wake()
        return rest

    def fail_body(self, error: ServiceError) -> None:
        """Take note that nothing more can be read from the client: if the body is incomplete, `receive` raises `error`."""
        self._body_error = None if self.body_complete else error
        self.keep_alive = False
        self._wake()

    def disconnect(self) -> None:
        """Take note that the client has left."""
        self._disconnected = True
        self._drop_body()
        self._wake()

    def _drop_body(self) -> None:
        self._body, self._memory, self.room, self.unread_bytes = b"", None, NO_ROOM, 0

    def _wake(self) -> None:
        if self.is_waiting and self._changed is not None:
            self.is_waiting = False
            self._changed.set()

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Run the application, and answer for it if it fails."""
        try:
            await app(scope, self.receive, self.send)
        except asyncio.CancelledError:
            # the time for a graceful shutdown is over
            await self._answer_failure(app, scope, Draining())
        except Exception as error:  # noqa: BLE001  the application logs it with its answer
            await self._answer_failure(app, scope, error)
        else:
            if not self.response_complete and not self._disconnected:
                await self._answer_failure(app, scope, RuntimeError("The response is incomplete."))

    async def _answer_failure(self, app: ASGIApp, scope: Scope, error: Exception) -> None:
        if not self._response_started:
            self.keep_alive = False
            await app({**scope, "extensions": {REJECTION: error}}, self.receive, self.send)
        elif not self.response_complete:
            log.error("A response was cut off", exc_info=error)
            self._connection.abort()

    async def receive(self) -> Message:
        """Return the next piece of the body, or http.disconnect once nothing more will come. Raise ServiceError."""
        while (message := self._next_message()) is None:
            if self._changed is None:
                self._changed = asyncio.Event()
            self._changed.clear()
            self.is_waiting = True
            await self._changed.wait()
        return message

    def _next_message(self) -> Message | None:
        """Return what `receive` returns, None if it has to wait. Raise ServiceError."""
        if self._waits_for_continue and not self.body_complete and not self._response_started:
            self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._waits_for_continue = False
        if self._disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        if self._body_error is not None:
            self._raise_body_error(self._body_error)
        body, self._body = self._body, b""
        is_waiting = not body and (self._body_delivered or not self.body_complete)
        self._body_delivered = self.body_complete
        if not is_waiting:
            return {"type": "http.request", "body": body, "more_body": not self.body_complete}
        if not self.body_complete:
            self.unread_bytes = 0
            self._connection.update()
        return None

    def _raise_body_error(self, error: ServiceError) -> NoReturn:
        """Raise the error of the body. Kept here, it would form a reference cycle with its traceback."""
        self._body_error = None
        try:
            raise error
        finally:
            del error

    async def send(self, message: Message) -> None:
        """Send a part of the response: its start, then its body."""
        if self._connection.write_paused:
            await self._connection.drain()
        if self._disconnected:
            return
        kind = message["type"]
        if kind == "http.response.start" and not self._response_started:
            self._start_response(message["status"], [*message.get("headers", ())])
        elif kind == "http.response.body" and self._response_started and not self.response_complete:
            self._send_body(message.get("body", b""), is_last=not message.get("more_body", False))
        else:
            raise RuntimeError(f"ASGI message {kind} is out of order.")

    def _start_response(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Keep the head of the response, to be sent with the first piece of its body."""
        lines = [STATUS_LINES[status], *map(b": ".join, (*headers, *self._connection.start_response()))]
        text = b"".join(lines)
        # checked first: the response to the error starts afresh
        if LINE_FEED in text or CARRIAGE_RETURN in text:
            raise RuntimeError("A header of the response contains a line end.")
        values = dict(headers)
        connection = values.get(b"connection")
        length = values.get(b"content-length")
        if self._waits_for_continue or (connection and b"close" in connection.lower()):
            # a client that was not told to continue may leave its body out
            self.keep_alive = False
        if not self.keep_alive and not connection:
            lines.append(b"connection: close")
        if status in BODILESS or self._head.method == "HEAD":
            self._has_content = False
        elif length is not None:
            self._missing_bytes = int(length)
        elif self._head.http_version != "1.0":
            self._is_chunked = True
            lines.append(b"transfer-encoding: chunked")
        self._response_head = b"\r\n".join((*lines, b"", b""))
        self._response_started = True

    def _send_body(self, body: Piece, *, is_last: bool) -> None:
        head, self._response_head = self._response_head, b""
        if not self._has_content:
            pieces: tuple[Piece, ...] = ()
        elif self._is_chunked:
            pieces = (b"%x\r\n" % len(body), body, b"\r\n") if body else ()
            pieces = (*pieces, b"0\r\n\r\n") if is_last else pieces
        else:
            pieces = (body,)
            if self._missing_bytes is not None:
                self._missing_bytes -= len(body)
                if self._missing_bytes < 0 or (is_last and self._missing_bytes):
                    raise RuntimeError("The length of the response is not its Content-Length.")
        self._connection.write(head, *pieces)
        if is_last:
            self.response_complete = True
            self._drop_body()
            self._wake()
            self._connection.response_completed()
