"""The softcap c = S tanh(z / S), and differences of capped logits that keep their digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.compute.rows import exact_difference, included_classes, scaled_difference
from service.compute.scaled import Numbers, Scaled, choose, in_range, largest, ldexp, lifted, mantissas, rounded

if TYPE_CHECKING:
    from service.arrays import Floats

LINEAR = 1e-8
"""Quotient z / S below which tanh(z / S) rounds to z / S."""

NEAR = 200.0
"""Quotient |max z| / S up to which no factor of a distance, nor their product, leaves the normal range of doubles."""

MODERATE = 2.0**900
"""Softcap S up to which tanh(z / S) saturates before z overflows. Its inverse is the least S for which 2 / S is safe."""

FAR = 2.0
"""Quotient |z| / S from which on its rounding costs dc/dz more than 4 units."""


def capped(logits: Floats, softcap: float, temperature: float) -> Numbers:
    """Return S tanh(z / S) / T of finite logits."""
    quotients = logits / softcap
    curved = Scaled.of(np.tanh(quotients)) * softcap
    return choose(np.abs(quotients) < LINEAR, logits, curved) / temperature


def capped_distances(logits: Floats, maximum: Floats, softcap: float, temperature: float) -> Numbers:
    """Return d = (c - max c) / T, at most 0, -inf for a logit of -inf.

    tanh a - tanh b = 2 expm1(2 (a - b)) / ((1 + exp(2 a)) (1 + exp(-2 b))), which does not cancel where both saturate.

    logits: (n, K) or of one class of each row, (n,); maximum: max z, finite, (n, 1) or (n,).
    """
    b = maximum / softcap
    distances: Numbers
    if 1.0 / MODERATE <= softcap <= MODERATE:
        # half the time of a division; a difference that overflows is as good as one that does not
        scale = 2.0 / softcap
        distances, left = logits - maximum, logits * scale
        distances *= scale
    else:
        distances, left = scaled_difference(logits, maximum, softcap), logits / softcap
        distances *= 2.0
        left *= 2.0
    np.expm1(distances, out=distances)
    np.exp(left, out=left)
    left += 1.0
    right = 1.0 + np.exp(-2.0 * b)
    far: Numbers | None = None
    if largest(b) > NEAR:
        far = distances * lifted(1.0 / left, logits / softcap * -2.0) * lifted(1.0 / right, 2.0 * b)
        far = far * Scaled.of(softcap) * 2.0 / in_range(temperature)
    distances /= left
    factor = in_range(softcap) * 2.0 / right / in_range(temperature)
    if isinstance(factor, Scaled):
        distances = distances * factor
    else:
        distances *= factor
    if far is not None:
        # row by row, so that the bits of a row do not depend on the others
        distances = choose(np.abs(b) > NEAR, far, distances)
    is_linear = np.abs(b) < LINEAR
    if is_linear.any():
        near = exact_difference(logits, maximum) / in_range(temperature)
        distances = choose(is_linear & (np.abs(logits / softcap) < LINEAR), near, distances)
    included = included_classes(logits)
    return distances if included is None else choose(included, distances, -np.inf)


def slopes(logits: Floats, softcap: float) -> Numbers:
    """Return dc/dz = 1 / cosh(z / S)**2 as 4 E / (1 + E)**2 with E = exp(-2 |z| / S): 1 - tanh**2 would cancel."""
    sizes = np.abs(logits)
    quotients = sizes / softcap
    exponents = quotients * -2.0
    decay = lifted(np.exp(exponents), exponents)
    if quotients.size and quotients.item(quotients.argmax()) > FAR:
        is_far = (quotients > FAR) & (quotients < np.inf)
        mantissas(decay)[is_far] *= 1.0 - 2.0 * _rounding(sizes[is_far], quotients[is_far], softcap)
    return decay * (4.0 / (1.0 + rounded(decay)) ** 2)


def _rounding(dividends: Floats, quotients: Floats, divisor: float) -> Floats:
    """Return dividends / divisor - quotients, from the exact product of quotients and divisor (Dekker, 1971)."""
    dividend, quotient, by = Scaled.of(dividends), Scaled.of(quotients), Scaled.of(divisor)
    (high, low), (by_high, by_low) = _halves(quotient.mantissa), _halves(by.mantissa)
    product = quotient.mantissa * by.mantissa
    error = ((high * by_high - product) + high * by_low + low * by_high) + low * by_low
    rest = dividend.in_units(quotient.exponent + by.exponent) - product - error
    return ldexp(rest / by.mantissa, quotient.exponent)


def _halves(values: Floats) -> tuple[Floats, Floats]:
    """Return values from 1/2 to 1 as sums of two numbers of 26 bits, so that their products are exact."""
    high = values * (2.0**27 + 1.0)
    high = high - (high - values)
    return high, values - high
