"""python -m deploy.capacity: compute the processes, memory, network and machines for a load.

The model of a request of n numbers (rows times classes):

    CPU time   OVERHEAD_SECONDS + SECONDS_PER_ELEMENT * n
    traffic    MESSAGE_BYTES + BYTES_PER_ELEMENT * n, each way
    memory     BYTES_PER_BODY_BYTE * its body, above the PROCESS_BYTES of a process
    waiting    in a process that is busy for a share u of its time: u / (1 - u) times the CPU time, on average

Assumptions:
- The response is as long as the request: probabilities, or gradients of logits. Predictions or a loss alone cost less,
  Jacobians cost more, and so does top_k.
- Numbers have all their digits: 20 characters in JSON, 8 bytes in binary formats.
- A process is one core. Its limits, that of memory among them, are its own.
- Requests arrive at random times and share the core of their process, so a core is planned to be busy for UTILISATION of
  its time. A request that does not fit into max_bytes_in_flight waits, too; that changes when it is answered, not what it
  costs.
- The cores are like that of bench/results.json. A test keeps the model within a factor of 2 of every point there, in JSON,
  .npy and binary tensors. A neighbour, a hyper-thread or a throttling limit that takes part of a core is not in the model.
- The load balancer, TLS and the clients run on other machines.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass, fields
from typing import Any, Literal

from service.settings import Settings

Format = Literal["json", "binary"]

OVERHEAD_SECONDS = 0.16e-3
"""CPU time of a request of no size, on a shared machine."""

SECONDS_PER_ELEMENT: dict[Format, float] = {"json": 100e-9, "binary": 15e-9}
"""CPU time of a number that is read and one that is written, on a shared machine."""

MESSAGE_BYTES = 500
"""Approximate size of the headers of a message."""

BYTES_PER_ELEMENT: dict[Format, float] = {"json": 20, "binary": 8}
"""Size of a number in a message, float64 if binary."""

OUTPUT_BYTES = 8
"""Size of a number of an output in memory."""

PROCESS_BYTES = 90_000_000
"""Memory of a process at work: 70 MB at its start, and freed memory in holes too short for the next body."""

BYTES_PER_BODY_BYTE = 4
"""Peak memory above that for each byte of the bodies in flight."""

UTILISATION = 0.6
"""Share of its time that a core, or a network, is planned to be busy."""


def default(name: str) -> Any:
    """Return the default of a setting of the service."""
    return Settings.model_fields[name].default


@dataclass(frozen=True)
class Load:
    """Requests per second, all of one size. elements: rows times classes of a request."""

    requests_per_second: float
    elements: int
    format: Format = "json"

    def __post_init__(self) -> None:
        """Raise ValueError for a number that is not positive and finite."""
        check_positive(self)

    @property
    def body_bytes(self) -> float:
        """Size of the body of a request."""
        return BYTES_PER_ELEMENT[self.format] * self.elements


@dataclass(frozen=True)
class Node:
    """A machine that runs nothing but the service."""

    cores: int = 16
    memory_bytes: int = 64 * 2**30
    network_bytes_per_second: float = 10e9 / 8

    def __post_init__(self) -> None:
        """Raise ValueError for a number that is not positive and finite."""
        check_positive(self)


@dataclass(frozen=True)
class Limits:
    """The settings of the service that decide on the size of a request and of a process."""

    max_elements: int = default("max_elements")
    max_body_bytes: int = default("max_body_bytes")
    max_bytes_in_flight: int = default("max_bytes_in_flight")
    max_wait_seconds: float = default("max_wait_seconds")

    def __post_init__(self) -> None:
        """Raise ValueError for a number that is not positive and finite."""
        check_positive(self)

    def check(self, load: Load) -> None:
        """Raise ValueError for a request that the service would refuse."""
        worked_on = load.body_bytes + OUTPUT_BYTES * load.elements
        for name, size, limit in (
            ("numbers", load.elements, "max_elements"),
            ("bytes in its body", load.body_bytes, "max_body_bytes"),
            ("bytes in body and outputs", worked_on, "max_bytes_in_flight"),
        ):
            if size > getattr(self, limit):
                raise ValueError(
                    f"a request has {size:,.0f} {name}, and {limit} is {getattr(self, limit):,.0f}; "
                    f"send fewer rows in a request, or raise --{limit.replace('_', '-')}"
                )


@dataclass(frozen=True)
class Plan:
    """The resources for a load.

    replicas: processes, each with a core of its own. memory_bytes: of all of them together.
    network_bytes_per_second: of all of them together, each way.
    wait_seconds: mean time that a request takes longer because of others.
    burst: requests that may arrive at one process at the same time, so that the last is answered within max_wait_seconds.
    saturates: the resource of a node that runs out first.
    """

    replicas: int
    memory_bytes: int
    network_bytes_per_second: float
    wait_seconds: float
    burst: int
    nodes: int
    saturates: Literal["cores", "memory", "network"]


def check_positive(values: Load | Node | Limits) -> None:
    """Raise ValueError unless every number of a dataclass is positive and finite."""
    for field in fields(values):
        value = getattr(values, field.name)
        if isinstance(value, (int, float)) and not 0 < value < math.inf:
            raise ValueError(f"{field.name} is {value}; it must be a number above 0")


def cpu_seconds(elements: int, format: Format) -> float:  # noqa: A002 - it is the format
    """Return the CPU time of a request."""
    return OVERHEAD_SECONDS + SECONDS_PER_ELEMENT[format] * elements


def memory_bytes(max_bytes_in_flight: int) -> int:
    """Return the most memory of a process that accepts that many bytes of request bodies at once."""
    return PROCESS_BYTES + BYTES_PER_BODY_BYTE * max_bytes_in_flight


def plan(load: Load, node: Node, limits: Limits) -> Plan:
    """Return the resources for a load.

    Raises ValueError for a request above the limits, and for a node that has not the memory of one process.
    """
    limits.check(load)
    seconds = cpu_seconds(load.elements, load.format)
    of_process = memory_bytes(limits.max_bytes_in_flight)
    if of_process > node.memory_bytes:
        raise ValueError(
            f"a process needs {of_process:,} bytes of memory, and a node has {node.memory_bytes:,}; "
            "lower --max-bytes-in-flight, or plan with larger nodes"
        )
    replicas = max(1, math.ceil(load.requests_per_second * seconds / UTILISATION))
    busy = load.requests_per_second * seconds / replicas
    network = load.requests_per_second * (MESSAGE_BYTES + load.body_bytes)
    shares: dict[Literal["cores", "memory", "network"], float] = {
        "cores": replicas / node.cores,
        "memory": replicas * of_process / node.memory_bytes,
        "network": network / UTILISATION / node.network_bytes_per_second,
    }
    saturates = max(shares, key=shares.__getitem__)
    return Plan(
        replicas=replicas,
        memory_bytes=replicas * of_process,
        network_bytes_per_second=network,
        wait_seconds=seconds * busy / (1 - busy),
        burst=int(limits.max_wait_seconds / seconds),
        nodes=math.ceil(shares[saturates]),
        saturates=saturates,
    )


def main() -> None:
    """Print the plan for the load and the machine of the flags. End the process with 2 and a sentence if they make no sense."""
    parser = argparse.ArgumentParser(prog="python -m deploy.capacity")
    parser.add_argument("--requests-per-second", type=float, required=True)
    parser.add_argument("--elements", type=int, required=True, help="numbers in a request: rows times classes")
    parser.add_argument("--format", choices=list(SECONDS_PER_ELEMENT), default="json")
    for field in fields(Limits):
        kind = type(field.default)
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", type=kind, default=field.default, help="setting of the service"
        )
    parser.add_argument("--cores", type=int, default=Node.cores, help="cores of a machine")
    parser.add_argument("--memory-bytes", type=int, default=Node.memory_bytes, help="memory of a machine")
    parser.add_argument(
        "--network-bits-per-second", type=float, default=8 * Node.network_bytes_per_second, help="network of a machine"
    )
    asked = parser.parse_args()
    try:
        load = Load(asked.requests_per_second, asked.elements, asked.format)
        node = Node(asked.cores, asked.memory_bytes, asked.network_bits_per_second / 8)
        found = plan(load, node, Limits(**{field.name: getattr(asked, field.name) for field in fields(Limits)}))
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: {error}.\n")
    sys.stdout.write(
        f"processes of one core: {found.replicas}, memory: {found.memory_bytes / 1e9:.1f} GB, "
        f"network: {8 * found.network_bytes_per_second / 1e9:.2f} Gbit/s each way, "
        f"nodes: {found.nodes}, first full: {found.saturates}\n"
        f"mean wait: {found.wait_seconds * 1e3:.2f} ms, burst of one process within "
        f"{asked.max_wait_seconds:g} s: {found.burst}\n"
    )


if __name__ == "__main__":
    main()
