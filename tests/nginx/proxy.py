"""nginx with the configuration of deploy/nginx, and replicas behind it, all on free ports of loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIGURATION = Path(__file__).parents[2] / "deploy/nginx/nginx.conf"
PATIENCE = 40
"""Seconds that a process has to start or to end."""


def free_port() -> int:
    """Return a port of the loopback on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def wait_until_it_answers(url: str) -> None:
    """Returns as soon as somebody answers, whatever he says."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nobody answers at {url}")


class Replica:
    """A process of the service that can be stopped and started again on the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.start()

    def start(self) -> None:
        """Starts it; returns when it is ready."""
        command = [sys.executable, "-m", "service", "--port", str(self.port), "--log-level", "error"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SOFTMAX_")}
        self.process = subprocess.Popen(command, env=kept)
        wait_until_it_answers(f"http://127.0.0.1:{self.port}/readyz")

    def stop(self) -> int:
        """Send SIGTERM, and return the exit status."""
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """Ends it with no warning."""
        self.process.kill()
        self.process.wait(PATIENCE)


@contextmanager
def two_replicas() -> Iterator[tuple[Replica, Replica]]:
    """Run two replicas for the block."""
    replicas = Replica(), Replica()
    try:
        yield replicas
    finally:
        for replica in replicas:
            replica.kill()


@contextmanager
def nginx(folder: Path, first: int, second: int) -> Iterator[str]:
    """Run nginx in front of two ports for the block. Yield its address."""
    command = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert command is not None, "these tests need nginx"
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
    process = subprocess.Popen([command, *flags])
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}/metrics")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE)
