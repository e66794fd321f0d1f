"""What an application may ask of the connection that a request came on, beside what ASGI has; on this server alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service.server.memory import unfilled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.types import Receive, Send

    from service.formats import Piece
    from service.server.protocol import BoundedProtocol
    from service.server.receiver import Receiver


class Connection:
    """The ways past ASGI: of a long body into its place, and of what is short in and out in one step.

    The server hands over body and reply by coroutines, and looks at each character of each header: for a reply to 10 logits that
    takes 4 us of 58. Its cycle is that of the latest request on the connection; who asks shows by `receive` or `send` whose that is.
    """

    def __init__(self, server: BoundedProtocol, receiver: Receiver) -> None:
        self._server = server
        self.receive = receiver.receive

    def allocate(self, size: int) -> bytearray:
        """Return a buffer whose content is not set."""
        return unfilled(size)

    def whole(self, receive: Receive) -> bytearray | None:
        """The body that receive would give, once, if all of it has come. None, too, if receive is not the server's own."""
        cycle = self._server.cycle
        if receive != cycle.receive or cycle.more_body or cycle.disconnected:
            return None
        self._server.flow.resume_reading()
        body, cycle.body = cycle.body, bytearray()
        return body

    def answer(self, send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], content: Sequence[Piece]) -> bool:
        """Does what send would do with a whole reply. False if it did not: send is not the server's own, or does more than write.

        headers: well-formed; with the length of the content, and nothing about the connection, which is kept.
        """
        server, cycle = self._server, self._server.cycle
        if send != cycle.send or cycle.disconnected or server.flow.write_paused:
            return False
        if not cycle.keep_alive or cycle.scope["method"] == "HEAD":
            return False
        lines = (*map(b": ".join, cycle.default_headers), *map(b": ".join, headers), b"\r\n")
        cycle.response_started, cycle.waiting_for_100_continue = True, False
        server.transport.write(STATUS_LINE[status] + b"\r\n".join(lines))
        for piece in content:
            server.transport.write(piece)
        cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()
        return True
