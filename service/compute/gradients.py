"""Gradients of any loss of the softmax by its logits and by the temperature, in range wherever the result is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from service.compute import softcap as softcaps
from service.compute.extended import ExtendedSoftmax
from service.compute.rows import at, row_sums
from service.compute.scaled import TINY, Factor, Numbers, Scaled, choose, column, in_range, largest, product, rounded

if TYPE_CHECKING:
    from service.arrays import Floats, Mask
    from service.compute.softmax import Softmax

HARMLESS = 4.0
"""Factor up to which a number that lost digits to underflow is not lifted back into double range."""

FAR_FROM_OVERFLOW = 2.0**960
"""Gradient up to which sums of it are far from the end of double range."""

NO_ROW: Mask = np.zeros((), bool)
EVERY_ROW: Mask = np.ones((), bool)
"""Single masks that stand for every row."""

LEAST_NORMAL = 2.0**-1022
"""Least double that has all digits."""

MAJORITY = 0.5
"""Probability from which on no other class has more."""


class RowGradient(ABC):
    """The derivatives of a loss with respect to the logits of a block of rows: g_v = (slopes * factor + p * penalty) * T.

    The formulas stand for doubles and for `Scaled`, which the quantities of an `ExtendedSoftmax` are. Doubles are enough
    for a row unless the factor could lift what they lose to underflow back into range. `lost` decides for each row, so
    that its bits do not depend on the others.

    softmax: that of the rows.
    """

    softmax: Softmax | ExtendedSoftmax

    @property
    @abstractmethod
    def factor(self) -> Factor:
        """(n,) or single factor of the slopes, the 1 / T of the chain rule included."""

    @property
    def penalty(self) -> Factor | None:
        """(n,) Factor of p, the 1 / T of the chain rule included; None for 0."""
        return None

    @property
    @abstractmethod
    def slopes(self) -> Numbers:
        """(n, K) derivative of a row's loss with respect to v, before the factor; the sum of a row is 0."""

    @property
    @abstractmethod
    def size(self) -> Floats | float:
        """(n,) or single bound on dL/dz, up to a factor of 2**32, and at least the factor of what may have underflowed."""

    @property
    @abstractmethod
    def extended(self) -> Self:
        """The gradient computed from an `ExtendedSoftmax`."""

    @cached_property
    def lost(self) -> Mask:
        """(n,) or single: whether dL/dz of a row has digits that doubles lose. It depends on that row alone."""
        size, factor, penalty = self.size, self.factor, self.penalty
        if largest(size) <= HARMLESS and not isinstance(factor, Scaled) and not isinstance(penalty, Scaled):
            return NO_ROW
        size = np.abs(size)
        is_lifted = np.logical_not(size <= HARMLESS)
        if np.any(is_lifted) and self.softmax.doubles.softcap is None and not isinstance(self.slopes, Scaled):
            sizes, p = np.abs(self.slopes), self.softmax.doubles.probabilities
            is_exact = (sizes >= TINY) & (sizes < np.inf) & (p >= TINY)
            is_lifted = is_lifted & ~((size <= FAR_FROM_OVERFLOW) & is_exact.all(axis=-1))
        return is_lifted | is_out_of_range(factor) | is_out_of_range(penalty)

    @property
    def extreme(self) -> Mask:
        """(n,) or single: whether a target or a distance of a row could lift what the other lost to underflow."""
        return NO_ROW

    def restored(self, name: str, lost: Mask) -> Floats:
        """Return a quantity of the rows as doubles, the extended one in the rows (n,) that lose digits otherwise."""
        if lost is NO_ROW or not lost.any():
            return rounded(getattr(self, name))
        exact = rounded(getattr(self.extended, name))
        if lost.all():
            return exact
        return np.where(lost if exact.ndim == 1 else lost[:, None], exact, rounded(getattr(self, name)))

    @property
    def by_logits(self) -> Numbers:
        """(n, K) dL/dz, z the logits as sent."""
        gradient, softmax = self.without_softcap(), self.softmax.doubles
        if softmax.softcap is None:
            return gradient
        return gradient * self.matched(softcaps.slopes(softmax.logits, softmax.softcap))

    def matched(self, factors: Factor) -> Factor:
        """Return factors as doubles if the softmax is made of doubles: what is beyond their range is `lost`."""
        return rounded(factors) if self.softmax is self.softmax.doubles else factors

    def without_softcap(self) -> Numbers:
        """Return (n, K) T dL/dv."""
        gradient, penalty = self.slopes * column(self.matched(self.factor)), self.penalty
        return gradient if penalty is None else gradient + self.softmax.probabilities * column(self.matched(penalty))

    @property
    def logits_gradient(self) -> Floats:
        """(n, K) dL/dz as doubles; infinite where it is beyond double range."""
        return self.restored("by_logits", self.lost)

    @property
    def by_temperature(self) -> Numbers:
        """(n,) The part of each row in dL/dT = -1/T sum g_v v, the sum over classes that are not excluded.

        The slopes of a row sum to 0, so v may be shifted to d, which keeps the digits that an offset takes. A target on an
        excluded class adds nothing: its loss is infinite at every temperature.
        """
        parts, penalty = -self.drift * self.matched(self.factor), self.penalty
        if penalty is None:
            return parts
        return parts - self.matched(penalty) * (self.softmax.largest + self.mean_distance)

    @property
    def drift(self) -> Numbers:
        """(n,) sum_i slopes_i d_i."""
        return row_sums(self.slopes * self.softmax.finite_distances, self.softmax.included)

    @cached_property
    def weighted_distances(self) -> Numbers:
        """(n, K) p d, 0 for an excluded class."""
        return product(self.softmax.probabilities, self.softmax.finite_distances)

    @cached_property
    def mean_distance(self) -> Numbers:
        """(n,) sum_i p_i d_i."""
        return row_sums(self.weighted_distances, self.softmax.included)

    @property
    def temperature_slopes(self) -> Floats:
        """(n,) The part of each row in dL/dT, as doubles."""
        return self.restored("by_temperature", self.lost | self.extreme)


