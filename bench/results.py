"""Results of a run, as saved in results.json."""

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
"""Parts of a run: all services at a few shapes, and three that grow one dimension."""


@dataclass(frozen=True)
class Point:
    """Requests of (rows, classes) logits on a number of concurrent connections."""

    part: str
    rows: int
    classes: int
    connections: int

    @property
    def shape(self) -> str:
        """Return the shape as text."""
        return f"{self.rows} x {self.classes}"


@dataclass(frozen=True)
class Measurement:
    """Result of one window.

    cpu_seconds: CPU time of all processes of the server. busy: share of its core that the load generator used.
    """

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
        """Return the answered requests over the time from the first request to the last reply."""
        return self.requests / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Return the CPU time of the server for each request, in milliseconds."""
        return self.cpu_seconds / self.requests * 1e3

    @property
    def megabytes_per_second(self) -> float:
        """Return the bytes of request and reply bodies over time, in MB/s."""
        return (self.request_bytes + self.reply_bytes) * self.requests_per_second / 1e6

    @property
    def peak_megabytes(self) -> float:
        """Return the peak memory during the window, in MB."""
        return self.peak_bytes / 1e6


@dataclass(frozen=True)
class Start:
    """Start of a server. seconds: time to the first answer. idle_bytes: memory after it."""

    service: str
    seconds: float
    idle_bytes: int

    @property
    def idle_megabytes(self) -> float:
        """Return the memory after the first answer, in MB."""
        return self.idle_bytes / 1e6


@dataclass(frozen=True)
class Comparison:
    """Seconds of the computation alone: here on one core, here on all cores, and in SciPy."""

    quantity: str
    dtype: str
    rows: int
    classes: int
    one_core_seconds: float
    all_cores_seconds: float
    scipy_seconds: float


@dataclass
class Results:
    """A whole run.

    services: names of the services to measure. failures: reason why a service was not measured. versions: packages of each service.
    """

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
        """Return the points of a part, smallest first."""
        found = {measurement.point for measurement in self.measurements if measurement.point.part == part}
        return sorted(found, key=lambda point: (point.rows * point.classes, point.connections))

    def median(self, service: str, point: Point, figure: Callable[[Measurement], float]) -> float | None:
        """Return the median of a figure over the rounds, or None if it was not measured."""
        figures = [figure(found) for found in self.measurements if found.service == service and found.point == point]
        return median(figures) if figures else None

    def median_start(self, service: str, figure: Callable[[Start], float]) -> float | None:
        """Return the median of a figure of the starts, or None without starts."""
        figures = [figure(start) for start in self.starts if start.service == service]
        return median(figures) if figures else None


ADAPTER = TypeAdapter(Results)


def save(results: Results, path: Path) -> None:
    """Save a run as JSON."""
    path.write_bytes(ADAPTER.dump_json(results, indent=1) + b"\n")


def load(path: Path) -> Results:
    """Load a run."""
    return ADAPTER.validate_json(path.read_bytes())
