"""Compare services that run at once, in short turns: `python -m bench.turns > bench/turns.md`.

The speed of a shared machine swings from minute to minute, which turns of half a second do not notice. So ratios are
steadier than those of `python -m bench`, which runs one server at a time to measure its memory too.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from itertools import product
from statistics import median
from typing import TYPE_CHECKING

from bench import payloads, processes
from bench.environments import install
from bench.load import drive, request
from bench.plan import CONNECTION_COUNT
from bench.servers import ask, running
from bench.services import SERVICES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.plan import Shape
    from bench.servers import Server
    from bench.services import Service

SECONDS = 0.5

GROUPS = (
    (("service",), ("fastapi", "mlserver", "echo"), {(1, 10): 30, (64, 1000): 20, (1024, 1000): 10}),
    (("service-npy", "service-v2-binary"), ("echo-npy",), {(1024, 1000): 20}),
)
"""This service in some formats, the peers that it is compared with, and the number of turns for each shape."""

HEAD = f"""\
# In turns

`python -m bench.turns` writes this page. The services run at once on one core, with default limits, and take turns of
{SECONDS} s with {CONNECTION_COUNT} connections. A ratio is the CPU time of a request in the second service, divided by that in the first,
both in the same turn. The table has the median of the turns, and the range of the middle half of them.

| logits | turns | first | second | ratio | middle half | first, ms | second, ms |
| --- | --: | --- | --- | --: | --: | --: | --: |
"""


def main() -> None:
    """Measure all groups, and print the table."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    titles = {service.name: service.title for service in SERVICES}
    sys.stdout.write(HEAD)
    for ours, peers, shapes in GROUPS:
        with ExitStack() as stack:
            services = [service for service in SERVICES if service.name in ours + peers]
            for service in services:
                install(service)
            servers = [(service, stack.enter_context(running(service, cores[0]))) for service in services]
            for shape, turns in shapes.items():
                times = measure(servers, shape, turns)
                for first, second in product(ours, peers):
                    ratios = sorted(b / a for a, b in zip(times[first], times[second], strict=True))
                    cells = (
                        " x ".join(map(str, shape)),
                        str(turns),
                        titles[first],
                        titles[second],
                        f"{median(ratios):.2f}",
                        f"{ratios[turns // 4]:.2f} to {ratios[-1 - turns // 4]:.2f}",
                        *(f"{median(times[name]) * 1e3:.3g}" for name in (first, second)),
                    )
                    sys.stdout.write(f"| {' | '.join(cells)} |\n")


def measure(servers: Sequence[tuple[Service, Server]], shape: Shape, turns: int) -> dict[str, list[float]]:
    """Return the CPU time of a request in each turn, in seconds, by the name of the service."""
    requests = []
    for service, server in servers:
        ask(service, server.port, *shape)
        message = service.kind.encode(payloads.logits(*shape))
        requests.append((service.name, server, request(server.port, service.path, message)))
    times: dict[str, list[float]] = {name: [] for name, _, _ in requests}
    for turn in range(turns):
        sys.stderr.write(f"{shape}: turn {turn + 1} of {turns}\n")
        for name, server, sent in requests:
            before = processes.cpu_seconds(server.pid)
            window = drive(server.port, sent, CONNECTION_COUNT, SECONDS)
            times[name].append((processes.cpu_seconds(server.pid) - before) / len(window.latencies))
    return times


if __name__ == "__main__":
    main()
