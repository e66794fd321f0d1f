"""From the socket into memory: what is short for the server to take apart, the rest of a long body straight into its place."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from service.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.server.protocol import BoundedProtocol

PIECE_BYTES = 2**18
"""The most that is taken apart at once; what a body has behind that goes into its place."""

NOWHERE = memoryview(b"")


class Room(threading.local):
    """Memory of a thread for the next piece, which is copied before another comes."""

    def __init__(self) -> None:
        self.piece = memoryview(bytearray(PIECE_BYTES))


ROOM = Room()


class Receiver(asyncio.BufferedProtocol):
    """What the transport of a connection speaks to, in place of the server's protocol.

    The system copies each byte of a long body to its place, and nobody else does. The server copies each piece four times, and
    stops reading until it is asked for: to take and send back 20 MB is 24 ms of work in that way, and 13 in this.
    """

    def __init__(self, server: BoundedProtocol) -> None:
        self._server = server
        self._piece = ROOM.piece
        self._body = self._missing = NOWHERE
        self._count: Callable[[int], None]
        self._ended: asyncio.Future[None]
        self._refusal: ServiceError | None = None

    async def receive(self, body: memoryview, count: Callable[[int], None]) -> None:
        """Fills body, the memory for what is missing of the body of a request. Returns early if the client leaves.

        count: told how many bytes came, each time. Raises the ServiceError that it raises; the server reads the rest.
        """
        self._body = self._missing = body
        self._count = count
        self._ended = self._server.loop.create_future()
        self._server.flow.resume_reading()
        try:
            await self._ended
        finally:
            self._end()
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            try:
                raise refusal
            finally:
                # what holds a refusal and is held by its frames would keep them all, and the body with them
                del refusal

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        del sizehint
        return self._missing or self._piece

    def buffer_updated(self, nbytes: int) -> None:
        """They came."""
        if not self._missing:
            self._server.data_received(bytes(self._piece[:nbytes]))
            return
        self._missing = self._missing[nbytes:]
        try:
            self._count(nbytes)
        except ServiceError as error:
            self._end()
            self._refusal = error
            self._ended.set_result(None)
        else:
            if not self._missing:
                self._end()
                self._ended.set_result(None)

    def _end(self) -> None:
        """Tells the server how much of the body came, unless it knows."""
        body, missing = self._body, self._missing
        self._body = self._missing = NOWHERE
        if body:
            self._server.skip(body[: len(body) - len(missing)], whole=not missing)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left."""
        self._server.connection_lost(exc)
        if self._body:
            self._body = self._missing = NOWHERE
            self._ended.set_result(None)

    def eof_received(self) -> None:
        """The client sends nothing more, so it is not answered either."""
        self._server.eof_received()

    def pause_writing(self) -> None:
        """The client is slow to take what it was sent."""
        self._server.pause_writing()

    def resume_writing(self) -> None:
        """It took it."""
        self._server.resume_writing()
