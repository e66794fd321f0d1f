"""Send good, bad and hostile traffic for some minutes: `python -m bench.soak [SECONDS]`.

It prints the resources of the server. It ends with an error if an honest client was not answered, the memory exceeded
its limit or grew, or descriptors stayed open.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import re
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple

from bench.attackers import attack
from bench.load import HOST
from deploy.capacity import memory_bytes
from service.server.memory import MOST_KEPT_BYTES
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 300
CLIENTS = 12
ATTACKERS = 8
LINES = 20
STARTED = re.compile(r"Listening on http://[^:]+:(\d+)")
RETRY_AFTER = re.compile(rb"retry-after: (\d+)\r\n")
START_SECONDS = 30
PATIENCE_SECONDS = 60
ATTEMPTS = 9
"""Attempts of a client that is answered 503, each after the seconds of Retry-After."""

JSON = "Content-Type: application/json\r\n"
BATCH = b'{"logits": [%b[2, 3, 4]], "targets": [%b1]}' % (b"[2.5, -3.125, 4.0625]," * 20_000, b"1," * 20_000)

TRAFFIC = {
    "a row": ("/softmax", JSON, b'{"logits": [2, 3, 4]}'),
    "a batch": ("/gradient", JSON, BATCH),
    "a compressed batch": ("/loss", JSON + "Content-Encoding: gzip\r\n", gzip.compress(BATCH)),
    "large outputs": ("/softmax", JSON, b'{"logits": [%b0], "outputs": ["jacobian"]}' % (b"0," * 499)),
    "a wrong label": ("/loss", JSON, BATCH[:-2] + b"9]}"),
    "words": ("/softmax", JSON, b'{"logits": [%b"x"]}' % (b'"swordfish",' * 100_000)),
    "no JSON": ("/softmax", JSON, b"{" * 10_000),
    "a bomb": ("/softmax", JSON + "Content-Encoding: gzip\r\n", gzip.compress(b"[" * 40_000_000)),
    "a wrong type": ("/softmax", "Content-Type: text/csv\r\n", b"1,2,3"),
    "no such path": ("/swordfish", JSON, b"{}"),
}
HONEST = ("a row", "a batch", "a compressed batch", "large outputs")
"""Traffic that must be answered 200."""

MAX_MIB = memory_bytes(Settings().max_bytes_in_flight) / 2**20
"""Memory of a server with default settings."""

KEPT_MIB = MOST_KEPT_BYTES / 2**20
"""Memory that an idle server may keep above the idle server after 20 % of the time."""

CHANCE = random.Random(0)  # noqa: S311  no secret
LEAVES = 0.2
"""Share of the requests whose client leaves before it has sent all, or before it has the reply."""


def main() -> None:
    """Start a server, and print a line about it at regular intervals."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with started() as (pid, port):
        wrong = asyncio.run(soak(pid, port, seconds))
    if wrong:
        sys.exit(wrong)


