"""Kullback-Leibler divergence of target probabilities from a softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.compute.scaled import Numbers, choose, mantissas, product, rounded

if TYPE_CHECKING:
    from service.arrays import Floats

NEAR = 0.5
"""Difference of logarithms up to which exp(x) - 1 - x is a series, since its terms would cancel."""

COEFFICIENTS = tuple(1.0 / np.cumprod(np.arange(1.0, 17.0))[1:])
"""1 / 2!, 1 / 3!, ..., 1 / 16!: the rest of the series is below the rounding up to `NEAR`."""


def log_ratios(targets: Floats, surprisals: Numbers) -> Numbers:
    """Return (n, K) log p - log t for target probabilities t and surprisals -log p; 0 where t is 0."""
    is_positive = targets > 0.0
    return choose(is_positive, -(surprisals + np.log(np.where(is_positive, targets, 1.0))), 0.0)


def divergence_terms(targets: Numbers, probabilities: Numbers, ratios: Numbers) -> Numbers:
    """Return (n, K) t log(t / p) - t + p, which is never negative, and 0 only where t = p.

    With x = log p - log t the term is t (exp(x) - 1 - x). It is p where t is 0, and infinite where only p is 0.

    targets: (n, K) t, finite and not negative; probabilities: (n, K) p; ratios: (n, K) x.
    """
    near = np.clip(rounded(ratios), -NEAR, NEAR)
    series = np.zeros_like(near)
    for coefficient in reversed(COEFFICIENTS):
        series *= near
        series += coefficient
    far = (probabilities - targets) - product(targets, ratios)
    terms = choose(
        np.abs(rounded(ratios)) <= NEAR, targets * near * near * series, choose(mantissas(far) > 0.0, far, 0.0)
    )
    return choose(mantissas(targets) > 0.0, terms, probabilities)
