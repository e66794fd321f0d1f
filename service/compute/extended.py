"""Quantities of a softmax beyond the range of a double."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from service.compute import softcap as softcaps
from service.compute.rows import at, put
from service.compute.scaled import TINY, Scaled, scaled_exp

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
        return Scaled(*(at(part, classes) for part in self.complements))

    @cached_property
    def surprisals(self) -> Scaled:
        """(n, K) -log p."""
        return self._surprisals(self.doubles.surprisals, self.doubles.logits, np.arange(self.doubles.logits.shape[1]))

    def surprisals_at(self, classes: Integers) -> Scaled:
        """Return (n,) -log p of one class of each row."""
        logits = at(self.doubles.logits, classes)[:, None]
        surprisals = self._surprisals(self.doubles.surprisals_at(classes)[:, None], logits, classes[:, None])
        return Scaled(*(part[:, 0] for part in surprisals))

    def _surprisals(self, values: Floats, logits: Floats, classes: Integers) -> Scaled:
        """Return (n, k) -log p of some classes: s where 1 + s rounds to 1 and s is below double range."""
        surprisals = self._in_range(values, logits)
        is_small = (classes == self.top[:, None]) & (values < TINY)
        if is_small.any():
            for part, of_tail in zip(surprisals, self._tail, strict=True):
                part[is_small] = np.broadcast_to(of_tail[:, None], is_small.shape)[is_small]
        return surprisals

    @property
    def finite_distances(self) -> Scaled:
        """(n, K) d, 0 for an excluded class."""
        return -self._in_range(-self.doubles.finite_distances, self.doubles.logits)

    def _in_range(self, values: Floats, logits: Floats) -> Scaled:
        """Return the values, with (max z - z) / T where they are infinite and the class is not excluded."""
        scaled = Scaled.of(values)
        is_beyond = np.isposinf(values) & (logits > -np.inf)
        if is_beyond.any():
            reference = self.doubles.reference[:, None]
            differences = Scaled.of(reference / 2.0 - logits / 2.0) / self.temperature
            scaled.mantissa[is_beyond] = differences.mantissa[is_beyond]
            scaled.exponent[is_beyond] = differences.exponent[is_beyond] + 1
        return scaled

    @property
    def largest(self) -> Scaled:
        """(n,) max v, 0 for an empty row."""
        softmax = self.doubles
        if softmax.softcap is not None:
            return softcaps.capped(softmax.reference, softmax.softcap, softmax.temperature)
        return Scaled.of(softmax.reference) / softmax.temperature

    @property
    def normalizer(self) -> Scaled:
        """(n,) l, 0 for an empty row."""
        return self.largest + self.doubles.log_tail
