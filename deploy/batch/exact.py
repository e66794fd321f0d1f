"""Sums that do not depend on the order of their terms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from service.arrays import Floats


class ExactSum:
    """The sum of arrays of one shape, rounded once, at the end: the order of the terms changes no bit of it.

    The sum is held as a few arrays that add up to it exactly. The rounding error of an addition is itself a double, and
    becomes a further term. An infinite element makes the sum infinite at its place.

    .. [1] Shewchuk (1997), Adaptive precision floating-point arithmetic and fast robust geometric predicates.
    """

    def __init__(self) -> None:
        self._parts: list[Floats] = []

    def add(self, values: Floats) -> None:
        """Add an array of float64."""
        self.add_all(np.asarray(values)[None])

    def add_all(self, terms: Floats) -> None:
        """Add each array along the first axis of float64 terms, which has at least one."""
        self._parts = _distil(np.concatenate([part[None] for part in self._parts] + [terms]))

    def total(self) -> Floats:
        """Return the sum, each element rounded to the nearest double."""
        columns = zip(*(part.ravel().tolist() for part in self._parts), strict=True)
        return np.array([math.fsum(column) for column in columns]).reshape(self._parts[0].shape)


def _distil(terms: Floats) -> list[Floats]:
    """Return a few arrays with the exact sum of the terms (n, ...), by adding pairs and collecting their rounding errors."""
    parts = []
    while len(terms):
        errors = []
        while len(terms) > 1:
            half = len(terms) // 2
            sums, lost = _add(terms[:half], terms[half : 2 * half])
            errors.append(lost[lost.reshape(half, -1).any(axis=1)])
            terms = np.concatenate([sums, terms[2 * half :]])
        parts.append(terms[0])
        terms = np.concatenate(errors) if errors else terms[:0]
    return parts[::-1]


def _add(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Return a + b and its rounding error, which is 0 where the sum is infinite."""
    with np.errstate(invalid="ignore", over="ignore"):
        total = np.asarray(a + b)
        shadow = total - a
        lost = (a - (total - shadow)) + (b - shadow)
    return total, np.where(np.isfinite(total), lost, 0.0)
