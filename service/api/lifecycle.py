"""From the start of a process to its end: a signal to leave is passed on to the server once the work taken is done."""

from __future__ import annotations

import asyncio
import faulthandler
import multiprocessing
import os
import signal
import threading
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from service.allocator import keep_freed_memory
from service.errors import Draining

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import FrameType

    from service.settings import Settings

SERVER_SECONDS = 1
"""What the server is left to close its connections in; part of `graceful_shutdown_seconds`."""

EXIT_SECONDS = 0.5
"""What the process is left to end in once the server has stopped; part of `graceful_shutdown_seconds`."""

LINGER_SECONDS = 0.5
"""How long after the last answer new requests are still refused: its client, told to connect anew, is on its way."""

HUNG_SECONDS = 30
"""How long the event loop of a worker may stand still before the worker ends itself, for the supervisor to replace it."""


WATCH_SECONDS = 1


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

    @asynccontextmanager
    async def lifespan(self, _: Any) -> AsyncIterator[None]:
        """Stands between the signals and the server while the application runs."""
        if threading.current_thread() is not threading.main_thread():
            # another program runs the application, and its signals are not ours
            yield
            return
        keep_freed_memory()
        watch = asyncio.create_task(_watch()) if self.settings.workers > 1 else None
        servers = {sort: signal.getsignal(sort) for sort in (signal.SIGTERM, signal.SIGINT)}
        loop = asyncio.get_running_loop()
        tasks = set[asyncio.Task[None]]()

        async def leave(number: int, frame: FrameType | None) -> None:
            await self.drain(self.settings.drain_seconds if number == signal.SIGTERM else 0)
            server = servers[signal.Signals(number)]
            if callable(server):
                server(number, frame)

        def receive(number: int, frame: FrameType | None) -> None:
            if self.leaving:
                os._exit(128 + number)
            self.leaving = True
            loop.call_soon_threadsafe(lambda: tasks.add(loop.create_task(leave(number, frame))))

        signal.signal(signal.SIGTERM, receive)
        # a terminal interrupts the supervisor too, and that tells its workers
        signal.signal(signal.SIGINT, receive if watch is None else signal.SIG_IGN)
        try:
            yield
        finally:
            for number, server in servers.items():
                signal.signal(number, server)
            if watch is not None:
                watch.cancel()
                faulthandler.cancel_dump_traceback_later()


async def _watch() -> None:
    """Puts off the end of a worker for as long as its event loop turns and its supervisor lives."""
    supervisor = multiprocessing.parent_process()
    while supervisor is None or supervisor.is_alive():
        faulthandler.dump_traceback_later(HUNG_SECONDS, exit=True)
        await asyncio.sleep(WATCH_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
