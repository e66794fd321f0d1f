"""Start the service as a process, with flags and variables."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from service.formats.codecs import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STARTED = re.compile(r"Listening on ([^\s\"]+)")
READY = "Application startup complete"

PATIENCE = 60
"""Seconds to wait for what takes milliseconds on a quiet machine, or a process seconds to start or to end."""

NO_WAIT = {"SOFTMAX_DRAIN_SECONDS": "0"}
"""Drain at once: no load balancer polls /readyz here."""


def free_port() -> int:
    """Return a port of loopback without a listener."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_for_listener(address: str, seconds: float = PATIENCE, why: Callable[[], str] = str) -> None:
    """Wait until an address accepts connections. Raise AssertionError with the text of `why` after some seconds."""
    deadline = time.monotonic() + seconds
    while not listens(address):
        assert time.monotonic() < deadline, f"no answer from {address}: {why()}"
        time.sleep(0.02)


def listens(address: str) -> bool:
    """Return whether an address accepts connections."""
    url = urlsplit(address)
    try:
        socket.create_connection((url.hostname, url.port)).close()
    except ConnectionRefusedError:
        return False
    return True


def command(*flags: str) -> list[str]:
    """Return the command that starts the service, on a free port unless the flags name a port or a Unix socket."""
    port = () if "--uds" in flags else ("--port", "0")
    return [sys.executable, "-m", "service", *port, *flags]


def environment(variables: dict[str, str]) -> dict[str, str]:
    """Return the variables of this process without settings of the service, and the given ones."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SOFTMAX_") or name == VARIABLE}
    return {**kept, **variables}


@contextmanager
def running(*flags: str, **variables: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Yield the address and the process of a server, which ends with the block."""
    with NamedTemporaryFile() as log, logging_to(Path(log.name), *flags, **variables) as started:
        yield started


@contextmanager
def logging_to(log_file: Path, *flags: str, **variables: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Yield the address and the process of a server whose stderr is a file. It ends with the block."""
    # an unread pipe fills up and blocks the server; a file does not
    with (
        log_file.open("w") as stderr,
        subprocess.Popen(
            command(*flags), stdout=subprocess.DEVNULL, stderr=stderr, text=True, env=environment(NO_WAIT | variables)
        ) as process,
    ):
        try:
            yield _address(process, log_file), process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()


def _address(process: subprocess.Popen[str], log_file: Path) -> str:
    """Return the address that a starting server logs. A supervisor logs it before its workers have started."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        # its own descriptor: a seek on that of the server would make the server write over its log
        lines = log_file.read_text(encoding="utf-8")
        if READY in lines and (found := STARTED.search(lines)):
            return found.group(1)
        time.sleep(0.02)
    raise AssertionError(f"the server did not start: {log_file.read_text(encoding='utf-8')}")


def refused(*flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a start that must fail, and return the ended process."""
    return subprocess.run(
        command(*flags),
        capture_output=True,
        text=True,
        env=environment(NO_WAIT | variables),
        timeout=PATIENCE,
        check=False,
    )
