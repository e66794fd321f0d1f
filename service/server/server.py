"""One server process: it serves until a signal, drains, and ends in time."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from service.api.app import create_app
from service.formats.codecs import active_codecs
from service.server.config import CLOSE_SECONDS, configuration
from service.server.memory import give_back_freed_memory, keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from socket import socket
    from types import FrameType

    from service.api.runtime import Runtime
    from service.settings import Settings

log = logging.getLogger("service")

LINGER_SECONDS = 0.5
"""Seconds after the last response in which requests are still answered: some are on their way."""

EXIT_SECONDS = 0.5
"""Seconds that the process has to end once the server has stopped; part of `graceful_shutdown_seconds`."""

SUPERVISOR_SECONDS = 0.5
"""Seconds that a worker leaves earlier, so that its supervisor need not kill it."""

ALL_LEAVE = b"leave"
"""Message from the supervisor to a worker: all workers are leaving."""

HEARTBEAT = b"alive"
"""Message from a worker to its supervisor, once a second."""

TICKS_PER_SECOND = 10


class Server(uvicorn.Server):
    """uvicorn's server, which drains before it shuts down.

    supervisor: the pipe to the supervisor, if this process is one of several workers.
    """

    def __init__(self, config: uvicorn.Config, runtime: Runtime, supervisor: Connection | None = None) -> None:
        super().__init__(config)
        self._lifecycle = runtime.lifecycle
        self._settings = runtime.settings
        self._supervisor = supervisor
        self._others_stay = supervisor is not None
        self._refuse_at = self._busy_at = self._close_at = float("inf")
        self._was_cut_off = False

    def run(self, sockets: list[socket] | None = None) -> None:
        """Serve until the process is to leave."""
        super().run(sockets)
        if self._was_cut_off:
            # the interpreter would wait for threads that are still at work
            logging.shutdown()
            os._exit(0)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave at SIGTERM, SIGINT and SIGHUP. A worker leaves the signals of the terminal to its supervisor."""
        with super().capture_signals():
            if self._supervisor is not None:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
            elif signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
                signal.signal(signal.SIGHUP, self.handle_exit)
            yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to leave; at a second signal end at once."""
        del frame
        if self._lifecycle.leaving:
            os._exit(128 + sig)
        self._leave(0 if sig == signal.SIGINT else self._settings.drain_seconds)

    def _leave(self, drain_seconds: float) -> None:
        now = time.monotonic()
        self._lifecycle.leaving = True
        self._refuse_at = self._busy_at = now + drain_seconds
        self._close_at = now + self._settings.graceful_shutdown_seconds - CLOSE_SECONDS - EXIT_SECONDS
        if self._supervisor is not None:
            self._close_at -= SUPERVISOR_SECONDS

    async def on_tick(self, counter: int) -> bool:
        """Return whether the process has drained, ten times a second."""
        await super().on_tick(counter)
        if self._supervisor is not None:
            self._talk_to_supervisor(self._supervisor, counter)
        now = time.monotonic()
        if now < self._refuse_at:
            return False
        if self._others_stay:
            # the other workers accept connections from now on; those accepted here are served to their end
            for server in self.servers:
                server.close()
        else:
            self._lifecycle.refusing = True
        if self._lifecycle.taken:
            self._busy_at = now
        is_expected = self._lifecycle.told or self._others_stay
        is_drained = not self._lifecycle.taken and now >= self._busy_at + LINGER_SECONDS * is_expected
        return is_drained or now >= self._close_at

    def _talk_to_supervisor(self, supervisor: Connection, counter: int) -> None:
        """Send a heartbeat; leave if the supervisor says so, or has died."""
        try:
            if counter % TICKS_PER_SECOND == 0:
                supervisor.send_bytes(HEARTBEAT)
            if supervisor.poll() and supervisor.recv_bytes() == ALL_LEAVE:
                self._others_stay = False
                self._leave_once()
        except (OSError, EOFError):
            self._leave_once()

    def _leave_once(self) -> None:
        if not self._lifecycle.leaving:
            self._leave(self._settings.drain_seconds)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Close all connections. At the limit, requests in progress are cancelled, and answered 503."""
        start = time.monotonic()
        await super().shutdown(sockets)
        self._was_cut_off = time.monotonic() - start >= CLOSE_SECONDS
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=EXIT_SECONDS / 2)


def serve(settings: Settings, socket: socket | None = None, supervisor: Connection | None = None) -> None:
    """Serve until the process is to leave; with `socket` and `supervisor` as one of several workers."""
    keep_freed_memory()
    app = create_app(settings)
    app.runtime.admission.on_idle = give_back_freed_memory
    server = Server(configuration(settings, app), app.runtime, supervisor)
    codecs = active_codecs()
    log.info("JSON is read by %s and written by %s", codecs["reader"], codecs["writer"])
    server.run(None if socket is None else [socket])
    if not server.started:
        raise SystemExit(STARTUP_FAILURE)
