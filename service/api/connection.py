"""What an application may ask of the connection that a request came on, beside what ASGI has; on this server alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.types import Receive, Send

    from service.api.protocol import BoundedProtocol
    from service.api.receiver import Receiver
    from service.codecs import Piece

EXTENSION = "softmax.connection"
"""The name of the Connection among the extensions of an ASGI scope."""


class Connection:
    """The ways past ASGI: for bodies too long to be copied, and for requests too short to be taken and answered in parts.

    The server looks at each character of each header of a reply, and hands over body and reply by coroutines: 8 us of the 62 of
    10 logits.
    """

    def __init__(self, server: BoundedProtocol, receiver: Receiver) -> None:
        self._server = server
        self.receive = receiver.receive

    def whole(self, receive: Receive) -> bytearray | None:
        """The body that receive would give, once, if all of it has come. None, too, if receive is not the server's own."""
        cycle = self._server.cycle
        if receive != cycle.receive or cycle.more_body or cycle.disconnected:
            return None
        self._server.flow.resume_reading()
        body, cycle.body = cycle.body, bytearray()
        return body

    def answer(self, send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], content: Sequence[Piece]) -> bool:
        """Does what send does with a whole reply. False if it does not: it would wait, or send is not the server's own.

        headers: well-formed; with the length of the content, and nothing about the connection, which is kept.
        """
        server, cycle = self._server, self._server.cycle
        if (
            send != cycle.send
            or cycle.more_body
            or cycle.disconnected
            or not cycle.keep_alive
            or server.flow.write_paused
        ):
            return False
        if cycle.scope["method"] == "HEAD":
            return False
        lines = (*map(b": ".join, cycle.default_headers), *map(b": ".join, headers), b"\r\n")
        cycle.response_started = True
        server.transport.write(STATUS_LINE[status] + b"\r\n".join(lines))
        for piece in content:
            server.transport.write(piece)
        cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()
        return True