class VectorJacobianProduct(RowGradient):
    """The gradient of the client's loss, given its gradient u with respect to the probabilities of a block of rows.

    g_v = p (u - sum_j u_j p_j). u is shifted by its value at the top class if that has at least half of the mass, else by
    its mean: neither difference cancels.

    vectors: (n, K) u, finite.
    """

    def __init__(self, softmax: Softmax | ExtendedSoftmax, vectors: Floats) -> None:
        self.softmax = softmax
        self._vectors = vectors if softmax.included is None else np.where(softmax.included, vectors, 0.0)

    @property
    def factor(self) -> Factor:
        """1 / T."""
        return 1.0 / in_range(self.softmax.temperature)

    @property
    def extended(self) -> VectorJacobianProduct:
        """The gradient computed from an `ExtendedSoftmax`."""
        return VectorJacobianProduct(ExtendedSoftmax(self.softmax.doubles), self._vectors)

    @property
    def size(self) -> Floats | float:
        """(n,) or single bound on dL/dz; infinite where differences of u may be."""
        most: Floats | float = max(1.0, largest(self._vectors))
        if most * largest(self.factor) > HARMLESS:
            most = np.maximum(1.0, np.abs(self._vectors).max(axis=-1))
            most = np.where(most <= FAR_FROM_OVERFLOW, most, np.inf)
        return rounded(self.factor) * most

    @cached_property
    def slopes(self) -> Numbers:
        """(n, K) p (u - sum_j u_j p_j)."""
        p, u, softmax = self.softmax.probabilities, self._vectors, self.softmax.doubles
        mean = row_sums(p * u, softmax.included)
        slopes = u - column(choose(softmax.confidences >= MAJORITY, at(u, softmax.top), mean))
        slopes -= column(row_sums(p * slopes, softmax.included))
        slopes *= p
        return slopes


def is_out_of_range(factors: Factor | None) -> Mask:
    """Return whether factors lose digits as doubles, at either end of their range. Only `Scaled` ones can."""
    if not isinstance(factors, Scaled):
        return NO_ROW
    sizes = np.abs(rounded(factors))
    return np.asarray(((sizes < LEAST_NORMAL) & (factors.mantissa != 0.0)) | (sizes == np.inf))
