"""Draw the throughput of the services, and the cost of a request as it grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import svg
from bench.plan import GROWING
from bench.results import CLASSES, CONNECTIONS, PEERS, ROWS, Measurement, Point, Results
from bench.services import TITLES
from bench.tables import present

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH = 960
MARGIN = 24
LABELS = 168
VALUES = 60
BAR = 16
STEP = 22
SHORTEST = 0.2
HEAD = 56

PANEL_WIDTH, PANEL_HEIGHT = 300, 250
AXIS = 52
LINE_LABELS = 84
LINE_LABEL_STEP = 15


def style(name: str) -> str:
    """Return the colour and the width of the line of a service."""
    if name == "service":
        return "ours"
    if name.startswith("service-"):
        return "door"
    return "limit" if name.startswith("echo") else "peer"


def throughput(results: Results) -> str:
    """Draw the requests per second of every service, one panel for each shape, the fastest on top."""
    points = results.points(PEERS)
    panel_height = 64 + STEP * len(results.services)
    parts = [
        svg.text(MARGIN, 34, "Requests per second: softmax over HTTP, server on one core", "title"),
    ]
    for index, point in enumerate(points):
        x = index % 2 * WIDTH / 2
        parts += _bars(results, point, x, HEAD + index // 2 * panel_height)
    height = HEAD + (len(points) + 1) // 2 * panel_height
    return svg.document(WIDTH, height, "Requests per second of this service and its peers", parts)


def _bars(results: Results, point: Point, x: float, y: float) -> list[str]:
    """Draw the panel of one shape."""
    rates = {
        service.name: results.median(service.name, point, lambda m: m.requests_per_second)
        for service in present(results)
    }
    measured = {name: rate for name, rate in rates.items() if rate is not None}
    names = sorted(measured, key=measured.__getitem__, reverse=True) + [name for name in rates if name not in measured]
    low, high = svg.decades_around(measured.values(), below=SHORTEST)
    scale = svg.LogScale(low, high, x + MARGIN + LABELS, x + WIDTH / 2 - MARGIN - VALUES)
    top, bottom = y + 26, y + 26 + STEP * len(names)
    parts = [svg.text(x + MARGIN, y + 12, f"{point.shape} logits", "panel")]
    for decade in scale.decades():
        parts.append(svg.line(scale(decade), top, scale(decade), bottom))
        parts.append(svg.text(scale(decade), bottom + 14, svg.power(decade), "soft", "middle"))
    for index, name in enumerate(names):
        parts += _bar(name, measured.get(name), scale, top + index * STEP)
    return parts


def _bar(name: str, rate: float | None, scale: svg.LogScale, y: float) -> list[str]:
    weight = "strong" if name == "service" else ""
    label = svg.text(scale.start - 8, y + 14, TITLES[name], weight, "end")
    if rate is None:
        return [label, svg.text(scale.start + 6, y + 14, "not measured", "soft")]
    bar = svg.bar(scale.start, y + (STEP - BAR) / 2, scale(rate) - scale.start, BAR, style(name))
    return [label, bar, svg.text(scale(rate) + 6, y + 14, svg.number(rate), f"halo {weight}")]


@dataclass(frozen=True)
class Panel:
    """One panel of the growth picture."""

    title: str
    part: str
    unit: str
    size: Callable[[Point], int]
    figure: Callable[[Measurement], float]


PANELS = (
    Panel("CPU ms per request", ROWS, "rows of 10 classes", lambda p: p.rows, lambda m: m.cpu_ms),
    Panel("CPU ms per request", CLASSES, "classes in 10 rows", lambda p: p.classes, lambda m: m.cpu_ms),
    Panel(
        "Requests per second",
        CONNECTIONS,
        "connections, 32 x 10",
        lambda p: p.connections,
        lambda m: m.requests_per_second,
    ),
)


def growth(results: Results) -> str:
    """Draw the cost of a request as it grows, and the throughput as connections grow."""
    parts = [
        svg.text(MARGIN, 34, "How cost grows: this service, plain FastAPI, and the bare echo as the limit", "title")
    ]
    for index, panel in enumerate(PANELS):
        parts += _panel(results, panel, MARGIN + index * (PANEL_WIDTH + 6), HEAD)
    return svg.document(WIDTH, HEAD + PANEL_HEIGHT + 12, "Cost of a request against its size", parts)


def _panel(results: Results, panel: Panel, x: float, y: float) -> list[str]:
    curves = {name: _curve(results, panel, name) for name in GROWING}
    values = [pair for pairs in curves.values() for pair in pairs]
    if not values:
        return []
    across = svg.LogScale(*svg.decades_around(size for size, _ in values), x + AXIS, x + PANEL_WIDTH - LINE_LABELS)
    up = svg.LogScale(*svg.decades_around(value for _, value in values), y + PANEL_HEIGHT - 40, y + 28)
    parts = [svg.text(x, y + 12, panel.title, "panel")]
    for decade in across.decades():
        parts.append(svg.line(across(decade), up.start, across(decade), up.end))
        parts.append(svg.text(across(decade), up.start + 16, svg.power(decade), "soft", "middle"))
    for decade in up.decades():
        parts.append(svg.line(across.start, up(decade), across.end, up(decade)))
        parts.append(svg.text(across.start - 6, up(decade) + 4, svg.power(decade), "soft", "end"))
    parts.append(svg.text((across.start + across.end) / 2, up.start + 36, panel.unit, "soft", "middle"))
    ends = {}
    for name, pairs in curves.items():
        if pairs:
            points = [(across(size), up(value)) for size, value in pairs]
            parts.append(svg.curve(points, style(name)))
            ends[name] = points[-1]
    return parts + _line_labels(ends)


def _curve(results: Results, panel: Panel, name: str) -> list[tuple[int, float]]:
    """Return the points (size, figure) of a service, smallest first."""
    found = [(panel.size(point), results.median(name, point, panel.figure)) for point in results.points(panel.part)]
    return [(size, figure) for size, figure in found if figure]


def _line_labels(ends: dict[str, tuple[float, float]]) -> list[str]:
    """Write the name of each line at its end, moved down where two would overlap."""
    parts, lowest = [], 0.0
    for name, (x, y) in sorted(ends.items(), key=lambda item: item[1][1]):
        lowest = max(y, lowest + LINE_LABEL_STEP)
        parts.append(svg.text(x + 8, lowest + 4, TITLES[name], "strong" if name == "service" else ""))
    return parts
