"""python -m deploy.capacity: from what is asked, and how often, to the machines that answer it.

A request of n numbers (rows times classes) is taken to cost

    CPU time   OVERHEAD_SECONDS + SECONDS_PER_ELEMENT * n
    traffic    MESSAGE_BYTES + BYTES_PER_ELEMENT * n, each way
    memory     BYTES_PER_BODY_BYTE * its body, above the PROCESS_BYTES of a process

What that assumes:
- The reply is about as long as the request: probabilities or gradients of what was sent. Less is asked of a service that
  returns predictions or a loss only, more of one that returns Jacobians.
- Numbers have all their digits: 20 characters in JSON, 8 bytes in binary formats.
- A process is one core. Its limits, the memory among them, hold for it alone.
- Requests come when they like, so a core that is to answer without queueing is planned to be busy for UTILISATION of its time.
- The cores are like the one that bench/results.json was measured on; a test holds the model to within a factor of 2 of every
  point there, all of them JSON. The service ran with the flags that bench/README.md names, not with its defaults. Cores that another program, a hyper-thread or a throttling limit takes away are not there.
- The load balancer, TLS and the clients are machines of their own.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from typing import Literal

from service.settings import Settings

Format = Literal["json", "binary"]

OVERHEAD_SECONDS = 0.1e-3
"""CPU time of a request of no size: two thirds more than was measured in a quiet hour, for busier ones."""

SECONDS_PER_ELEMENT: dict[Format, float] = {"json": 60e-9, "binary": 7e-9}
"""CPU time of a number that comes in and one that goes out: a third to a half more than was measured.

Those of probabilities alone: top_k, which orders the classes, costs more.
"""

MESSAGE_BYTES = 500
"""Headers of a message, about."""

BYTES_PER_ELEMENT: dict[Format, float] = {"json": 20, "binary": 8}
"""A number as it is sent: float64 if binary."""

PROCESS_BYTES = 80_000_000
"""Memory of a process that has been at work: 70 MB when it starts, and what malloc keeps."""

BYTES_PER_BODY_BYTE = 4
"""Peak memory above that for every byte of the bodies in flight, at most."""

UTILISATION = 0.6
"""Share of its time that a core, or a network, is planned to be busy."""


@dataclass(frozen=True)
class Load:
    """What is asked of the service."""

    requests_per_second: float
    elements: int
    """Numbers in a request: rows times classes."""
    format: Format = "json"


@dataclass(frozen=True)
class Node:
    """A machine that is to run the service and nothing else."""

    cores: int = 16
    memory_bytes: int = 64 * 2**30
    network_bytes_per_second: float = 10e9 / 8


@dataclass(frozen=True)
class Plan:
    """What a load takes."""

    replicas: int
    """Processes, each with a core of its own."""
    memory_bytes: int
    """Of all processes together."""
    network_bytes_per_second: float
    """The busier way, of all processes together."""
    nodes: int
    saturates: Literal["cores", "memory", "network"]
    """What a node runs out of first."""


def cpu_seconds(elements: int, format: Format) -> float:  # noqa: A002 - it is the format
    """CPU time of a request."""
    return OVERHEAD_SECONDS + SECONDS_PER_ELEMENT[format] * elements


def memory_bytes(max_bytes_in_flight: int) -> int:
    """Memory that a process may need with that many bytes of request bodies let in at once."""
    return PROCESS_BYTES + BYTES_PER_BODY_BYTE * max_bytes_in_flight


def plan(load: Load, node: Node, max_bytes_in_flight: int) -> Plan:
    """The processes, memory, network and machines that a load takes."""
    busy_cores = load.requests_per_second * cpu_seconds(load.elements, load.format)
    replicas = max(1, math.ceil(busy_cores / UTILISATION))
    memory = replicas * memory_bytes(max_bytes_in_flight)
    message = MESSAGE_BYTES + BYTES_PER_ELEMENT[load.format] * load.elements
    network = load.requests_per_second * message
    shares: dict[Literal["cores", "memory", "network"], float] = {
        "cores": replicas / node.cores,
        "memory": memory / node.memory_bytes,
        "network": network / UTILISATION / node.network_bytes_per_second,
    }
    saturates = max(shares, key=shares.__getitem__)
    return Plan(replicas, memory, network, math.ceil(shares[saturates]), saturates)


def main() -> None:
    """Prints the plan for the load and the machine that the flags name."""
    default = Settings.model_fields["max_bytes_in_flight"].default
    parser = argparse.ArgumentParser(prog="python -m deploy.capacity")
    parser.add_argument("--requests-per-second", type=float, required=True)
    parser.add_argument("--elements", type=int, required=True, help="numbers in a request: rows times classes")
    parser.add_argument("--format", choices=list(SECONDS_PER_ELEMENT), default="json")
    parser.add_argument("--max-bytes-in-flight", type=int, default=default, help="as the service is set, in bytes")
    parser.add_argument("--cores", type=int, default=Node.cores, help="of a machine")
    parser.add_argument("--memory-bytes", type=int, default=Node.memory_bytes, help="of a machine")
    parser.add_argument("--network-bits-per-second", type=float, default=8 * Node.network_bytes_per_second)
    asked = parser.parse_args()
    load = Load(asked.requests_per_second, asked.elements, asked.format)
    node = Node(asked.cores, asked.memory_bytes, asked.network_bits_per_second / 8)
    found = plan(load, node, asked.max_bytes_in_flight)
    sys.stdout.write(
        f"processes of one core: {found.replicas}, memory: {found.memory_bytes / 1e9:.1f} GB, "
        f"network: {8 * found.network_bytes_per_second / 1e9:.2f} Gbit/s each way, "
        f"nodes: {found.nodes}, first full: {found.saturates}\n"
    )


if __name__ == "__main__":
    main()
