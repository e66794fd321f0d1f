"""Times and memory of the server for the worst bodies: `python -m bench.worst_bodies` sends each of `bench.bodies`.

It prints a Markdown table of the status, the seconds and the CPU seconds, the peak memory of the server, and its slowest
/livez meanwhile. The valid bodies in front are the measure of the refused ones.
"""

from __future__ import annotations

import gzip
import socket
import sys
import threading
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection
from time import perf_counter, sleep
from typing import NamedTuple

from bench import processes
from bench.bodies import BODIES, Case
from bench.load import HOST
from bench.soak import started

ANSWER_SECONDS = 60
PROBE_SECONDS = 0.01

HEAD = """\
| body | status | seconds | CPU seconds | peak MiB | slowest /livez, s |
| :-- | --: | --: | --: | --: | --: |
"""


def request(case: Case, *, compressed: bool = False) -> bytes:
    """Return the bytes of a request, whose connection ends with the answer."""
    body = gzip.compress(case.make(), 1) if compressed else case.make()
    encoding = "Content-Encoding: gzip\r\n" if compressed else ""
    head = (
        f"POST {case.path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: {case.type}\r\n"
        f"{encoding}{case.headers}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Outcome(NamedTuple):
    """The answer to a body, and what the server spent on it. live: seconds of each /livez meanwhile, ascending."""

    status: int
    seconds: float
    cpu_seconds: float
    peak_mib: float
    live: list[float]


def send(pid: int, port: int, sent: bytes) -> Outcome:
    """Send a request to a server, and probe /livez until it is answered."""
    processes.reset_peaks(pid)
    done = threading.Event()
    live: list[float] = []
    probe = threading.Thread(target=_probe, args=(port, done, live))
    probe.start()
    start, cpu_start = perf_counter(), processes.cpu_seconds(pid)
    try:
        with socket.create_connection((HOST, port), timeout=ANSWER_SECONDS) as client:
            with suppress(ConnectionError):  # refused before all was sent
                client.sendall(sent)
            received = b""
            while piece := client.recv(2**18):
                received = received or piece
        seconds = perf_counter() - start
    finally:
        done.set()
        probe.join()
    cpu_seconds = processes.cpu_seconds(pid) - cpu_start
    return Outcome(int(received.split()[1]), seconds, cpu_seconds, processes.peak_bytes(pid) / 2**20, sorted(live))


def _probe(port: int, done: threading.Event, live: list[float]) -> None:
    client = HTTPConnection(HOST, port, timeout=ANSWER_SECONDS)
    while not done.wait(PROBE_SECONDS):
        start = perf_counter()
        client.request("GET", "/livez")
        with client.getresponse() as reply:
            reply.read()
        if reply.status == HTTPStatus.OK:
            live.append(perf_counter() - start)
    client.close()


def main() -> None:
    """Print a line for each body, plain and compressed."""
    sys.stdout.write(HEAD)
    with started() as (pid, port):
        for name, case in BODIES.items():
            for compressed in (False, True):
                found = send(pid, port, request(case, compressed=compressed))
                sys.stdout.write(
                    f"| {name}{', gzip' * compressed} | {found.status} | {found.seconds:.2f} "
                    f"| {found.cpu_seconds:.2f} | {found.peak_mib:.0f} | {max(found.live, default=0):.3f} |\n"
                )
                sys.stdout.flush()
                sleep(PROBE_SECONDS)


if __name__ == "__main__":
    main()
