"""Send good and bad traffic for some minutes, and report the memory of the server: `python -m bench.soak [SECONDS]`."""

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
from typing import TYPE_CHECKING

from bench.load import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 300
CLIENTS = 12
LINES = 20
STARTED = re.compile(r"Listening on http://[^:]+:(\d+)")
START_SECONDS = 30
PATIENCE_SECONDS = 30

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
CHANCE = random.Random(0)  # noqa: S311  no secret
LEAVES = 0.2
"""Share of the requests whose client leaves before it has sent all, or before it has the reply."""


def main() -> None:
    """Start a server, and print a line about it at regular intervals."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with started() as (pid, port):
        asyncio.run(soak(pid, port, seconds))


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


async def soak(pid: int, port: int, seconds: float) -> None:
    """Run the clients for some seconds. Print the resources of the server at regular intervals, and once more at the end."""
    outcomes = Counter[str]()
    write(f"{'seconds':>8} {'MiB':>6} {'peak':>6} {'files':>6} {'threads':>8} {'answers':>9}")
    report(pid, 0, outcomes)
    start = monotonic()
    clients = [asyncio.create_task(client(port, start + seconds, outcomes)) for _ in range(CLIENTS)]
    for step in range(1, LINES + 1):
        await asyncio.sleep(max(0, start + step * seconds / LINES - monotonic()))
        report(pid, monotonic() - start, outcomes)
    await asyncio.gather(*clients)
    await asyncio.sleep(1)
    report(pid, monotonic() - start, outcomes)
    write(", ".join(f"{name}: {count}" for name, count in sorted(outcomes.items())))


def report(pid: int, seconds: float, outcomes: Counter[str]) -> None:
    """Print memory, descriptors and threads of the server."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    now, peak = (int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    write(f"{seconds:8.0f} {now:6.0f} {peak:6.0f} {files:6} {int(lines['Threads']):8} {outcomes.total():9}")


def write(line: str) -> None:
    """Print a line and flush."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def client(port: int, deadline: float, outcomes: Counter[str]) -> None:
    """Send requests one after another, each on a new connection, until the deadline."""
    while monotonic() < deadline:
        path, headers, body = CHANCE.choice(list(TRAFFIC.values()))
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        )
        outcomes[await asyncio.wait_for(exchange(port, head.encode() + body), PATIENCE_SECONDS)] += 1


async def exchange(port: int, sent: bytes) -> str:
    """Return the status of the reply, or the way the connection ended."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        leaves = CHANCE.random() < LEAVES
        writer.write(sent[: CHANCE.randrange(len(sent))] if leaves and CHANCE.random() < LEAVES else sent)
        if leaves:
            await asyncio.sleep(CHANCE.random() * LEAVES)
            writer.transport.abort()
            return "left"
        reply = await reader.read()
        return reply[9:12].decode()
    except ConnectionError:
        return "cut off"
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


if __name__ == "__main__":
    main()
