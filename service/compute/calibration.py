"""The temperature that minimises the mean cross-entropy of a batch."""

from __future__ import annotations

from math import exp, inf, log, sqrt
from typing import TYPE_CHECKING, NamedTuple

from service.compute.scaled import Numbers, Scaled, rounded

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.arrays import Floats
    from service.compute.evaluation import Reliability

LEAST, MOST = 1e-6, 1e6
"""Temperatures between which the minimum is searched."""

TOLERANCE = 1e-8
"""Relative step after which Newton's iteration, which squares it, has converged."""

PATIENT_STEPS = 15
"""Number of steps after which one that is not half of the last is replaced: most batches need fewer."""

MAX_STEPS = 35
"""Largest number of steps: with the first, an end, two evaluations and the check of values, 40 passes over the batch."""


class Minimum(NamedTuple):
    """A temperature, and whether it is an end of the range because the loss falls towards it."""

    temperature: float
    at_bound: bool


class Evaluation(NamedTuple):
    """The mean loss of a batch at some temperature, nats, and its bins of confidence."""

    loss: Floats
    reliability: Reliability


class Distances(NamedTuple):
    """Mean distance of the classes from the largest logit, over T, at some temperature.

    observed: under the targets. expected: under the probabilities, which approach the largest logit as T falls. The loss
    is least where both are equal: b df/db = observed - expected, with b = 1 / T. variance: b**2 d2f/db2.
    """

    observed: Numbers
    expected: Numbers
    variance: Numbers

    @property
    def ratio(self) -> float:
        """Logarithm of observed / expected: its sign is that of df/db."""
        if not self.observed or not self.expected:
            return inf if self.observed else -inf if self.expected else 0.0
        mantissa, exponent = Scaled.of(self.observed) / self.expected
        return log(mantissa) + float(exponent) * log(2.0)

    @property
    def step(self) -> float:
        """Relative step of Newton's iteration in b for the zero of the ratio; infinite where there is none."""
        decay = float(rounded(self.variance / self.expected)) if self.expected else 0.0
        return -self.ratio / decay if 0.0 < decay < inf else inf


def minimum(distances: Callable[[float], Distances]) -> Minimum:
    """Return the temperature of the least loss.

    The loss f is convex in b = 1 / T. Newton's iteration finds the zero of the logarithm of the observed distance over the
    expected one, rather than of df/db: far from it the expected distance may fall like an exponential, whose logarithm is
    straight. A step down that leaves the interval known to hold the zero is made in log b. The geometric mean of the
    interval replaces one that leaves it nevertheless, or that comes late and is not half of the last. Before the first of
    them, the end of the range is tried. Where every temperature has the same loss, T is 1.

    distances: returns those at a temperature.
    """
    now = distances(1.0)
    if now.ratio == 0.0:
        falls_to_least, falls_to_most = distances(LEAST).ratio <= 0.0, distances(MOST).ratio >= 0.0
        end = 1.0 if falls_to_least is falls_to_most else LEAST if falls_to_least else MOST
        return Minimum(end, falls_to_least or falls_to_most)
    end = LEAST if now.ratio < 0.0 else MOST
    is_open = True
    low, high, inverse, moved = 1.0 / MOST, 1.0 / LEAST, 1.0, inf
    for number in range(MAX_STEPS):
        if now.ratio == 0.0:
            break
        low, high = (low, inverse) if now.ratio > 0.0 else (inverse, high)
        is_open = is_open and (now.ratio > 0.0) is (end == MOST)
        step = inverse * now.step
        following = inverse + step
        if abs(step) <= TOLERANCE * inverse and (low < following < high or not is_open):
            return Minimum(1.0 / following, at_bound=False)
        if following <= low:
            following = inverse * exp(now.step)
        is_slow = number >= PATIENT_STEPS and abs(step) > moved / 2
        if is_slow or not low < following < high:
            if is_open:
                ratio = distances(end).ratio
                if ratio >= 0.0 if end == MOST else ratio <= 0.0:
                    return Minimum(end, at_bound=True)
                is_open = False
            following = sqrt(low) * sqrt(high)
        inverse, moved = following, abs(following - inverse)
        now = distances(1.0 / inverse)
    return Minimum(1.0 / inverse, at_bound=False)
