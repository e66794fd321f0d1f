"""Measure the memory of one large request, in lengths of its body: `python -m bench.memory`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from bench import payloads, processes
from bench.servers import ask, running
from bench.services import OURS, SERVICES

if TYPE_CHECKING:
    from bench.services import Service

SHAPE = (1_024, 1_000)
"""Rows and classes: 19 MB of JSON, 8 MB of binary."""

HEAD = """\
| request | body MB | idle MB | peak MB | above idle, in bodies |
| :-- | --: | --: | --: | --: |
"""


def main() -> None:
    """Print a line for each format of this service, measured in a fresh process after one small request."""
    sys.stdout.write(HEAD)
    for service in (known for known in SERVICES if known.command == OURS):
        sys.stdout.write(row(service))


def row(service: Service) -> str:
    """Return a line of the table."""
    body = len(service.kind.encode(payloads.logits(*SHAPE)).body)
    with running(service, max(os.sched_getaffinity(0))) as server:
        processes.reset_peaks(server.pid)
        idle = processes.peak_bytes(server.pid)
        ask(service, server.port, *SHAPE)
        peak = processes.peak_bytes(server.pid)
    sizes = " | ".join(f"{size / 2**20:.1f}" for size in (body, idle, peak))
    return f"| {service.title} | {sizes} | {(peak - idle) / body:.2f} |\n"


if __name__ == "__main__":
    main()