@contextmanager
def started() -> Iterator[tuple[int, int]]:
    """Yield the process id and the port of a new server with default settings."""
    with NamedTemporaryFile("r") as log, Path(log.name).open("w") as stderr:
        command = [sys.executable, "-m", "service", "--host", HOST, "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr) as server:  # noqa: S603  this service
            try:
                yield server.pid, port_of(Path(log.name))
            finally:
                server.terminate()


def port_of(log: Path) -> int:
    """Return the port of a server that is starting. Raises TimeoutError."""
    deadline = monotonic() + START_SECONDS
    while monotonic() < deadline:
        if found := STARTED.search(log.read_text()):
            return int(found[1])
        sleep(0.1)
    raise TimeoutError


class Resources(NamedTuple):
    """Use of a server: memory now and at most, in MiB, and open descriptors."""

    now: float
    peak: float
    files: int


async def soak(pid: int, port: int, seconds: float) -> str:
    """Run the clients for some seconds, and print the resources of the server at regular intervals.

    Return what went wrong, "" if nothing did.
    """
    outcomes, failed = Counter[str](), Counter[str]()
    write(f"{'seconds':>8} {'MiB':>6} {'peak':>6} {'files':>6} {'threads':>8} {'answers':>9}")
    start = monotonic()
    new = report(pid, 0, outcomes)
    await run(port, seconds / 5, outcomes, failed)
    await closed(pid, new.files)
    idle = report(pid, monotonic() - start, outcomes)
    clients = asyncio.create_task(run(port, seconds * 4 / 5, outcomes, failed))
    while not clients.done():
        await asyncio.wait([clients], timeout=seconds / LINES)
        report(pid, monotonic() - start, outcomes)
    await clients
    await closed(pid, new.files)
    left = report(pid, monotonic() - start, outcomes)
    write(", ".join(f"{name}: {count}" for name, count in sorted(outcomes.items())))
    grows = left.peak > MAX_MIB or left.now > idle.now + KEPT_MIB or left.files > new.files
    return f"not answered: {dict(failed)}; {idle}, in the end {left}" if failed or grows else ""


async def run(port: int, seconds: float, outcomes: Counter[str], failed: Counter[str]) -> None:
    """Run clients and attackers for some seconds, and until each client has its answer."""
    deadline = monotonic() + seconds

    async def attack_again() -> None:
        while monotonic() < deadline:
            await attack(port)
            outcomes["attack"] += 1

    clients = (client(port, deadline, outcomes, failed) for _ in range(CLIENTS))
    await asyncio.gather(*clients, *(attack_again() for _ in range(ATTACKERS)))


async def closed(pid: int, files: int) -> None:
    """Wait until the server has as few descriptors as a new one: it is idle."""
    deadline = monotonic() + PATIENCE_SECONDS
    while descriptors(pid) > files and monotonic() < deadline:  # noqa: ASYNC110  another process closes them
        await asyncio.sleep(0.1)


def report(pid: int, seconds: float, outcomes: Counter[str]) -> Resources:
    """Print and return what the server uses."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    now, peak = (int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    files = descriptors(pid)
    write(f"{seconds:8.0f} {now:6.0f} {peak:6.0f} {files:6} {int(lines['Threads']):8} {outcomes.total():9}")
    return Resources(now, peak, files)


def descriptors(pid: int) -> int:
    """Return the number of open descriptors of a process."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def write(line: str) -> None:
    """Print a line and flush."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def client(port: int, deadline: float, outcomes: Counter[str], failed: Counter[str]) -> None:
    """Send requests one after another, each on a new connection, until the deadline. Retry what is answered 503."""
    while monotonic() < deadline:
        name = CHANCE.choice(list(TRAFFIC))
        path, headers, body = TRAFFIC[name]
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        )
        for _ in range(ATTEMPTS):
            outcome, retry_seconds = await exchange(port, head.encode() + body)
            outcomes[outcome] += 1
            if outcome != "503":
                break
            await asyncio.sleep(retry_seconds)
        if name in HONEST and outcome not in {"200", "left"}:
            failed[f"{name}: {outcome}"] += 1


async def exchange(port: int, sent: bytes) -> tuple[str, int]:
    """Return the status of the reply, or the way the connection ended, and the seconds of Retry-After."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        leaves = CHANCE.random() < LEAVES
        writer.write(sent[: CHANCE.randrange(len(sent))] if leaves and CHANCE.random() < LEAVES else sent)
        if leaves:
            await asyncio.sleep(CHANCE.random() * LEAVES)
            writer.transport.abort()
            return "left", 0
        async with asyncio.timeout(PATIENCE_SECONDS):
            reply = await reader.read()
        retry_after = RETRY_AFTER.search(reply)
        return reply[9:12].decode(), int(retry_after[1]) if retry_after else 0
    except ConnectionError:
        return "cut off", 0
    except TimeoutError:
        return "no answer", 0
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


if __name__ == "__main__":
    main()
