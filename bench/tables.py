"""Tables of the report, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.plan import PAIRS
from bench.results import CLASSES, CONNECTIONS, PEERS, ROWS, Comparison, Measurement, Point, Results
from bench.services import SERVICES, TITLES, Service
from bench.svg import number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

FIGURES: Mapping[str, Callable[[Measurement], float]] = {
    "requests/s": lambda measurement: measurement.requests_per_second,
    "CPU ms": lambda measurement: measurement.cpu_ms,
    "p50 ms": lambda measurement: measurement.p50_ms,
    "p99 ms": lambda measurement: measurement.p99_ms,
    "MB/s": lambda measurement: measurement.megabytes_per_second,
    "peak MB": lambda measurement: measurement.peak_megabytes,
}
RATE, CPU = FIGURES["requests/s"], FIGURES["CPU ms"]

NOTHING = "-"


def ratios(results: Results) -> str:
    """Return the ratios to the other services: requests/s, and in brackets the inverse of the CPU time."""
    points = results.points(PEERS)
    lines = [
        [f"{TITLES[ours]} / {TITLES[other]}", *(_ratio(results, ours, other, point) for point in points)]
        for ours, other in PAIRS
        if {ours, other} <= set(results.services)
    ]
    return markdown(["", *(point.shape for point in points)], lines)


def shape(results: Results, point: Point) -> str:
    """Return every figure of every service at a shape, and the ratio to plain FastAPI."""
    lines = []
    for service in present(results):
        cells = [_cell(results.median(service.name, point, figure)) for figure in FIGURES.values()]
        times = _over(results.median(service.name, point, RATE), results.median("fastapi", point, RATE))
        title = f"{service.title} (failed)" if service.name in results.failures else service.title
        lines.append([title, *cells, times])
    return markdown(["", *FIGURES, "over plain FastAPI"], lines)


def starts(results: Results) -> str:
    """Return the start time, the memory after the start, the versions and the failures."""
    lines = []
    for service in present(results):
        versions = ", ".join(f"{name} {version}" for name, version in results.versions.get(service.name, {}).items())
        seconds = _cell(results.median_start(service.name, lambda start: start.seconds))
        idle = _cell(results.median_start(service.name, lambda start: start.idle_megabytes))
        lines.append([service.title, seconds, idle, versions or NOTHING, results.failures.get(service.name, "")])
    return markdown(["", "first answer after, s", "idle MB", "versions", "failure"], lines)


def growth(results: Results) -> str:
    """Return the cost of a request of this service as it grows."""
    lines = [
        [
            point.shape,
            str(point.connections),
            *(_cell(results.median("service", point, figure)) for figure in FIGURES.values()),
        ]
        for part in (ROWS, CLASSES, CONNECTIONS)
        for point in results.points(part)
    ]
    return markdown(["logits", "connections", *FIGURES], lines)


def compute(comparisons: list[Comparison]) -> str:
    """Return the time of the computation alone beside that of SciPy, a line for each shape and dtype."""
    lines: dict[tuple[str, str], list[str]] = {}
    for comparison in comparisons:
        cells = lines.setdefault((f"{comparison.rows:,} x {comparison.classes:,}", comparison.dtype), [])
        ours = (comparison.one_core_seconds, comparison.all_cores_seconds)
        cells += [number(seconds * 1e6) for seconds in (*ours, comparison.scipy_seconds)]
        cells += [f"{comparison.scipy_seconds / seconds:.2f}" for seconds in ours]
    header = [f"{name}, one core" for name in ("softmax µs", "log-softmax µs")]
    measured = ["all cores", "SciPy", "times faster", "on all cores"]
    columns = [column for name in header for column in (name, *measured)]
    return markdown(["logits", "dtype", *columns], [[*names, *cells] for names, cells in lines.items()])


def present(results: Results) -> list[Service]:
    """Return the services of the run, in the order of the table."""
    return [service for service in SERVICES if service.name in results.services]


def markdown(header: list[str], lines: Iterable[list[str]]) -> str:
    """Return a table whose first column is text and whose other columns are numbers."""
    rule = [":--", *("--:" for _ in header[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *lines]) + "\n"


def _ratio(results: Results, ours: str, other: str, point: Point) -> str:
    rates = [results.median(name, point, RATE) for name in (ours, other)]
    costs = [results.median(name, point, CPU) for name in (other, ours)]
    return f"{_over(*rates)} ({_over(*costs)})"


def _over(above: float | None, below: float | None) -> str:
    return number(above / below) if above and below else NOTHING


def _cell(value: float | None) -> str:
    return NOTHING if value is None else number(value)
