"""Several processes that answer on one socket: one that dies or hangs is replaced."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from typing import TYPE_CHECKING

from prometheus_client.multiprocess import mark_process_dead
from uvicorn.supervisors import Multiprocess

from service.api.observability.metrics import SHARED

if TYPE_CHECKING:
    import uvicorn

    from service.settings import Settings

log = logging.getLogger("service")

TICK_SECONDS = 0.1
LEAVE_SECONDS = 5
"""How much longer than a process may take to leave it is waited for."""


class Supervisor(Multiprocess):
    """uvicorn's supervisor, which besides adds up the metrics of its processes and does not wait for ever for one to leave."""

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config, sockets=[config.bind_socket()])
        self.leave_seconds = settings.graceful_shutdown_seconds + LEAVE_SECONDS

    def run(self) -> None:
        """Returns when all processes have left."""
        with tempfile.TemporaryDirectory(prefix="softmax-metrics-") as folder:
            os.environ[SHARED] = folder
            super().run()

    def keep_subprocess_alive(self) -> None:
        """Replaces what has died, and takes its requests out of those in flight."""
        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        for pid in before - {process.pid for process in self.processes}:
            mark_process_dead(pid)

    def join_all(self) -> None:
        """Waits for the processes to leave. A second signal, or too long a wait, ends those that are left."""
        deadline = time.monotonic() + self.leave_seconds
        self.signal_queue.clear()
        while any(process.process.is_alive() for process in self.processes):
            if self.signal_queue or time.monotonic() > deadline:
                for process in self.processes:
                    process.process.kill()
            time.sleep(TICK_SECONDS)
        super().join_all()
