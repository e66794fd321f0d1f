"""The matrices of a row: the Jacobian of its probabilities, and what a Hessian is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.compute import softcap as softcaps
from service.compute.extended import ExtendedSoftmax
from service.compute.gradients import HARMLESS
from service.compute.scaled import MOST, Factor, Numbers, Scaled, column, in_range, largest, rounded, rows_of
from service.compute.softmax import Softmax

if TYPE_CHECKING:
    from service.arrays import Floats

LEAST_PROBABILITY = 2.0**-400
"""Probability whose square times a factor is far from underflow."""


def jacobian(softmax: Softmax) -> Floats:
    """Return (n, K, K) dp_i/dz_j = p_i (delta_ij - p_j) / T * dc_j/dz_j."""
    softcap = softmax.softcap
    slopes = None if softcap is None else Scaled.of(softcaps.slopes(softmax.logits, softcap))
    return curvature(softmax, 1.0 / in_range(softmax.temperature), 0.0, slopes)


def curvature(softmax: Softmax, spread: Factor, square: Factor, slopes: Scaled | None = None) -> Floats:
    """Return (n, K, K) spread (diag p - p p^T) + square p p^T, for (n,) or single factors.

    slopes: (n, K) factor of each column j; None for 1.
    """
    if max(largest(spread), largest(square)) <= HARMLESS:
        return _curvature(softmax, rounded(spread), rounded(square), slopes)
    size = np.maximum(np.abs(rounded(spread)), np.abs(rounded(square)))
    lost = (size > HARMLESS) & ~((size <= MOST) & (softmax.probabilities.min(axis=-1) >= LEAST_PROBABILITY))
    rows = np.flatnonzero(lost)
    if len(rows) == lost.size:
        return _curvature(ExtendedSoftmax(softmax), spread, square, slopes)
    result = _curvature(softmax, rounded(spread), rounded(square), slopes)
    if len(rows):
        some = Softmax(softmax.logits[rows], softmax.temperature, softmax.softcap)
        their_slopes = None if slopes is None else rows_of(slopes, rows)
        result[rows] = _curvature(ExtendedSoftmax(some), rows_of(spread, rows), rows_of(square, rows), their_slopes)
    return result


def _curvature(of: Softmax | ExtendedSoftmax, spread: Factor, square: Factor, slopes: Scaled | None) -> Floats:
    p, q, spread, square = of.probabilities, of.complements, column(spread), column(square)
    outer = _outer((square - spread) * p, p)
    diagonal = p * (spread * q + square * p)
    places = np.arange(of.doubles.logits.shape[1])
    if isinstance(outer, Scaled):
        outer.mantissa[:, places, places], outer.exponent[:, places, places] = Scaled.of(diagonal)
    else:
        outer[:, places, places] = diagonal
    return rounded(outer if slopes is None else outer * slopes.each(lambda part: part[:, None, :]))


def _outer(left: Numbers, right: Numbers) -> Numbers:
    """Return (n, K, K) left_i right_j."""
    if not isinstance(left, Scaled) and not isinstance(right, Scaled):
        return left[:, :, None] * right[:, None, :] + 0.0
    left, right = Scaled.of(left), Scaled.of(right)
    return Scaled(
        left.mantissa[:, :, None] * right.mantissa[:, None, :] + 0.0,
        left.exponent[:, :, None] + right.exponent[:, None, :],
    )
