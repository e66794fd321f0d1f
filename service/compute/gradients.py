"""The gradient of any loss of the softmax by its logits and by the temperature, in range wherever the result is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from service.compute import softcap as softcaps
from service.compute.extended import scaled_distances, scaled_probabilities
from service.compute.scaled import LEAST_EXPONENT, ONE, Scaled, column, product
from service.compute.softmax import TINY

if TYPE_CHECKING:
    from service.arrays import Floats, Integers
    from service.compute.softmax import Softmax

HARMLESS_EXPONENT = 2
"""Exponent up to which a factor does not lift a number that lost digits to underflow back into double range."""

LARGEST_EXPONENT = 960
"""Exponent up to which a gradient is far enough from the end of double range for sums of it."""

MAJORITY = 0.5
"""Probability from which on no other class has more."""

UNIT = 1024
"""Exponents of the units of gradients beyond are multiples of this, so that a batch has few of them."""


class RowGradient(ABC):
    """The derivatives of a loss by the logits of a block of rows: g_v = slopes * factor * T + penalty.

    The slopes are computed in doubles. They are computed again with exponents where the factor could lift what doubles
    lose to underflow back into range.
    """

    def __init__(self, softmax: Softmax) -> None:
        self.softmax = softmax

    @property
    @abstractmethod
    def factor(self) -> Scaled:
        """(n,) or single factor of the slopes in dL/dz, the 1 / T of the chain rule included."""

    @property
    @abstractmethod
    def slopes(self) -> Floats:
        """(n, K) derivative of a row's loss by v, before the factor; the sum of a row is 0."""

    @abstractmethod
    def scaled_slopes(self) -> Scaled:
        """Return the slopes, also where they are below or beyond double range."""

    @property
    @abstractmethod
    def size(self) -> Scaled:
        """(n,) or single bound on the size of dL/dz, up to a factor of 2**32."""

    @property
    def slopes_overflow(self) -> bool:
        """True if the slopes are beyond double range."""
        return False

    def plain_gradient(self) -> Floats:
        """Return (n, K) dL/dz in doubles, without the softcap."""
        return self.slopes * column(self.factor.rounded())

    def scaled_gradient(self) -> Scaled:
        """Return (n, K) dL/dz with exponents, without the softcap."""
        return self.scaled_slopes() * self.factor.columns()

    @property
    def _scaled_logits_gradient(self) -> Scaled | None:
        """(n, K) dL/dz with exponents; None where doubles do."""
        largest = max(largest_exponent(self.size), largest_exponent(self.factor))
        if largest <= HARMLESS_EXPONENT and not self.slopes_overflow:
            return None
        if largest <= LARGEST_EXPONENT and self.softmax.softcap is None:
            sizes = np.abs(self.slopes)
            if ((sizes >= TINY) & (sizes < np.inf)).all():
                return None
        return self._with_softcap(self.scaled_gradient())

    @property
    def logits_gradient(self) -> Floats:
        """(n, K) dL/dz, z the logits as sent; infinite where it is beyond double range."""
        scaled = self._scaled_logits_gradient
        if scaled is not None:
            return scaled.rounded()
        if self.softmax.softcap is None:
            return self.plain_gradient()
        return self._with_softcap(Scaled(self.plain_gradient(), 0)).rounded()

    def _with_softcap(self, gradient: Scaled) -> Scaled:
        softmax = self.softmax
        return gradient if softmax.softcap is None else gradient * softcaps.slopes(softmax.logits, softmax.softcap)

    @cached_property
    def gradient_units(self) -> Integers:
        """(n,) Exponents of the units of `gradient_in_units`, 0 if dL/dz is far from the end of double range."""
        excess = np.maximum(np.broadcast_to(self.size.order, len(self.softmax.logits)) - LARGEST_EXPONENT, 0)
        return np.asarray(-(-excess // UNIT) * UNIT, np.int64)

    @property
    def gradient_in_units(self) -> Floats:
        """(n, K) dL/dz over 2**gradient_units, which is finite."""
        return self._with_softcap(self.scaled_gradient()).in_units(self.gradient_units[:, None])

    def temperature_slopes(self) -> Scaled:
        """Return (n,) the part of each row in dL/dT = -1/T sum g_v v, the sum over classes that are not excluded.

        The slopes of a row sum to 0, so v may be shifted to d, which keeps the digits that an offset takes.
        """
        softmax = self.softmax
        sums = softmax.sums(product(self.slopes, softmax.finite_distances))
        if np.isfinite(sums).all() and not (np.abs(sums) < TINY).any():
            moments = Scaled.of(sums)
        else:
            moments = (self.scaled_slopes() * scaled_distances(softmax)).sums(softmax.sums)
        return Scaled(-moments.mantissa, moments.exponent) * self.factor

    @property
    def packed_temperature_slopes(self) -> Any:
        """(n,) `temperature_slopes`, packed."""
        return self.temperature_slopes().packed()


class VectorJacobianProduct(RowGradient):
    """The gradient of the caller's loss, given its gradient u by the probabilities of a block of rows.

    g_v = p (u - sum_j u_j p_j). u is shifted by its value at the top class if that has at least half of the mass, else by
    its mean: neither difference cancels.

    vectors: (n, K) u, finite.
    """

    def __init__(self, softmax: Softmax, vectors: Floats) -> None:
        super().__init__(softmax)
        self._vectors = vectors if softmax.included is None else np.where(softmax.included, vectors, 0.0)

    @cached_property
    def factor(self) -> Scaled:
        """1 / T."""
        return ONE / Scaled.of_number(self.softmax.temperature)

    @cached_property
    def size(self) -> Scaled:
        """(n,) Bound on dL/dz."""
        return Scaled.of(np.max(np.abs(self._vectors), axis=-1)) * self.factor

    @cached_property
    def _shifts(self) -> Floats:
        """(n,) The value from which u is measured."""
        softmax, rows = self.softmax, np.arange(len(self._vectors))
        mean = softmax.sums(softmax.probabilities * (self._vectors / 4.0)) * 4.0
        top = self._vectors[rows, softmax.top]
        return np.where((softmax.probabilities[rows, softmax.top] >= MAJORITY) | ~np.isfinite(mean), top, mean)

    @cached_property
    def slopes(self) -> Floats:
        """(n, K) p (u - sum_j u_j p_j)."""
        p = self.softmax.probabilities
        shifted = self._vectors - self._shifts[:, None]
        return p * (shifted - self.softmax.sums(p * shifted)[:, None])

    def scaled_slopes(self) -> Scaled:
        """Return the slopes, also where they are below or beyond double range."""
        p = scaled_probabilities(self.softmax)
        shifted = Scaled.of(self._vectors) - Scaled.of(self._shifts[:, None])
        return p * (shifted - (p * shifted).sums(self.softmax.sums).columns())


def largest_exponent(factor: Scaled) -> int:
    """Return the largest exponent of the numbers that are not 0."""
    if isinstance(factor.exponent, int):
        return factor.exponent if factor.mantissa else LEAST_EXPONENT
    return int(np.max(factor.order, initial=LEAST_EXPONENT))
