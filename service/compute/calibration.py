"""The temperature that minimises the mean cross-entropy of a batch."""

from __future__ import annotations

from math import inf, log, nan, sqrt
from typing import TYPE_CHECKING, NamedTuple

from service.compute.scaled import Scaled, rounded, total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from service.arrays import Floats
    from service.compute.evaluation import Reliability

LEAST, MOST = 1e-6, 1e6
"""Temperatures between which the minimum is searched."""

TOLERANCE = 1e-8
"""Relative step after which Newton's iteration, which squares it, has converged."""

MAX_STEPS = 36
"""Largest number of steps: with the first, two evaluations and the check of values, 40 passes over the batch."""


class Minimum(NamedTuple):
    """A temperature, and whether it is an end of the range because the loss falls towards it."""

    temperature: float
    at_bound: bool


class Evaluation(NamedTuple):
    """The mean loss of a batch at some temperature, nats, and its bins of confidence."""

    loss: Floats
    reliability: Reliability


class Distances(NamedTuple):
    """Mean distance of a class from the top one, max v - v, summed over the rows, at some temperature.

    observed: under the targets, sum_i a_i (max v - v_i). expected: under the probabilities, A sum_i p_i (max v - v_i).
    variance: A times the variance of v under p. With b = 1 / T and f the summed loss, b f'(b) = observed - expected, and
    b**2 f''(b) = variance.
    """

    observed: Scaled
    expected: Scaled
    variance: Scaled

    @classmethod
    def total(cls, parts: Iterable[Distances]) -> Distances:
        """Return the sums over the parts of a batch, in their order."""
        return cls(*(total(Scaled.stacked(values)) for values in zip(*parts, strict=True)))

    @property
    def log_ratio(self) -> float:
        """Logarithm of observed / expected, which has the sign of f'(b) and rises with b; 0 if both are 0."""
        if not self.observed or not self.expected:
            return inf if self.observed else -inf if self.expected else 0.0
        mantissa, exponent = self.observed / self.expected
        return log(mantissa) + float(exponent) * log(2.0)

    @property
    def step(self) -> float:
        """Relative step in b to the zero of `log_ratio` by Newton's method; NaN where its slope is unknown."""
        slope = float(rounded(self.variance / self.expected)) if self.expected else 0.0
        return -self.log_ratio / slope if 0.0 < slope < inf else nan


def minimum(distances: Callable[[float], Distances]) -> Minimum:
    """Return the temperature of the least loss.

    The loss is convex in b = 1 / T. Newton's iteration in b finds where the observed distance is the expected one. It
    compares their logarithms: far from the zero the expected distance falls like an exponential, whose logarithm is
    straight. The geometric mean of the interval known to hold the zero replaces a step that leaves it, and one after a step
    that did not halve the difference. While the interval has no end, its mean is the end of the range of T. Where every
    temperature has the same loss, T is 1.

    distances: returns those of all rows at a temperature.
    """
    now = distances(1.0)
    if now.log_ratio == 0.0:
        falls_to_least, falls_to_most = distances(LEAST).log_ratio <= 0.0, distances(MOST).log_ratio >= 0.0
        if falls_to_least is falls_to_most:
            return Minimum(1.0, at_bound=falls_to_least)
        return Minimum(LEAST if falls_to_least else MOST, at_bound=True)
    low, high, inverse, last = 0.0, inf, 1.0, inf
    for _ in range(MAX_STEPS):
        ratio, step = now.log_ratio, now.step
        if inverse == 1.0 / LEAST and ratio <= 0.0:
            return Minimum(LEAST, at_bound=True)
        if inverse == 1.0 / MOST and ratio >= 0.0:
            return Minimum(MOST, at_bound=True)
        low, high = (low, inverse) if ratio > 0.0 else (inverse, high)
        following = inverse * (1.0 + step)
        if abs(step) <= TOLERANCE and 1.0 / MOST <= following <= 1.0 / LEAST:
            return Minimum(1.0 / following, at_bound=False)
        is_slow = abs(ratio) > last / 2.0
        if is_slow or not low < following < high:
            following = sqrt(low) * sqrt(high)
        inverse, last = min(max(following, 1.0 / MOST), 1.0 / LEAST), abs(ratio)
        now = distances(1.0 / inverse)
    return Minimum(1.0 / inverse, at_bound=False)
