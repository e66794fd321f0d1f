"""The temperature that minimises the mean cross-entropy of a batch."""

from __future__ import annotations

from math import inf, sqrt
from typing import TYPE_CHECKING, NamedTuple

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


def minimum(derivatives: Callable[[float], tuple[float, float]]) -> Minimum:
    """Return the temperature of the least loss.

    The loss f is convex in b = 1 / T. Newton's iteration in b finds the zero of f'(b); a step that leaves the interval
    known to hold the zero, or that comes late and is not half of the last, is replaced by its geometric mean: far from the
    zero the loss may grow like an exponential, so that all steps are equal. Where every temperature has the same loss, T
    is 1.

    derivatives: returns b f'(b) and b**2 f''(b) for a temperature.
    """
    slope, curvature = derivatives(1.0)
    falls_to_least = slope <= 0.0 and derivatives(LEAST)[0] <= 0.0
    falls_to_most = slope >= 0.0 and derivatives(MOST)[0] >= 0.0
    if falls_to_least and falls_to_most:
        return Minimum(1.0, at_bound=True)
    if falls_to_least or falls_to_most:
        return Minimum(LEAST if falls_to_least else MOST, at_bound=True)
    low, high, inverse, moved = 1.0 / MOST, 1.0 / LEAST, 1.0, inf
    for number in range(MAX_STEPS):
        if slope == 0.0:
            break
        low, high = (low, inverse) if slope > 0.0 else (inverse, high)
        is_curved = 0.0 < curvature < inf
        step = -inverse * slope / curvature if is_curved else 0.0
        if is_curved and abs(step) <= TOLERANCE * inverse:
            inverse += step
            break
        following = inverse + step
        is_slow = number >= PATIENT_STEPS and abs(step) > moved / 2
        if is_slow or not low < following < high:
            following = sqrt(low) * sqrt(high)
        inverse, moved = following, abs(following - inverse)
        slope, curvature = derivatives(1.0 / inverse)
    return Minimum(1.0 / inverse, at_bound=False)
