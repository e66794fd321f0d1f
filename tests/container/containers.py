"""Containers of the image, locked down, on loopback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.processes import free_port, wait_for_listener

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = os.environ.get("IMAGE", "localhost/softmax-service:latest")
PATIENCE = 30
"""Seconds that a container has to start or to end."""

# low limits need no privilege
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=512:512"]

LOCKED_DOWN = [
    *LIMITS,
    *("--network", "host"),  # the service listens on loopback only
    "--read-only",
    *("--cap-drop", "all"),
    *("--security-opt", "no-new-privileges"),
]


@cache
def engine() -> str:
    """Return the command that runs containers: docker if its daemon answers, else podman."""
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0:
        return docker
    podman = shutil.which("podman")
    assert podman is not None, "these tests need docker or podman"
    return podman


def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command of the engine. Return its output."""
    command = [engine(), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=check)


@dataclass(frozen=True)
class Container:
    """A running container."""

    name: str
    port: int

    @property
    def where(self) -> tuple[str, int]:
        """Address of the service."""
        return "127.0.0.1", self.port

    @property
    def address(self) -> str:
        """Base URL of the service."""
        return f"http://127.0.0.1:{self.port}"

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside, and return its result whatever the status."""
        return run("exec", self.name, *command, check=False)

    def inspect(self) -> Any:
        """Return the description of the container by the engine."""
        (known,) = json.loads(run("inspect", self.name).stdout)
        return known

    def signal(self, name: str) -> None:
        """Send a signal to its first process."""
        run("kill", "--signal", name, self.name)

    def status(self, field: str) -> str:
        """Return a line of /proc/1/status inside."""
        lines = self.execute("cat", "/proc/1/status").stdout.splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{field}:"))


@contextmanager
def running(memory_bytes: int, *arguments: str) -> Iterator[Container]:
    """Run a container with this much memory for the block. Yield it as soon as it answers."""
    port = free_port()
    memory = ["--memory", str(memory_bytes), "--memory-swap", str(memory_bytes)]
    environment = ["--env", "SOFTMAX_HOST=127.0.0.1", "--env", f"SOFTMAX_PORT={port}"]
    name = run("run", "--detach", *LOCKED_DOWN, *memory, *environment, *arguments, IMAGE).stdout.strip()
    container = Container(name, port)
    try:
        wait_for_listener(container.address, PATIENCE, lambda: run("logs", name).stderr)
        yield container
    finally:
        run("rm", "--force", name)
