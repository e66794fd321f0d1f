"""What is measured, as it is kept in results.json."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = Path(__file__).with_name("results.json")

PEERS, ROWS, CLASSES, CONNECTIONS = "peers", "rows", "classes", "connections"
"""The parts of a run: everybody at a few sizes, and what one of three sizes costs as it grows."""


@dataclass(frozen=True)
class Point:
    """What is asked of a server: requests of (rows, classes) logits on so many connections at once."""

    part: str
    rows: int
    classes: int
    connections: int

    @property
    def shape(self) -> str:
        """Its size in words."""
        return f"{self.rows} x {self.classes}"


@dataclass(frozen=True)
class Measurement:
    """One window. cpu_seconds: of all processes of the server; busy: share of its core that the load took."""

    service: str
    point: Point
    requests: int
    seconds: float
    cpu_seconds: float
    busy: float
    p50_ms: float
    p99_ms: float
    request_bytes: int
    reply_bytes: int
    peak_bytes: int

    @property
    def requests_per_second(self) -> float:
        """Answered requests over the time from the first request to the last answer."""
        return self.requests / self.seconds

    @property
    def cpu_ms(self) -> float:
        """User and system time of the server for each request."""
        return self.cpu_seconds / self.requests * 1e3

    @property
    def megabytes_per_second(self) -> float:
        """Bodies, both ways."""
        return (self.request_bytes + self.reply_bytes) * self.requests_per_second / 1e6

    @property
    def peak_megabytes(self) -> float:
        """The most memory in use during the window."""
        return self.peak_bytes / 1e6


@dataclass(frozen=True)
class Start:
    """A server came up. seconds: to its first answer; idle_bytes: memory after it."""

    service: str
    seconds: float
    idle_bytes: int

    @property
    def idle_megabytes(self) -> float:
        """Memory after the first answer."""
        return self.idle_bytes / 1e6


@dataclass(frozen=True)
class Comparison:
    """Seconds that the same array takes here, on one core and on all of the machine, and in SciPy, without a server."""

    quantity: str
    dtype: str
    rows: int
    classes: int
    one_core_seconds: float
    all_cores_seconds: float
    scipy_seconds: float


@dataclass
class Results:
    """A whole run. services: who was to be measured; failures: what kept a service from being measured; versions: packages of each service."""

    machine: dict[str, str]
    seconds: float
    rounds: int
    services: list[str]
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    starts: list[Start] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)

    def points(self, part: str) -> list[Point]:
        """The points of a part, smallest first."""
        found = {each.point for each in self.measurements if each.point.part == part}
        return sorted(found, key=lambda point: (point.rows * point.classes, point.connections))

    def median(self, service: str, point: Point, figure: Callable[[Measurement], float]) -> float | None:
        """The median of a figure over the rounds; None if it was not measured."""
        found = [figure(each) for each in self.measurements if each.service == service and each.point == point]
        return median(found) if found else None

    def median_start(self, service: str, figure: Callable[[Start], float]) -> float | None:
        """The median of a figure of the starts; None if there was none."""
        found = [figure(each) for each in self.starts if each.service == service]
        return median(found) if found else None


ADAPTER = TypeAdapter(Results)


def save(results: Results, path: Path) -> None:
    """Writes a run as JSON."""
    path.write_bytes(ADAPTER.dump_json(results, indent=1) + b"\n")


def load(path: Path) -> Results:
    """Reads a run."""
    return ADAPTER.validate_json(path.read_bytes())
