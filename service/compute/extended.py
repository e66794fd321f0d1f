"""Quantities of a softmax beyond the range of a double, and what is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.compute import softcap as softcaps
from service.compute.rows import at, put
from service.compute.scaled import ONE, ZERO, Scaled, scaled_exp
from service.compute.softmax import TINY

if TYPE_CHECKING:
    from service.arrays import Floats, Integers
    from service.compute.softmax import Softmax


def scaled_tail(softmax: Softmax) -> Scaled:
    """Return (n,) s with its digits where it is below double range."""
    mantissa, exponent = np.frexp(softmax.tail)
    small = softmax.small_tails
    if small is not None:
        mantissa[small.rows], exponent[small.rows] = small.scale * small.sums
    return Scaled(mantissa, exponent)


def scaled_probabilities(softmax: Softmax) -> Scaled:
    """Return (n, K) p with its digits where it is below double range."""
    tiny = softmax.probabilities < TINY
    if softmax.included is not None:
        tiny &= softmax.included
    mantissa, exponent = np.frexp(softmax.probabilities)
    if tiny.any():
        totals = np.broadcast_to((1.0 + softmax.tail)[:, None], tiny.shape)
        mantissa[tiny], exponent[tiny] = scaled_exp(softmax.distances[tiny]) / totals[tiny]
    return Scaled(mantissa, exponent)


def scaled_complements(softmax: Softmax) -> Scaled:
    """Return (n, K) q with its digits where it is below double range."""
    complements = Scaled.of(softmax.complements)
    mantissa, exponent = scaled_tail(softmax) / (1.0 + softmax.tail)
    put(complements.mantissa, softmax.top, mantissa)
    put(complements.exponent, softmax.top, exponent)
    return complements


def scaled_surprisals(softmax: Softmax, classes: Integers | None = None) -> Scaled:
    """Return -log p, (n, K), or (n,) of one class of each row, also where it is beyond double range."""
    if classes is None:
        surprisals, is_top = softmax.surprisals, np.arange(softmax.logits.shape[1]) == softmax.top[:, None]
        scaled = _beyond_range(softmax, surprisals, softmax.logits, softmax.reference[:, None])
    else:
        surprisals, is_top = softmax.surprisals_at(classes), classes == softmax.top
        scaled = _beyond_range(softmax, surprisals, at(softmax.logits, classes), softmax.reference)
    is_small = is_top & (surprisals < TINY)
    if is_small.any():
        tail = scaled_tail(softmax)
        for part, of_tail in zip(scaled, tail if classes is not None else tail.columns(), strict=True):
            part[is_small] = np.broadcast_to(of_tail, is_small.shape)[is_small]
    return scaled


def scaled_distances(softmax: Softmax) -> Scaled:
    """Return (n, K) d, 0 for an excluded class, also where it is beyond double range."""
    mantissa, exponent = _beyond_range(softmax, -softmax.finite_distances, softmax.logits, softmax.reference[:, None])
    return Scaled(-mantissa, exponent)


def _beyond_range(softmax: Softmax, values: Floats, logits: Floats, reference: Floats) -> Scaled:
    """Return the values, with (reference - logits) / T where they are infinite and the class is not excluded."""
    mantissa, exponent = np.frexp(values)
    is_beyond = np.isposinf(values) & (logits > -np.inf)
    if is_beyond.any():
        differences = Scaled.of(reference / 2.0 - logits / 2.0) / Scaled.of_number(softmax.temperature)
        mantissa[is_beyond], exponent[is_beyond] = (
            differences.mantissa[is_beyond],
            differences.exponent[is_beyond] + 1,
        )
    return Scaled(mantissa, exponent)


def scaled_log_normalizer(softmax: Softmax) -> Scaled:
    """Return (n,) l, 0 for an empty row, also where it is beyond double range."""
    return softmax.scaled_maximum() + Scaled.of(softmax.log_tail)


def jacobian(softmax: Softmax) -> Floats:
    """Return (n, K, K) dp_i/dz_j = p_i (delta_ij - p_j) / T * dc_j/dz_j."""
    derivative = curvature(softmax, ONE / Scaled.of_number(softmax.temperature), ZERO)
    if softmax.softcap is not None:
        mantissa, exponent = softcaps.slopes(softmax.logits, softmax.softcap)
        derivative *= Scaled(mantissa[:, None, :], exponent[:, None, :])
    return derivative.rounded()


def curvature(softmax: Softmax, spread: Scaled, square: Scaled) -> Scaled:
    """Return (n, K, K) spread (diag p - p p^T) + square p p^T, for (n,) factors."""
    p, q = scaled_probabilities(softmax), scaled_complements(softmax)
    spread, square = spread.columns(), square.columns()
    left = (square - spread) * p
    mantissa = left.mantissa[:, :, None] * p.mantissa[:, None, :] + 0.0
    exponent = left.exponent[:, :, None] + p.exponent[:, None, :]
    diagonal = np.arange(p.mantissa.shape[1])
    mantissa[:, diagonal, diagonal], exponent[:, diagonal, diagonal] = p * (spread * q + square * p)
    return Scaled(mantissa, exponent)
