"""Quantities of a softmax beyond the range of a double."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from service.compute import softcap as softcaps
from service.compute.rows import at, exact_difference, put
from service.compute.scaled import TINY, Numbers, Scaled, choose, column, scaled_exp

if TYPE_CHECKING:
    from service.arrays import Floats, Integers
    from service.compute.softmax import Softmax


class ExtendedSoftmax:
    """The quantities of a `Softmax` from which losses and gradients are made, each as `Scaled`."""

    def __init__(self, softmax: Softmax) -> None:
        self.doubles = softmax
        self.temperature = softmax.temperature
        self.included = softmax.included
        self.top = softmax.top

    @cached_property
    def _tail(self) -> Scaled:
        """(n,) s."""
        mantissa, exponent = np.frexp(self.doubles.tail)
        small = self.doubles.small_tails
        if small is not None:
            mantissa[small.rows], exponent[small.rows] = small.scale * small.sums
        return Scaled(mantissa, exponent)

    @cached_property
    def probabilities(self) -> Scaled:
        """(n, K) p."""
        softmax = self.doubles
        tiny = softmax.probabilities < TINY
        if softmax.included is not None:
            tiny &= softmax.included
        mantissa, exponent = np.frexp(softmax.probabilities)
        if tiny.any():
            totals = np.broadcast_to((1.0 + softmax.tail)[:, None], tiny.shape)
            mantissa[tiny], exponent[tiny] = scaled_exp(softmax.distances[tiny]) / totals[tiny]
        return Scaled(mantissa, exponent)

    @cached_property
    def complements(self) -> Scaled:
        """(n, K) q = 1 - p."""
        complements = Scaled.of(self.doubles.complements)
        put(complements, self.top, self._tail / (1.0 + self.doubles.tail))
        return complements

    def complements_at(self, classes: Integers) -> Scaled:
        """Return (n,) q of one class of each row."""
        complements: Scaled = at(self.complements, classes)
        return complements

    @cached_property
    def _log_tail(self) -> Numbers:
        """(n,) log1p(s), which is s where that is below double range."""
        return choose(self.doubles.tail < TINY, self._tail, self.doubles.log_tail)

    @cached_property
    def _distances(self) -> Numbers:
        """(n, K) d."""
        return self._distances_of(self.doubles.logits, self.doubles.reference[:, None])

    def _distances_of(self, logits: Floats, reference: Floats) -> Numbers:
        softcap = self.doubles.softcap
        if softcap is None:
            return exact_difference(logits, reference) / self.temperature
        return softcaps.capped_distances(logits, reference, softcap, self.temperature)

    @property
    def finite_distances(self) -> Numbers:
        """(n, K) d, 0 for an excluded class."""
        return self._distances if self.included is None else choose(self.included, self._distances, 0.0)

    @cached_property
    def surprisals(self) -> Numbers:
        """(n, K) -log p."""
        return column(self._log_tail) - self._distances

    def surprisals_at(self, classes: Integers) -> Numbers:
        """Return (n,) -log p of one class of each row."""
        return self._log_tail - self._distances_of(at(self.doubles.logits, classes), self.doubles.reference)

    @property
    def largest(self) -> Numbers:
        """(n,) max v, 0 for an empty row."""
        softmax = self.doubles
        if softmax.softcap is not None:
            return softcaps.capped(softmax.reference, softmax.softcap, softmax.temperature)
        return Scaled.of(softmax.reference) / softmax.temperature

    @property
    def normalizer(self) -> Numbers:
        """(n,) l, 0 for an empty row."""
        return self.largest + self.doubles.log_tail
