"""One server process: it serves until a signal, drains, and ends in time."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from contextlib import contextmanager, suppress
from copy import copy
from functools import partial
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from service.api.app import create_app, create_metrics_app
from service.api.observability import logs
from service.api.observability.tracing import describe_process
from service.formats.codecs import active_codecs
from service.schemas.service import NAME
from service.server.files import WatchedFiles, read_again, read_secrets, read_until_whole
from service.server.flow import FlowControl
from service.server.listen import BACKLOG
from service.server.memory import give_back_freed_memory, keep_freed_memory
from service.server.protocol import HttpProtocol

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from socket import socket
    from types import FrameType

    from starlette.types import ASGIApp

    from service.api.app import Service
    from service.server.listen import Listeners
    from service.settings import Settings

log = logging.getLogger("service")

CLOSE_SECONDS = 1
"""Seconds that open connections have to close; part of `graceful_shutdown_seconds`."""

LINGER_SECONDS = 0.5
"""Seconds after the last response in which requests are still answered: some are on their way."""

EXIT_SECONDS = 0.5
"""Seconds that the process has to end once the server has stopped; part of `graceful_shutdown_seconds`."""

SUPERVISOR_SECONDS = 0.5
"""Seconds that a worker leaves earlier, so that its supervisor need not kill it."""

ALL_LEAVE = b"leave"
"""Message from the supervisor to a worker: all workers are leaving."""

READ_AGAIN = b"read"
"""Message from the supervisor to a worker: read the files of certificates and keys again."""

HEARTBEAT = b"alive"
"""Message from a worker to its supervisor, once a second."""

TICKS_PER_SECOND = 10

HANGUP = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()
"""The signal SIGHUP, which Windows does not have."""


class Server(uvicorn.Server):
    """uvicorn's server, which drains before it shuts down, and reads certificates and keys again.

    tls: the context of connections, None without TLS.
    supervisor: the pipe to the supervisor, if this process is one of several workers.

    Once the process leaves, it refuses operations from `_refuse_at` on, and closes open connections at `_close_at` at the
    latest. `_busy_at` is the last time at which an operation was in progress.
    """

    def __init__(
        self, app: Service, listeners: Listeners, tls: ssl.SSLContext | None, supervisor: Connection | None = None
    ) -> None:
        self._runtime = app.runtime
        self._lifecycle = app.runtime.lifecycle
        self._settings = app.runtime.settings
        config = uvicorn.Config(
            app,
            http=HttpProtocol,  # type: ignore[arg-type]  # `_accept` makes the protocols
            ws="none",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            log_config=logs.configuration(self._settings),
            timeout_keep_alive=self._settings.keep_alive_seconds,
            timeout_graceful_shutdown=CLOSE_SECONDS,
        )
        super().__init__(config)
        self._app = app
        self._flow = FlowControl()
        self._listeners = listeners
        self._tls = tls
        self._supervisor = supervisor
        if supervisor is not None and os.name == "posix":
            os.set_blocking(supervisor.fileno(), False)
        self._others_stay = supervisor is not None
        self._files = WatchedFiles(self._settings)
        self._reads_again = False
        self._has_terminal = has_terminal()
        self._refuse_at = self._busy_at = self._close_at = float("inf")
        self._was_cut_off = False

    def run(self, sockets: list[socket] | None = None) -> None:
        """Serve until the process is to leave."""
        super().run(sockets or self._listeners.all)
        if self._was_cut_off:
            # the interpreter would wait for threads that are still at work
            logging.shutdown()
            os._exit(0)

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Accept connections on all sockets."""
        del sockets
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        self.servers = [
            *await self._accept(self._listeners.service, self._app, self._tls),
            *await self._accept(self._listeners.metrics, create_metrics_app(self._runtime)),
        ]
        self.started = True
        if self._supervisor is None:
            self._listeners.log(self._settings)

    async def _accept(
        self, sockets: list[socket], app: ASGIApp, tls: ssl.SSLContext | None = None
    ) -> list[asyncio.Server]:
        """Accept connections for an application on sockets, which stay open when the returned servers close."""
        config = copy(self.config)
        config.loaded_app = app
        protocol = partial(HttpProtocol, config, self.server_state, self.lifespan.state, flow=self._flow)
        loop = asyncio.get_running_loop()
        return [await loop.create_server(protocol, sock=each.dup(), ssl=tls, backlog=BACKLOG) for each in sockets]

    async def _read_again(self) -> None:
        """Use the keys for new requests, and the certificates for new connections. Keep the old ones if a file is bad."""
        secrets = read_again(self._settings)
        if secrets is None:
            return
        self._runtime.keys = secrets.keys
        if secrets.tls is not None and not self._lifecycle.leaving:
            old = self.servers[: len(self._listeners.service)]
            # the new servers listen before the old ones close, so that no connection is refused
            new = await self._accept(self._listeners.service, self._app, secrets.tls)
            self.servers = new + self.servers[len(new) :]
            for server in old:
                server.close()
        log.info("Certificates and keys were read again")

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave at SIGTERM and SIGINT, read files again at SIGHUP. A worker leaves the last two to its supervisor."""
        with super().capture_signals():
            if self._supervisor is not None:
                for number in (signal.SIGINT, *HANGUP):
                    signal.signal(number, signal.SIG_IGN)
            else:
                for number in HANGUP:
                    signal.signal(number, self._handle_hangup)
            yield

    def _handle_hangup(self, sig: int, frame: FrameType | None) -> None:
        """Read the files again, or leave if the terminal has closed."""
        if self._has_terminal and not has_terminal():
            self.handle_exit(sig, frame)
        else:
            self._reads_again = True

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
        """Return whether the server stops. uvicorn asks ten times a second, and housekeeping is done here too."""
        await super().on_tick(counter)
        give_back_freed_memory()
        if self._supervisor is not None:
            self._talk_to_supervisor(self._supervisor, counter)
        elif counter % TICKS_PER_SECOND == 0 and self._files.have_changed():
            self._reads_again = True
        if self._reads_again:
            self._reads_again = False
            await self._read_again()
        now = time.monotonic()
        return now >= self._refuse_at and self._has_drained(now)

    def _has_drained(self, now: float) -> bool:
        """Refuse new operations. Return whether all accepted ones are answered, or the time for them is over."""
        if self._others_stay:
            # the other workers accept connections from now on; those accepted here are served to their end
            for server in self.servers:
                server.close()
        else:
            self._lifecycle.refusing = True
        if self._lifecycle.in_progress:
            self._busy_at = now
        expects_requests = self._lifecycle.closed_a_connection or self._others_stay
        is_idle = now >= self._busy_at + LINGER_SECONDS * expects_requests
        return (is_idle and not self._lifecycle.in_progress) or now >= self._close_at

    def _talk_to_supervisor(self, supervisor: Connection, counter: int) -> None:
        """Send a heartbeat; leave if the supervisor says so, or has died."""
        try:
            if counter % TICKS_PER_SECOND == 0:
                # a supervisor that is stopped reads nothing
                with suppress(BlockingIOError):
                    supervisor.send_bytes(HEARTBEAT)
            while supervisor.poll():
                message = supervisor.recv_bytes()
                if message == READ_AGAIN:
                    self._reads_again = True
                elif message == ALL_LEAVE:
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


def has_terminal() -> bool:
    """Return whether the standard input is an open terminal."""
    return os.isatty(0)


def serve(settings: Settings, listeners: Listeners, supervisor: Connection | None = None) -> None:
    """Serve until the process is to leave; with `supervisor` as one of several workers."""
    keep_freed_memory()
    if settings.has_telemetry:
        describe_process()
    try:
        # a worker may start while the files are replaced; they were good when its supervisor started
        tls = (read_until_whole if supervisor else read_secrets)(settings).tls
    except ValueError as error:
        sys.stderr.write(f"{NAME}: {error}\n")
        raise SystemExit(STARTUP_FAILURE) from None
    app = create_app(settings)
    server = Server(app, listeners, tls, supervisor)
    codecs = active_codecs()
    log.info("JSON is read by %s and written by %s", codecs["reader"], codecs["writer"])
    server.run()
    if not server.started:
        raise SystemExit(STARTUP_FAILURE)
