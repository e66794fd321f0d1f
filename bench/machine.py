"""The machine of a run, and the versions of a service."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

from bench.services import OURS
from service.formats.codecs import active_codecs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.services import Service


FLAGS = "flags of this service"


def describe() -> dict[str, str]:
    """Return the machine, the date, and the flags and JSON codecs of this service."""
    cpu = dict(_pairs(Path("/proc/cpuinfo"))).get("model name", platform.machine())
    memory = dict(_pairs(Path("/proc/meminfo")))["MemTotal"]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "cpu": cpu,
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(memory.removesuffix(' kB')) / 2**20:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "JSON codecs": ", ".join(f"{role} {name}" for role, name in active_codecs().items()),
        FLAGS: OURS.partition("{port} ")[2],
    }


def versions(service: Service) -> dict[str, str]:
    """Return the versions of the packages of a service, without those that are not installed."""
    folder = next(service.commands.parent.glob("lib/python*/site-packages"))
    found = {distribution.name.lower(): distribution.version for distribution in distributions(path=[str(folder)])}
    return {name: found[name] for name in service.packages if name in found}


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the lines "name: value" of a file."""
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        yield name.strip(), value.strip()
