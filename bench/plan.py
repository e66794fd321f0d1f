"""Plan of a run: the shapes and the services."""

from __future__ import annotations

from bench.results import CLASSES, CONNECTIONS, PEERS, ROWS, Point

Shape = tuple[int, int]

SHAPES: tuple[Shape, ...] = ((1, 10), (32, 10), (64, 1000), (1024, 1000))
"""Rows and classes of the comparison with the peers."""

CONNECTION_COUNT = 8
"""Concurrent connections, except where their number grows."""

GROWTH = (
    *(Point(ROWS, rows, 10, CONNECTION_COUNT) for rows in (1, 10, 100, 1_000, 10_000, 100_000)),
    *(Point(CLASSES, 10, classes, CONNECTION_COUNT) for classes in (10, 100, 1_000, 10_000, 100_000)),
    *(Point(CONNECTIONS, 32, 10, connections) for connections in (1, 2, 4, 8, 16, 32, 64)),
)

GROWING = ("service", "fastapi", "echo")
"""Services whose growth is measured. More lines would make the picture harder to read."""

PAIRS = (
    *(
        ("service", other)
        for other in ("fastapi", "fastapi-async", "flask", "litserve", "bentoml", "mlserver", "ray", "echo")
    ),
    ("service-v2-json", "mlserver"),
    ("service-v2-json", "echo"),
    ("service-v2-binary", "echo-npy"),
    ("service-npy", "echo-npy"),
)
"""Pairs of services whose ratio is reported: the same JSON first, then the other formats."""

QUICK = ("service", "fastapi", "echo")
"""Services of a quick run."""


def points(service: str, shapes: tuple[Shape, ...], *, growth: bool) -> list[Point]:
    """Return the points of a service, smallest first, so that kept memory does not count in the next point."""
    asked = [Point(PEERS, rows, classes, CONNECTION_COUNT) for rows, classes in shapes]
    if growth and service in GROWING:
        asked += GROWTH
    return sorted(asked, key=lambda point: point.rows * point.classes)
