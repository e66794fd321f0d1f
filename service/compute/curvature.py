"""The matrices of a row: the Jacobian of its probabilities, and what a Hessian is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.compute import softcap as softcaps
from service.compute.extended import ExtendedSoftmax
from service.compute.gradients import HARMLESS
from service.compute.scaled import MOST, Numbers, Scaled, column, in_range, largest, rounded

if TYPE_CHECKING:
    from service.arrays import Floats
    from service.compute.softmax import Softmax

LEAST_PROBABILITY = 2.0**-400
"""Probability whose square times a factor is far from underflow."""


def jacobian(softmax: Softmax) -> Floats:
    """Return (n, K, K) dp_i/dz_j = p_i (delta_ij - p_j) / T * dc_j/dz_j."""
    derivative = curvature(softmax, 1.0 / in_range(softmax.temperature), 0.0)
    if softmax.softcap is not None:
        slopes = Scaled.of(softcaps.slopes(softmax.logits, softmax.softcap))
        derivative = derivative * slopes.each(lambda part: part[:, None, :])
    return rounded(derivative)


def curvature(softmax: Softmax, spread: Numbers, square: Numbers) -> Numbers:
    """Return (n, K, K) spread (diag p - p p^T) + square p p^T, for (n,) or single factors."""
    size = max(largest(spread), largest(square))
    is_safe = size <= HARMLESS or (size <= MOST and softmax.probabilities.min(initial=1.0) >= LEAST_PROBABILITY)
    of = softmax if is_safe else ExtendedSoftmax(softmax)
    p, q, spread, square = of.probabilities, of.complements, column(spread), column(square)
    outer = _outer((square - spread) * p, p)
    diagonal = p * (spread * q + square * p)
    places = np.arange(softmax.logits.shape[1])
    if not isinstance(outer, Scaled):
        outer[:, places, places] = rounded(diagonal)
        return outer
    outer.mantissa[:, places, places], outer.exponent[:, places, places] = Scaled.of(diagonal)
    return outer


def _outer(left: Numbers, right: Numbers) -> Numbers:
    """Return (n, K, K) left_i right_j."""
    if not isinstance(left, Scaled):
        return left[:, :, None] * right[:, None, :] + 0.0
    right = Scaled.of(right)
    return Scaled(
        left.mantissa[:, :, None] * right.mantissa[:, None, :] + 0.0,
        left.exponent[:, :, None] + right.exponent[:, None, :],
    )
