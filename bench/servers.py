"""Start and stop a server on its own core."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from time import perf_counter, sleep
from typing import TYPE_CHECKING

from bench import payloads, processes
from bench.load import HOST
from bench.services import ENVIRONMENTS, Service

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 30.0
"""Seconds to wait for the first answer."""

POLL_SECONDS = 0.01
STOP_SECONDS = 20.0
ANSWER_SECONDS = 60.0


class StartError(Exception):
    """The server did not start, or gave a wrong answer."""


@dataclass(frozen=True)
class Server:
    """A running server. seconds: from its start to its first answer."""

    pid: int
    port: int
    seconds: float


@contextmanager
def running(service: Service, core: int) -> Iterator[Server]:
    """Run the server of a service on one core, and yield it after its first right answer. Raises StartError."""
    port = free_port()
    command = ["taskset", "--cpu-list", str(core), *(_filled(part, service, port) for part in service.command.split())]
    variables = {name: _filled(value, service, port) for name, value in service.variables.items()}
    ENVIRONMENTS.mkdir(exist_ok=True)
    log = ENVIRONMENTS / f"{service.name}.log"
    start = perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - the commands are those of the table
            command,
            cwd=service.folder,
            env=os.environ | variables,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait(process, service, port)
        yield Server(process.pid, port, seconds=perf_counter() - start)
    except StartError as error:
        last_line = log.read_text(errors="replace").strip().rpartition("\n")[2]
        raise StartError(f"{error}; {last_line or 'it said nothing'}") from None
    finally:
        _stop(process)


def free_port() -> int:
    """Return a free port of loopback."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def ask(service: Service, port: int, rows: int, classes: int) -> None:
    """Send one request and check the answer. Raises ValueError for a wrong answer, OSError, HTTPException."""
    values = payloads.logits(rows, classes)
    message = service.kind.encode(values)
    connection = HTTPConnection(HOST, port, timeout=ANSWER_SECONDS)
    connection.request("POST", service.path, message.body, message.headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    if response.status != HTTPStatus.OK:
        raise HTTPException(response.status)
    service.kind.check(values, body)


def _filled(template: str, service: Service, port: int) -> str:
    return template.format(bin=service.commands, port=port)


def _wait(process: subprocess.Popen[bytes], service: Service, port: int) -> None:
    """Wait for the first answer and check it."""
    end, failure = perf_counter() + START_SECONDS, ""
    while perf_counter() < end:
        if process.poll() is not None:
            raise StartError(f"it ended with {process.returncode}")
        try:
            return ask(service, port, rows=1, classes=10)
        except (OSError, HTTPException) as error:
            failure = repr(error)
            sleep(POLL_SECONDS)
        except ValueError as error:
            raise StartError(str(error)) from error
    raise StartError(f"no answer in {START_SECONDS:.0f} s, {failure}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Terminate the server, and kill the processes it leaves behind."""
    pids = processes.tree(process.pid)
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    processes.kill(pids)
