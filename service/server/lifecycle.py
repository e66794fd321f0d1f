"""Signals of a process: a signal to leave reaches the server once the accepted requests are answered."""

from __future__ import annotations

import asyncio
import faulthandler
import multiprocessing
import os
import signal
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from service.server.memory import give_back_freed_memory, keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import FrameType

    from service.api.app import Service

HUNG_SECONDS = 30
"""Seconds the event loop of a worker may stand still before the worker ends itself, for the supervisor to replace it."""

WATCH_SECONDS = 1


@asynccontextmanager
async def lifespan(app: Service) -> AsyncIterator[None]:
    """Stands between the signals and the server while the application runs."""
    if threading.current_thread() is not threading.main_thread():
        # another program runs the application, and its signals are not ours
        yield
        return
    lifecycle, settings = app.runtime.lifecycle, app.runtime.settings
    keep_freed_memory()
    app.runtime.admission.on_idle = give_back_freed_memory
    watch = asyncio.create_task(_watch()) if settings.workers > 1 else None
    servers = {sort: signal.getsignal(sort) for sort in (signal.SIGTERM, signal.SIGINT)}
    loop = asyncio.get_running_loop()
    tasks = set[asyncio.Task[None]]()

    async def leave(number: int, frame: FrameType | None) -> None:
        await lifecycle.drain(settings.drain_seconds if number == signal.SIGTERM else 0)
        server = servers[signal.Signals(number)]
        if callable(server):
            server(number, frame)

    def receive(number: int, frame: FrameType | None) -> None:
        if lifecycle.leaving:
            os._exit(128 + number)
        lifecycle.leaving = True
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
