"""The time that a client has to send its next request, and to take a response."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.server.flow import abort, bytes_in_kernel

if TYPE_CHECKING:
    import asyncio

CLOCK_SECONDS = 0.01
"""Shortest time between two checks."""

MIN_BYTES_PER_SECOND = 2**14
"""Lowest average rate at which a client must take a response. A slower one would keep its memory for hours."""


SPARE_SECONDS = 1.0
"""Time that a client may keep from earlier responses. Beyond it, a system call counts the bytes that are still unsent."""


class ClientTimeout:
    """Clock of a connection, which aborts it if the client makes no progress for some seconds while it is the client's turn.

    A client that takes a response slowly has those seconds and, in addition, the time of MIN_BYTES_PER_SECOND.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, seconds: float) -> None:
        self._loop = loop
        self._transport = transport
        self._seconds = seconds
        self._turn_since: float | None = self._loop.time()
        self._unsent_bytes = 0
        self._taken_by = 0.0
        self._timer = self._loop.call_later(seconds, self._check)

    def set_turn(self, *, is_clients: bool) -> None:
        """Start the client's turn, unless it has begun, or end it."""
        if not is_clients:
            self._turn_since = None
        elif self._turn_since is None:
            self._turn_since = self._loop.time()
            self._unsent_bytes = 0

    def start_response(self) -> None:
        """Start the time that the client has for a response, and for what it has not taken of those before."""
        least = self._loop.time() + self._seconds
        if self._taken_by > least + SPARE_SECONDS:
            self._taken_by = least
            self.add(self._count_unsent())
        else:
            self._taken_by = max(self._taken_by, least)

    def add(self, size: int) -> None:
        """Count bytes of the response."""
        self._taken_by += size / MIN_BYTES_PER_SECOND

    def cancel(self) -> None:
        """Stop checking."""
        self._timer.cancel()

    def _check(self) -> None:
        now = self._loop.time()
        since = now if self._turn_since is None else self._turn_since
        unsent_bytes = self._count_unsent()
        if self._turn_since is not None and unsent_bytes and now >= self._taken_by:
            abort(self._transport)
            return
        if now - since >= self._seconds:
            if unsent_bytes in {0, self._unsent_bytes}:
                abort(self._transport)
                return
            self._unsent_bytes = unsent_bytes
            since = self._turn_since = now
        # a timer may be early by the resolution of the clock
        self._timer = self._loop.call_later(max(since + self._seconds - now, CLOCK_SECONDS), self._check)

    def _count_unsent(self) -> int:
        return self._transport.get_write_buffer_size() + bytes_in_kernel(self._transport)
