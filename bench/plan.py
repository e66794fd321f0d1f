"""What is measured: sizes, and who takes part."""

from __future__ import annotations

from bench.results import CLASSES, CONNECTIONS, PEERS, ROWS, Point

Shape = tuple[int, int]

SHAPES: tuple[Shape, ...] = ((1, 10), (32, 10), (64, 1000), (1024, 1000))
"""Rows and classes of the comparison with the peers."""

CONNECTION_COUNT = 8
"""Connections at once, wherever they are not what grows."""

GROWTH = (
    *(Point(ROWS, rows, 10, CONNECTION_COUNT) for rows in (1, 10, 100, 1_000, 10_000, 100_000)),
    *(Point(CLASSES, 10, classes, CONNECTION_COUNT) for classes in (10, 100, 1_000, 10_000, 100_000)),
    *(Point(CONNECTIONS, 32, 10, connections) for connections in (1, 2, 4, 8, 16, 32, 64)),
)

GROWING = ("service", "fastapi", "echo")
"""Services whose growth is measured: the others would add lines to the picture but nothing to the question."""

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
"""Which ratios are told: everybody on the same JSON, then the other doors beside what they are nearest to."""

QUICK = ("service", "fastapi", "echo")
"""Services of a quick run."""


def points(service: str, shapes: tuple[Shape, ...], *, growth: bool) -> list[Point]:
    """What a service is asked, smallest first, so that memory kept from one point does not count in the next."""
    asked = [Point(PEERS, rows, classes, CONNECTION_COUNT) for rows, classes in shapes]
    if growth and service in GROWING:
        asked += GROWTH
    return sorted(asked, key=lambda point: point.rows * point.classes)
