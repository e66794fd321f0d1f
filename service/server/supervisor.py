"""Several workers that accept connections on one socket: one that dies or hangs is replaced."""

from __future__ import annotations

import logging
import logging.config
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from prometheus_client.multiprocess import mark_process_dead
from uvicorn.config import STARTUP_FAILURE

from service.api.observability import logs
from service.api.observability.metrics import SHARED, share_as
from service.schemas.service import NAME
from service.server.files import WatchedFiles, read_again
from service.server.server import ALL_LEAVE, EXIT_SECONDS, HANGUP, READ_AGAIN, has_terminal, serve

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from service.server.listen import Listeners
    from service.settings import Settings

log = logging.getLogger("service")

TICK_SECONDS = 0.1

WATCH_SECONDS = 1
"""Seconds between two looks at the files of certificates and keys."""

START_SECONDS = 60
"""Seconds within which a new worker gives its first sign of life: on a busy machine the imports alone take 15."""

HUNG_SECONDS = 15
"""Seconds without a sign of life after which a started worker is replaced."""

_spawn = multiprocessing.get_context("spawn")


class Worker:
    """A process that serves.

    number: from 0; a worker has the number of the one that it replaces.
    is_ready: it accepts connections. leave_by: when it is killed, unless it has left.
    """

    def __init__(self, number: int, settings: Settings, listeners: Listeners) -> None:
        self.number = number
        self._pipe, theirs = _spawn.Pipe()
        self.process = _spawn.Process(target=_work, args=(number, settings, listeners, theirs))
        self.process.start()
        theirs.close()
        self._hung_at = time.monotonic() + START_SECONDS
        self.is_ready = False
        self.leave_by = float("inf")

    def listen(self) -> None:
        """Read its signs of life. Kill it if there were none for too long, or if it has not left in time."""
        with suppress(OSError, EOFError):
            while self._pipe.poll():
                self._pipe.recv_bytes()
                self._hung_at = time.monotonic() + HUNG_SECONDS
                self.is_ready = True
        if time.monotonic() > min(self.leave_by, self._hung_at):
            self.process.kill()

    def leave(self, seconds: float) -> None:
        """Tell it to leave within that time, as all others do."""
        self.leave_by = time.monotonic() + seconds
        self.send(ALL_LEAVE)

    def send(self, message: bytes) -> None:
        """Send it a message, unless it has ended."""
        with suppress(OSError):
            self._pipe.send_bytes(message)


def _work(number: int, settings: Settings, listeners: Listeners, supervisor: Connection) -> None:
    """Serve as a worker."""
    share_as(number)
    serve(settings, listeners, supervisor)


class Supervisor:
    """Starts workers, and replaces those that die or hang. Passes on SIGHUP, SIGTERM and SIGINT."""

    def __init__(self, settings: Settings, listeners: Listeners) -> None:
        self._settings = settings
        self._listeners = listeners
        self._workers: list[Worker] = []
        self._signals: list[int] = []
        self._is_leaving = False
        self._leave_seconds = settings.graceful_shutdown_seconds - EXIT_SECONDS / 2
        self._exit_code = 0
        self._files = WatchedFiles(settings)
        self._watch_at = 0.0
        self._has_terminal = has_terminal()

    def run(self) -> int:
        """Return the exit code when all workers have left."""
        try:
            folder = tempfile.TemporaryDirectory(prefix="softmax-metrics-")
        except OSError:
            sys.exit(f"{NAME}: workers: metrics need a folder for temporary files; set TMPDIR to one that is writable")
        logging.config.dictConfig(logs.configuration(self._settings))
        self._listeners.log(self._settings)
        for number in (signal.SIGTERM, signal.SIGINT, *HANGUP):
            signal.signal(number, lambda number, _: self._signals.append(number))
        with folder as os.environ[SHARED]:
            self._workers = [self._start(number) for number in range(self._settings.workers)]
            while self._workers:
                self._tick()
                time.sleep(TICK_SECONDS)
        return self._exit_code

    def _start(self, number: int) -> Worker:
        return Worker(number, self._settings, self._listeners)

    def _tick(self) -> None:
        while self._signals:
            self._obey(self._signals.pop(0))
        if time.monotonic() >= self._watch_at:
            self._watch_at = time.monotonic() + WATCH_SECONDS
            if self._files.have_changed():
                self._read_again()
        for worker in list(self._workers):
            worker.listen()
            if not worker.process.is_alive():
                self._bury(worker)

    def _obey(self, number: int) -> None:
        """Handle a signal. SIGHUP means to leave once the terminal has closed."""
        if number in HANGUP and not (self._has_terminal and not has_terminal()):
            self._read_again()
        elif self._is_leaving:
            for worker in self._workers:
                worker.process.kill()
        else:
            self._leave()

    def _read_again(self) -> None:
        """Let all workers read the files of certificates and keys again, unless one of them is bad."""
        if read_again(self._settings) is not None:
            for worker in self._workers:
                worker.send(READ_AGAIN)

    def _leave(self) -> None:
        self._is_leaving = True
        for each in self._listeners.all:
            each.close()
        for worker in self._workers:
            worker.leave(self._leave_seconds)

    def _bury(self, worker: Worker) -> None:
        """Forget a worker that has ended, and start another in its place. Leave if none has ever started."""
        code, pid = worker.process.exitcode, worker.process.pid
        mark_process_dead(worker.number)
        self._workers.remove(worker)
        if self._is_leaving:
            return
        log.error("Worker %d ended with code %s", pid, code)
        if code == STARTUP_FAILURE and not any(other.is_ready for other in self._workers):
            self._exit_code = code
            self._leave()
        else:
            self._workers.append(self._start(worker.number))
