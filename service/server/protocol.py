"""uvicorn's HTTP protocol, which in addition waits for no client for ever and reads no endless header."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.api.context import EXTENSION, new_request_id
from service.api.problems import problem_response
from service.errors import MalformedHeader
from service.server.connection import Connection
from service.server.receiver import Receiver
from service.server.transport import HalfClosingTransport

if TYPE_CHECKING:
    import asyncio
    from asyncio import TimerHandle

UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)

MAX_HEADER_BYTES = 2**16
"""Bytes of the longest head of a request: its first line and its headers."""


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection that for `timeout_keep_alive` sends no request, or takes nothing of a reply.

    uvicorn itself does so only between two requests. The time of a body is `service.api.context`'s business.
    """

    transport: HalfClosingTransport  # type: ignore[assignment]
    patience: TimerHandle | None = None
    head_bytes: int | None = None
    """Bytes of a head after the piece that it began in, in which it is negative; None outside of one."""
    piece_bytes = 0
    """Bytes of the latest piece that came."""
    sending = False
    """Is the client in the middle of a request?"""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Waits for the first request."""
        super().connection_made(HalfClosingTransport(transport, self))  # type: ignore[arg-type]  # it does what uvicorn asks of one
        receiver = Receiver(self)
        self.extensions: dict[str, Any] = {EXTENSION: Connection(self, receiver)}
        transport.set_protocol(receiver)
        self.wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing any more, and keeps nothing of a body: what refers to each other is only freed in a while."""
        self._stop_waiting()
        super().connection_lost(exc)
        self.extensions.clear()
        if self.cycle is not None:
            self.cycle.body.clear()

    def data_received(self, data: bytes) -> None:
        """Reads on, and waits for the rest of what does not hold a whole request."""
        if self.transport.half_closed:
            return
        if not self.sending:
            data = _without_upgrade(data)
        self.piece_bytes = len(data)
        super().data_received(data)
        if self.head_bytes is not None:
            self.head_bytes += len(data)
            if self.head_bytes > MAX_HEADER_BYTES:
                self.send_400_response("")
        self._look()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self.scope["extensions"] = self.extensions
        self.sending, self.head_bytes = True, -self.piece_bytes

    def on_headers_complete(self) -> None:
        """It ends. Raises MalformedHeader if it was too long after all."""
        in_pieces, self.head_bytes = (self.head_bytes or 0) >= 0, None
        if (in_pieces or self.piece_bytes > MAX_HEADER_BYTES) and len(self.url) + sum(
            [len(name) + len(value) for name, value in self.headers]
        ) > MAX_HEADER_BYTES:
            raise MalformedHeader(MAX_HEADER_BYTES)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request ends."""
        self.sending = False
        super().on_message_complete()

    def skip(self, came: memoryview, *, whole: bool) -> None:
        """Goes on behind a part of a body that somebody else received: the end of it, or a part within."""
        if whole:
            # the old one waits for a body
            self.parser = httptools.HttpRequestParser(self)
            self.on_message_complete()
        else:
            self.parser.feed_data(came)
            self.cycle.body.clear()

    def pause_writing(self) -> None:
        """Waits for the client to take what it was sent."""
        super().pause_writing()
        self._look()

    def resume_writing(self) -> None:
        """It was taken."""
        super().resume_writing()
        self._look()

    def send_400_response(self, msg: str) -> None:
        """Refuses what is not HTTP, or too much of it, as any other mistake is refused."""
        del msg
        request_id = new_request_id()
        status, headers, body = problem_response(MalformedHeader(MAX_HEADER_BYTES), request_id)
        headers += [
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
        ]
        lines = [b": ".join(header) for header in headers]
        self.transport.write(STATUS_LINE[status] + b"\r\n".join((*lines, b"", body)))
        self.transport.close()

    def _look(self) -> None:
        """Is it the client's turn?"""
        answering = self.cycle is not None and not self.cycle.response_complete
        if self.flow.write_paused or (self.sending and not answering):
            self.wait()
        else:
            self._stop_waiting()

    def wait(self) -> None:
        """Closes the connection unless something comes of it in time."""
        if self.patience is None:
            self.patience = self.loop.call_later(self.timeout_keep_alive, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self.patience is not None:
            self.patience.cancel()
            self.patience = None


def _without_upgrade(data: bytes) -> bytes:
    """The head of a request that asks for no other protocol, which a server may ignore: RFC 9110, 7.8.

    Java's HttpClient asks for HTTP/2 in this way; the parser would take its body for that.
    """
    end = data.find(b"\r\n\r\n")
    if UPGRADE.search(data, 0, end) is None:
        return data
    return UPGRADE.sub(b"\r\nX-Upgrade:", data[:end]) + data[end:]
