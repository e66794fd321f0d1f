"""The softcap c = S tanh(z / S), and differences of capped logits that keep their digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.compute.rows import scaled_difference
from service.compute.scaled import Scaled, scaled_exp

if TYPE_CHECKING:
    from service.arrays import Floats

LINEAR = 1e-8
"""Quotient z / S below which tanh(z / S) rounds to z / S."""


def capped(logits: Floats, softcap: float, temperature: float) -> Scaled:
    """Return S tanh(z / S) / T of finite logits."""
    quotients = logits / softcap
    curved = Scaled.of(np.tanh(quotients)) * Scaled.of_number(softcap)
    linear = Scaled.of(logits)
    chosen = [np.where(np.abs(quotients) < LINEAR, *parts) for parts in zip(linear, curved, strict=True)]
    return Scaled(*chosen) / Scaled.of_number(temperature)


def capped_distances(logits: Floats, maximum: Floats, softcap: float, temperature: float) -> Floats:
    """Return (n, K) d = (c - max c) / T, at most 0, -inf for a logit of -inf.

    tanh a - tanh b = 2 expm1(2 (a - b)) / ((1 + exp(2 a)) (1 + exp(-2 b))), which does not cancel where both saturate.

    maximum: (n,) max z, finite.
    """
    a, b = logits / softcap, (maximum / softcap)[:, None]
    curved = np.expm1(2.0 * scaled_difference(logits, maximum, softcap))
    curved /= 1.0 + np.exp(2.0 * a)
    curved /= 1.0 + np.exp(-2.0 * b)
    scale, exponent = Scaled.of_number(softcap) / Scaled.of_number(temperature)
    distances = np.ldexp(curved * scale, exponent + 1)
    is_linear = (np.abs(a) < LINEAR) & (np.abs(b) < LINEAR)
    if is_linear.any():
        distances = np.where(is_linear, scaled_difference(logits, maximum, temperature), distances)
    distances[np.isneginf(logits)] = -np.inf
    return distances


def slopes(logits: Floats, softcap: float) -> Scaled:
    """Return dc/dz = 1 / cosh(z / S)**2 as 4 E / (1 + E)**2 with E = exp(-2 |z| / S): 1 - tanh**2 would cancel."""
    decay = scaled_exp(-2.0 * np.abs(logits / softcap))
    return decay * (4.0 / (1.0 + decay.rounded()) ** 2)
