"""The service as a process of its own, with flags and variables."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

STARTED = re.compile(r"Uvicorn running on (https?://[^\s\"]+)")
PATIENCE = 20
"""Seconds that a process has to start, and to end."""

NO_WAIT = {"SOFTMAX_DRAIN_SECONDS": "0"}
"""There is no balancer here that must first read at /readyz that the process leaves."""


def command(*flags: str) -> list[str]:
    """Starts the service with those flags, on a free port unless they name one."""
    return [sys.executable, "-m", "service", "--port", "0", *flags]


def environment(variables: dict[str, str]) -> dict[str, str]:
    """The variables of this process, but for settings of the service, and those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SOFTMAX_")}
    return {**kept, **NO_WAIT, **variables}


@contextmanager
def running(*flags: str, **variables: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a server, and its process, which ends with the block."""
    # a file is never full, as a pipe that nobody reads would be
    with (
        NamedTemporaryFile("r+") as log,
        subprocess.Popen(
            command(*flags), stdout=subprocess.DEVNULL, stderr=log, text=True, env=environment(variables)
        ) as process,
    ):
        try:
            yield _address(process, log), process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()


def _address(process: subprocess.Popen[str], log: IO[str]) -> str:
    """Where a server that is starting says that it listens."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        log.seek(0)
        if (found := STARTED.search(log.read())) and _listens(found.group(1)):
            return found.group(1)
        time.sleep(0.02)
    log.seek(0)
    raise AssertionError(f"the server did not start: {log.read()}")


def _listens(address: str) -> bool:
    """Does somebody listen there? A supervisor has an address before its workers do."""
    url = urlsplit(address)
    try:
        socket.create_connection((url.hostname, url.port)).close()
    except ConnectionRefusedError:
        return False
    return True


def refused(*flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a start that is expected to fail leaves behind."""
    return subprocess.run(
        command(*flags), capture_output=True, text=True, env=environment(variables), timeout=PATIENCE, check=False
    )
