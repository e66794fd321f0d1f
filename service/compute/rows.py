"""Rows of (n, K) arrays: their elements, sums and differences."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from service.compute.scaled import Scaled, choose

if TYPE_CHECKING:
    from service.arrays import Array, Floats, Integers, Mask
    from service.compute.scaled import AnyNumbers, Factor, Numbers


MANY_ROWS = 65_536
"""Rows up to which `starts` keeps its results, each of at most 512 kB."""


def starts(rows: int, classes: int) -> Integers:
    """Return (n,) the position of each row in a flat (n, K)."""
    return _kept_starts(rows, classes) if rows <= MANY_ROWS else np.arange(0, rows * classes, classes)


@lru_cache(maxsize=8)
def _kept_starts(rows: int, classes: int) -> Integers:
    return np.arange(0, rows * classes, classes)


def places(values: Array, classes: Integers) -> Integers:
    """Return (n,) the position of values[n, classes[n]] in a flat (n, K)."""
    return classes if len(values) == 1 else starts(*values.shape) + classes


def at(values: AnyNumbers, classes: Integers) -> AnyNumbers:
    """Return (n,) values[n, classes[n]] of contiguous (n, K) numbers."""
    if isinstance(values, Scaled):
        return Scaled(*(at(part, classes) for part in values))
    return values.take(places(values, classes))


def argmax(values: Numbers) -> Integers:
    """Return (n,) the class of the largest of (n, K) numbers that are not negative."""
    if isinstance(values, Scaled):
        values = values.in_units(np.max(values.order, axis=-1, keepdims=True))
    classes: Integers = values.argmax(axis=-1)
    return classes


def put(values: Numbers, classes: Integers, new: Factor) -> None:
    """Set values[n, classes[n]] = new[n] in contiguous (n, K) numbers."""
    if isinstance(values, Scaled):
        for part, other in zip(values, Scaled.of(new), strict=True):
            put(part, classes, other)
    else:
        values.ravel()[places(values, classes)] = new


def included_classes(logits: Array) -> Mask | None:
    """Return (n, K) the classes whose logit is not -inf; None for all."""
    # argmin takes a quarter of the time of min for a small array
    return logits != -np.inf if logits.size and not logits.item(logits.argmin()) > -np.inf else None


def row_sums(values: AnyNumbers, included: Mask | None = None) -> AnyNumbers:
    """Return (n,) sums over the classes, in the precision of the values.

    Each row is added pairwise on its own, excluded classes left out. So the bits of its sum depend neither on the other
    rows nor on how many classes are excluded.

    values: (n, K), contiguous; included: (n, K), None for every class.
    """
    if isinstance(values, Scaled):
        # excluded classes must not set the unit of the sum
        kept = values if included is None else Scaled(np.where(included, values.mantissa, 0.0), values.exponent)
        return kept.by_rows(partial(row_sums, included=included))
    if included is None:
        return np.add.reduceat(values.ravel(), starts(*values.shape))
    # in a quarter of the time of values[included]
    positions = included.ravel().nonzero()[0]
    bounds = positions.searchsorted(starts(len(values) + 1, values.shape[1]))
    sums, occupied = np.zeros(len(values), values.dtype), bounds[1:] > bounds[:-1]
    sums[occupied] = np.add.reduceat(values.take(positions), bounds[:-1][occupied])
    return sums


def row_totals(values: AnyNumbers, included: Mask | None) -> AnyNumbers:
    """Return (n,) sums over all classes, those that are excluded last."""
    if isinstance(values, Scaled):
        return values.by_rows(partial(row_totals, included=included))
    sums = row_sums(values, included)
    return sums if included is None else sums + np.add.reduce(np.where(included, 0.0, values), axis=-1)


def scaled_difference(values: Floats, references: Floats, scale: float) -> Floats:
    """Return (values - references) / scale, also where the difference alone is beyond double range."""
    if scale <= 1.0:
        # a difference that overflows does so after the division too
        difference = values - references
        if scale != 1.0:
            difference /= scale
        return difference
    try:
        with np.errstate(over="raise"):
            difference = values - references
    except FloatingPointError:
        difference = values - references
        halved = (values / 2.0 - references / 2.0) / (scale / 2.0)
        return np.where(np.isinf(difference), halved, difference / scale)
    difference /= scale
    return difference


def exact_difference(values: Floats, references: Floats) -> Numbers:
    """Return values - references, also beyond double range."""
    difference = values - references
    return choose(np.isinf(difference), Scaled.of(values / 2.0 - references / 2.0) * 2.0, difference)
