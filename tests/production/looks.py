"""Observe a server from outside: its metrics, its processes, their memory."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from tests.connections import connection, get

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MIB = 2**20


async def metric(address: str, name: str, **labels: str) -> float:
    """Return the sum of the samples of a name with these labels."""
    async with connection(address) as peer:
        reply = await peer.ask(get("/metrics"))
    families = text_string_to_metric_families(reply.body.decode())
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def workers(supervisor: int) -> set[int]:
    """Return the process ids of the ready workers of a supervisor: those that have mapped a file for gauges."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text(encoding="ascii").split()
    return {int(pid) for pid in children if "gauge_livesum_" in maps(pid)}


def maps(pid: str) -> str:
    """Return the files that a process has mapped, "" if it has ended."""
    try:
        return Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def memory(pid: int, name: str) -> float:
    """Return VmRSS (current) or VmHWM (peak) of a process, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return int(kilobytes) / 1024


async def eventually(look: Callable[[], Awaitable[object]], wanted: object, seconds: float) -> bool:
    """Return whether `look` returns a value within some seconds."""
    deadline = time.monotonic() + seconds
    while (seen := await look()) != wanted and time.monotonic() < deadline:  # noqa: ASYNC110 - another process changes it
        await asyncio.sleep(0.05)
    return seen == wanted


async def in_flight(address: str) -> tuple[float, float]:
    """Return the requests and the bytes in flight."""
    return await metric(address, "http_requests_in_flight"), await metric(address, "softmax_bytes_in_flight")


async def idle(address: str, seconds: float = 10) -> bool:
    """Return whether nothing is in flight within some seconds."""
    return await eventually(lambda: in_flight(address), (0, 0), seconds)
