"""Sums that do not depend on the order of what is summed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from service.compute.softmax import Floats


class ExactSum:
    """The sum of arrays of one shape, rounded once, at the end: their order changes no bit of it.

    It is held as a few arrays that add up to it exactly. What an addition rounds away is itself a double, and goes into
    the next of them. An infinite element makes the sum infinite there.

    .. [1] Shewchuk (1997), Adaptive precision floating-point arithmetic and fast robust geometric predicates.
    """

    def __init__(self) -> None:
        self._parts: list[Floats] = []

    def add(self, values: Floats) -> None:
        """Adds an array of float64."""
        rests = []
        with np.errstate(invalid="ignore"):
            for part in self._parts:
                values, rest = _add(values, part)
                if rest.any():
                    rests.append(rest)
        self._parts = [*rests, values]

    def total(self) -> Floats:
        """The sum, each element rounded to the nearest double."""
        columns = zip(*(part.ravel().tolist() for part in self._parts), strict=True)
        return np.array([math.fsum(column) for column in columns]).reshape(self._parts[0].shape)


def _add(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """a + b, and what rounding it lost, which is 0 where the sum is infinite."""
    total = np.asarray(a + b)
    shadow = total - a
    lost = (a - (total - shadow)) + (b - shadow)
    return total, np.where(np.isfinite(total), lost, 0.0)
