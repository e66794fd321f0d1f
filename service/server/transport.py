"""What the server's protocol writes to: a connection that sends little at a time together, and does not close on who is sending."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from service.formats import Piece
    from service.server.protocol import BoundedProtocol

CORKED_BYTES = 2**16
"""The most that is kept until the end of a turn of the event loop."""


class Corked:
    """A transport that sends what is written to it in one turn of the event loop at the end of that turn, together.

    The server writes the head of a reply and then its body, with a system call for each, as soon as it has them. To send
    both at once, after all requests of the turn are worked on, takes 67 us of a request of 10 logits where that took 78:
    the client, too, is woken once rather than twice, and for all of its replies.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._kept: list[Piece] = []
        self._kept_bytes = 0

    def __getattr__(self, name: str) -> Any:
        """Whatever else a transport does."""
        return getattr(self._transport, name)

    def write(self, data: Piece) -> None:
        """Sends data, soon."""
        self._kept.append(data)
        self._kept_bytes += len(data)
        if self._kept_bytes > CORKED_BYTES:
            self.uncork()
        elif len(self._kept) == 1:
            self._loop.call_soon(self.uncork)

    def uncork(self) -> None:
        """Sends what is kept, unless nobody is there any more."""
        kept, self._kept, self._kept_bytes = self._kept, [], 0
        if kept and not self._transport.is_closing():
            self._transport.writelines(kept)

    def write_eof(self) -> None:
        """Ends this side of the connection, after what was written."""
        self.uncork()
        self._transport.write_eof()

    def close(self) -> None:
        """Ends the connection, after what was written."""
        self.uncork()
        self._transport.close()


class HalfClosingTransport(Corked):
    """A transport that does not close on a client which is still sending.

    That would reset the connection, and the client would lose a reply that it has not read. So this side alone ends at
    once; what else comes is thrown away until the client ends too, or the patience with it does.
    """

    def __init__(self, transport: asyncio.Transport, protocol: BoundedProtocol) -> None:
        super().__init__(transport, protocol.loop)
        self._protocol = protocol
        self.half_closed = False

    def is_closing(self) -> bool:
        """Is nothing more to be written?"""
        return self.half_closed or self._transport.is_closing()

    def close(self) -> None:
        """Closes, once nobody is sending."""
        if self.is_closing() or not self._protocol.sending or not self._transport.can_write_eof():
            super().close()
            return
        self.half_closed = True
        self.write_eof()
        self._transport.resume_reading()
        self._protocol.wait()
