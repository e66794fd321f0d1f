"""Several workers that accept connections on one socket: one that dies or hangs is replaced."""

from __future__ import annotations

import logging
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

from service.api.observability.metrics import SHARED
from service.server.config import PROGRAM, configuration
from service.server.server import ALL_LEAVE, EXIT_SECONDS, serve

if TYPE_CHECKING:
    from socket import socket

    from service.settings import Settings

log = logging.getLogger("service")

TICK_SECONDS = 0.1

HUNG_SECONDS = 15
"""Seconds without a sign of life after which a worker is replaced."""

_spawn = multiprocessing.get_context("spawn")


class Worker:
    """A process that serves.

    is_ready: it accepts connections. leave_by: when it is killed, unless it has left.
    """

    def __init__(self, settings: Settings, socket: socket) -> None:
        self._pipe, theirs = _spawn.Pipe()
        self.process = _spawn.Process(target=serve, args=(settings, socket, theirs))
        self.process.start()
        theirs.close()
        self._heard_at = time.monotonic()
        self.is_ready = False
        self.leave_by = float("inf")

    def listen(self) -> None:
        """Read its signs of life. Kill it if there were none for too long, or if it has not left in time."""
        with suppress(OSError, EOFError):
            while self._pipe.poll():
                self._pipe.recv_bytes()
                self._heard_at = time.monotonic()
                self.is_ready = True
        if time.monotonic() > min(self.leave_by, self._heard_at + HUNG_SECONDS):
            self.process.kill()

    def leave(self, seconds: float, *, all_leave: bool) -> None:
        """Tell it to leave within that time. all_leave: no other worker stays."""
        self.leave_by = min(self.leave_by, time.monotonic() + seconds)
        if all_leave:
            with suppress(OSError):
                self._pipe.send_bytes(ALL_LEAVE)
        else:
            self.process.terminate()


class Supervisor:
    """Starts workers, and replaces them: SIGHUP replaces all, one after the other; SIGTERM and SIGINT end them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._socket: socket
        self._workers: list[Worker] = []
        self._retired: list[Worker] = []
        self._to_replace: list[Worker] = []
        self._outgoing: Worker | None = None
        self._signals: list[int] = []
        self._is_leaving = False
        self._leave_seconds = settings.graceful_shutdown_seconds - EXIT_SECONDS / 2
        self._exit_code = 0

    def run(self) -> int:
        """Return the exit code when all workers have left."""
        try:
            folder = tempfile.TemporaryDirectory(prefix="softmax-metrics-")
        except OSError:
            sys.exit(
                f"{PROGRAM}: workers: metrics need a folder for temporary files; set TMPDIR to one that is writable"
            )
        self._socket = configuration(self._settings).bind_socket()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda number, _: self._signals.append(number))
        with folder as os.environ[SHARED]:
            self._workers = [self._start() for _ in range(self._settings.workers)]
            while self._all():
                self._tick()
                time.sleep(TICK_SECONDS)
        return self._exit_code

    def _all(self) -> list[Worker]:
        return [*self._workers, *self._retired, *([] if self._outgoing is None else [self._outgoing])]

    def _start(self) -> Worker:
        return Worker(self._settings, self._socket)

    def _tick(self) -> None:
        while self._signals:
            self._obey(self._signals.pop(0))
        for worker in self._all():
            worker.listen()
            if not worker.process.is_alive():
                self._bury(worker)
        if all(worker.is_ready for worker in self._workers) and not self._is_leaving:
            self._go_on_replacing()

    def _obey(self, number: int) -> None:
        """Do what a signal asks for."""
        if number == signal.SIGHUP:
            self._to_replace = list(self._workers)
        elif self._is_leaving:
            for worker in self._all():
                worker.process.kill()
        else:
            self._leave()

    def _leave(self) -> None:
        self._is_leaving = True
        self._socket.close()
        for worker in self._all():
            worker.leave(self._leave_seconds, all_leave=True)

    def _go_on_replacing(self) -> None:
        """Let the worker leave whose replacement is ready, and start the next replacement."""
        if self._outgoing is not None:
            self._outgoing.leave(self._leave_seconds, all_leave=False)
            self._retired.append(self._outgoing)
            self._outgoing = None
        while self._to_replace and self._outgoing is None:
            worker = self._to_replace.pop()
            if worker in self._workers:
                self._workers.remove(worker)
                self._outgoing = worker
                self._workers.append(self._start())

    def _bury(self, worker: Worker) -> None:
        """Forget a worker that has ended, and replace it unless it was to leave."""
        if worker.process.pid is not None:
            mark_process_dead(worker.process.pid)
        if worker in self._retired:
            self._retired.remove(worker)
        elif worker is self._outgoing:
            self._outgoing = None
        else:
            self._workers.remove(worker)
            if not self._is_leaving:
                self._make_up_for(worker)

    def _make_up_for(self, worker: Worker) -> None:
        """Start a worker in place of one that ended; leave if none has ever started."""
        code = worker.process.exitcode
        log.error("Worker %d ended with code %s", worker.process.pid, code)
        if self._outgoing is not None and not worker.is_ready:
            # its replacement failed to start
            self._workers.append(self._outgoing)
            self._outgoing = None
            self._to_replace.clear()
        elif code == STARTUP_FAILURE and not any(other.is_ready for other in self._workers):
            self._exit_code = code
            self._leave()
        else:
            self._workers.append(self._start())
