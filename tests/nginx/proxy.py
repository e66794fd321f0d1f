"""nginx with the configuration of deploy/nginx, and replicas behind it, all on free ports of loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.processes import PATIENCE, command, environment, free_port, wait_for_listener

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIGURATION = Path(__file__).parents[2] / "deploy/nginx/nginx.conf"


class Replica:
    """A process of the service that can be stopped and started again on the same port.

    log: the file of its stdout.
    """

    def __init__(self, *flags: str, log: Path = Path(os.devnull), **variables: str) -> None:
        self.port = free_port()
        self._flags, self._log, self._variables = flags, log, variables
        self.start()

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        flags = command("--port", str(self.port), *self._flags)
        with self._log.open("a") as stdout:
            self.process = subprocess.Popen(flags, env=environment(self._variables), stdout=stdout)
        wait_for_listener(f"http://127.0.0.1:{self.port}")

    def stop(self) -> int:
        """Send SIGTERM, and return the exit status."""
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """Send SIGKILL, and wait for the end."""
        self.process.kill()
        self.process.wait(PATIENCE)


@contextmanager
def two_replicas() -> Iterator[tuple[Replica, Replica]]:
    """Run two replicas for the block."""
    replicas = Replica("--log-level", "error"), Replica("--log-level", "error")
    try:
        yield replicas
    finally:
        for replica in replicas:
            replica.kill()


@contextmanager
def nginx(folder: Path, first: int, second: int) -> Iterator[str]:
    """Run nginx in front of two ports for the block. Yield its address."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program is not None, "these tests need nginx"
    port = free_port()
    moved = CONFIGURATION.read_text("utf-8")
    for written, meant in {
        "127.0.0.1:8001": f"127.0.0.1:{first}",
        "127.0.0.1:8002": f"127.0.0.1:{second}",
        "listen 8080": f"listen 127.0.0.1:{port}",
        "/var/log/nginx/access.log": str(folder / "access.log"),
    }.items():
        assert moved.count(written) == 1, written
        moved = moved.replace(written, meant)
    here = folder / "nginx.conf"
    here.write_text(moved, "utf-8")
    flags = ["-c", str(here), "-e", str(folder / "error.log"), "-g", f"daemon off; pid {folder}/pid;"]
    process = subprocess.Popen([program, *flags])
    try:
        wait_for_listener(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE)
