"""Gradients of a layer made of dL/dz, with the digits that doubles lose."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from service.arrays import Floats, Integers
from service.compute import linear
from service.compute.pieces import add_product, rows_at_once
from service.compute.scaled import SAFE, TINY, Numbers, Scaled, rounded

if TYPE_CHECKING:
    from service.arrays import Mask

HARMLESS = 2.0**44
"""Factor of dL/dz up to which the digits that it lost to underflow, below 2**-1071, add less than 1e-309 to a result."""

ONE: Floats = np.ones((1, 1))
"""Factor of every dL/dz in that of the bias."""

Extended = Callable[[Integers], Scaled]
"""Function that returns (n, K) dL/dz of some rows beyond double range, given their places."""


def sum_over_rows(
    product: Callable[[Floats, Floats], Floats], gradient: Floats, operand: Floats, rate: float, extended: Extended
) -> Numbers:
    """Return (K, D) dL/dz.T @ operand, as `Scaled` where doubles may overflow or lose digits that the rate lifts.

    product: of two pieces; gradient: (N, K) dL/dz; operand: (N, D), or `ONE`; rate: of a step, 0 for none.
    """
    result = product(gradient, operand)
    harmless = is_harmless(len(gradient), operand, rate)
    if harmless and linear.norm(result) < np.inf:
        return result
    is_replaced = ~np.isfinite(result) | (not harmless and (_far_rows(gradient, SAFE).any() or _has_tiny(operand)))
    if not is_replaced.any():
        return result
    exact = Scaled(np.zeros(result.shape), np.zeros(result.shape, np.int32))
    length = rows_at_once(*result.shape)
    for start in range(0, len(gradient), length):
        rows = np.arange(len(gradient))[start : start + length]
        factors = operand if operand is ONE else operand[rows]
        add_product(exact, product, _exact(gradient, rows, extended), factors, over_rows=True)
    kept = ~is_replaced
    exact.mantissa[kept], exact.exponent[kept] = Scaled.of(result[kept])
    return exact


def inputs_gradient(gradient: Floats, weights: Floats, extended: Extended) -> Floats:
    """Return (N, D) dL/dx, given dL/dz (N, K) and the weights (K, D)."""
    result = linear.by_rows(gradient, weights)
    harmless = is_harmless(gradient.shape[1], weights)
    if harmless and linear.norm(result) < np.inf:
        return result
    is_replaced: Mask = ~np.asarray(np.isfinite(result).all(axis=1))
    if not harmless:
        is_replaced = is_replaced | _far_rows(gradient, SAFE) | _has_tiny(weights)
    length = rows_at_once(*weights.shape)
    for start in range(0, len(gradient), length):
        rows = start + np.flatnonzero(is_replaced[start : start + length])
        if not len(rows):
            continue
        shape = len(rows), result.shape[1]
        exact = Scaled(np.zeros(shape), np.zeros(shape, np.int32))
        add_product(exact, linear.by_rows, _exact(gradient, rows, extended), weights, over_rows=False)
        result[rows] = rounded(exact)
    return result


def _exact(gradient: Floats, rows: Integers, extended: Extended) -> Scaled:
    """Return (n, K) dL/dz of some rows with the digits that doubles lose."""
    is_far = _far_rows(gradient[rows], TINY)
    if is_far.all():
        return extended(rows)
    exact, places = Scaled.of(gradient[rows]), np.flatnonzero(is_far)
    if len(places):
        exact.mantissa[places], exact.exponent[places] = extended(rows[places])
    return exact


def is_harmless(count: int, operand: Floats, rate: float = 0.0) -> bool:
    """Return whether that many products with an operand, times a rate, lift nothing that dL/dz may have lost."""
    return count * (1.0 + linear.norm(operand)) * (1.0 + abs(rate)) <= HARMLESS


def _far_rows(gradient: Floats, least: float) -> Mask:
    """Return (n,) the rows of dL/dz with a number that is below the least size, or that overflowed."""
    sizes = np.abs(gradient)
    far: Mask = ((sizes < least) | (sizes == np.inf)).any(axis=1)
    return far


def _has_tiny(operand: Floats) -> bool:
    """Return whether products with a number of the operand may lose digits to underflow."""
    sizes = np.abs(operand)
    return bool(((sizes < SAFE) & (sizes > 0.0)).any())
