"""Rows of logits on which implementations differ."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Family = Callable[[np.random.Generator, int, int], Floats]
"""Function of a generator, N and K that returns (N, K) logits."""


def normal(generator: np.random.Generator, count: int, classes: int) -> Floats:
    """Return N(0, 1) logits."""
    return generator.normal(size=(count, classes))


def offset(by: float) -> Family:
    """Return a family of N(0, 1) logits plus a constant."""
    return lambda generator, count, classes: normal(generator, count, classes) + by


def confident(gap: float) -> Family:
    """Return a family of N(0, 1) logits with one class of each row above the others by a gap."""

    def rows(generator: np.random.Generator, count: int, classes: int) -> Floats:
        logits = normal(generator, count, classes)
        raised = generator.integers(classes, size=count)
        logits[np.arange(count), raised] = logits.max(axis=1) + gap
        return logits

    return rows


def ends(limit: float) -> Family:
    """Return a family of the ends of a range and numbers between them."""
    return lambda generator, count, classes: generator.choice([limit, 0.9, 0.0, -limit], size=(count, classes))


FAMILIES: dict[str, Family] = {
    "N(0, 1)": normal,
    "offset 1e6": offset(1e6),
    "offset 1e15": offset(1e15),
    "gap 20": confident(20.0),
    "gap 38": confident(38.0),
    "gap 300": confident(300.0),
    "gap 700": confident(700.0),
}
