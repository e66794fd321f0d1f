"""Gradients of any loss of the softmax by its logits and by the temperature, in range wherever the result is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from service.compute import softcap as softcaps
from service.compute.extended import ExtendedSoftmax
from service.compute.rows import at, row_sums
from service.compute.scaled import TINY, Numbers, Scaled, choose, column, in_range, largest, product, rounded

if TYPE_CHECKING:
    from service.arrays import Floats
    from service.compute.softmax import Softmax

HARMLESS = 4.0
"""Factor up to which a number that lost digits to underflow is not lifted back into double range."""

FAR_FROM_OVERFLOW = 2.0**960
"""Gradient up to which sums of it are far from the end of double range."""

MAJORITY = 0.5
"""Probability from which on no other class has more."""


class RowGradient(ABC):
    """The derivatives of a loss with respect to the logits of a block of rows: g_v = (slopes * factor + p * penalty) * T.

    The formulas stand for doubles and for `Scaled`, which the quantities of an `ExtendedSoftmax` are. Doubles are enough
    unless the factor could lift what they lose to underflow back into range.

    softmax: that of the rows.
    """

    softmax: Softmax | ExtendedSoftmax

    @property
    @abstractmethod
    def factor(self) -> Numbers:
        """(n,) or single factor of the slopes, the 1 / T of the chain rule included."""

    @property
    def penalty(self) -> Numbers | None:
        """(n,) Factor of p, the 1 / T of the chain rule included; None for 0."""
        return None

    @property
    @abstractmethod
    def slopes(self) -> Numbers:
        """(n, K) derivative of a row's loss with respect to v, before the factor; the sum of a row is 0."""

    @property
    @abstractmethod
    def size(self) -> Numbers:
        """(n,) or single bound on dL/dz, up to a factor of 2**32, and at least the factor of what may have underflowed."""

    @property
    @abstractmethod
    def extended(self) -> Self:
        """The gradient computed from an `ExtendedSoftmax`."""

    def suited(self) -> Self:
        """Return this if doubles are enough, else the extended one."""
        size = largest(self.size)
        if size <= HARMLESS:
            return self
        if size <= FAR_FROM_OVERFLOW and self.softmax.doubles.softcap is None and not isinstance(self.slopes, Scaled):
            sizes = np.abs(self.slopes)
            if ((sizes >= TINY) & (sizes < np.inf)).all():
                return self
        return self.extended

    @property
    def by_logits(self) -> Numbers:
        """(n, K) dL/dz, z the logits as sent."""
        gradient, softmax = self.without_softcap(), self.softmax.doubles
        if softmax.softcap is None:
            return gradient
        return gradient * softcaps.slopes(softmax.logits, softmax.softcap)

    def without_softcap(self) -> Numbers:
        """Return (n, K) T dL/dv."""
        gradient = self.slopes * column(self.factor)
        return gradient if self.penalty is None else gradient + self.softmax.probabilities * column(self.penalty)

    @property
    def logits_gradient(self) -> Floats:
        """(n, K) dL/dz as doubles; infinite where it is beyond double range."""
        return rounded(self.suited().by_logits)

    @property
    def by_temperature(self) -> Numbers:
        """(n,) The part of each row in dL/dT = -1/T sum g_v v, the sum over classes that are not excluded.

        The slopes of a row sum to 0, so v may be shifted to d, which keeps the digits that an offset takes.
        """
        parts = -self.drift * self.factor
        return parts if self.penalty is None else parts - self.penalty * (self.softmax.largest + self.mean_distance)

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
        return rounded(self.suited().by_temperature)


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
    def factor(self) -> Numbers:
        """1 / T."""
        return 1.0 / in_range(self.softmax.temperature)

    @property
    def extended(self) -> VectorJacobianProduct:
        """The gradient computed from an `ExtendedSoftmax`."""
        return VectorJacobianProduct(ExtendedSoftmax(self.softmax.doubles), self._vectors)

    @property
    def size(self) -> Numbers:
        """Bound on dL/dz; infinite where differences of u may be."""
        most = largest(self._vectors)
        return max(1.0, most) * self.factor if most <= FAR_FROM_OVERFLOW else np.inf

    @cached_property
    def slopes(self) -> Numbers:
        """(n, K) p (u - sum_j u_j p_j)."""
        p, u, softmax = self.softmax.probabilities, self._vectors, self.softmax.doubles
        mean = row_sums(p * u, softmax.included)
        slopes = u - column(choose(softmax.confidences >= MAJORITY, at(u, softmax.top), mean))
        slopes -= column(row_sums(p * slopes, softmax.included))
        slopes *= p
        return slopes
