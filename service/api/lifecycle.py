"""Acceptance of requests, until the process has drained."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from service.errors import Draining

if TYPE_CHECKING:
    from service.settings import Settings

SERVER_SECONDS = 1
"""Seconds the server has to close its connections; part of `graceful_shutdown_seconds`."""

EXIT_SECONDS = 0.5
"""Seconds the process has to end once the server has stopped; part of `graceful_shutdown_seconds`."""

LINGER_SECONDS = 0.5
"""Seconds after the last answer in which new requests are still refused: a client told to reconnect is on its way."""


class Lifecycle:
    """Whether the process is leaving, and what it has still to answer.

    leaving: /readyz says no, and every reply closes its connection; requests are still taken for `drain_seconds`,
    because a balancer needs time to notice. After that they are refused, while those taken are finished.
    taken: requests being answered; told: has any client been told to connect anew?
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.leaving = False
        self.refusing = False
        self.taken = 0
        self.told = False
        self._idle = asyncio.Event()

    def begin(self) -> None:
        """Notes a request that is to be answered, if only with a refusal."""
        self.taken += 1

    def check(self) -> None:
        """Raises Draining if no request is taken any more."""
        if self.refusing:
            raise Draining

    def end(self) -> None:
        """Notes that it is answered."""
        self.taken -= 1
        self.told = self.leaving
        if self.refusing and not self.taken:
            self._idle.set()

    async def drain(self, seconds: float) -> None:
        """Takes requests for that long, and returns when the last is answered or the time to leave has come."""
        self.leaving = True
        await asyncio.sleep(seconds)
        self.refusing = True
        rest = self.settings.graceful_shutdown_seconds - seconds - SERVER_SECONDS - EXIT_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(rest):
                if self.taken:
                    self._idle.clear()
                    await self._idle.wait()
                if self.told:
                    await asyncio.sleep(LINGER_SECONDS)
