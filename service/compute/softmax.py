"""Softmax of rows of logits, and the quantities that follow from it alone."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from service.compute import softcap as softcaps
from service.compute.rows import at, included_classes, places, put, row_sums, scaled_difference
from service.compute.scaled import TINY, Scaled, product, rounded, scaled_exp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.arrays import Array, Floats, Integers, Mask

UNSHIFTED = 680.0
"""Largest logit up to which a row is not shifted: exp(680) is in range, and so is the sum of 10**12 of them."""


UNKNOWN = object()
"""Value of a quantity that may be None and is not yet computed."""

NO_MEMORY: Mapping[str, Array] = {}


class SmallTails(NamedTuple):
    """Rows whose top class leaves less than `TINY` to the others, so that doubles lose the digits of exp(d).

    rows: (m,) their numbers; distances: (m, K) d, -inf for the top class.
    scale: (m,) exp of the largest of these d; weights: (m, K) exp(d) over that; sums: (m,) sums of the weights.
    """

    rows: Integers
    distances: Floats
    scale: Scaled
    weights: Floats
    sums: Floats


class Softmax:
    """p[n, i] = exp(v[n, i]) / sum_j exp(v[n, j]) of a block of rows, each quantity computed when first asked for.

    v = c / T, with c = softcap * tanh(z / softcap), or c = z without a softcap.

    The row is shifted by its largest logit before it is scaled, so that neither step can make inf - inf. The exponentials
    are summed without the largest, and that tail divided by it: log1p of the tail keeps the digits that log of the whole
    sum rounds away when one class dominates.

    logits: (n, K), contiguous, nats; -inf excludes a class. A row of -inf alone has p = 0 everywhere.
    temperature, softcap: positive and finite.
    memory: arrays (n, K) to write `probabilities` and `log_probabilities` to, by name.
    top: (n,) class of the largest logit, the lowest of equals, if the caller has it.

    .. [1] Blanchard, Higham & Higham (2021), Accurately computing the log-sum-exp and softmax functions.
    """

    def __init__(
        self,
        logits: Floats,
        temperature: float = 1.0,
        softcap: float | None = None,
        memory: Mapping[str, Array] = NO_MEMORY,
        top: Integers | None = None,
    ) -> None:
        self.logits = logits
        self.temperature = temperature
        self.softcap = softcap
        self._is_unscaled = temperature == 1.0 and softcap is None
        self._memory = memory
        # kept by hand: functools.cached_property takes a lock before Python 3.12, which is 0.5 us of a small request
        self._included: Any = UNKNOWN
        self._exponentials: Floats | None = None
        self._tail: Floats | None = None
        self._small: SmallTails | None = None
        self._probabilities: Floats | None = None
        self.top: Integers = logits.argmax(-1) if top is None else top
        """(n,) Class of the largest logit, the lowest of equals."""
        self.maximum: Floats = at(logits, self.top)
        """(n,) max z."""
        self._takes_no_shift = needs_no_shift(self.maximum, UNSHIFTED)
        occupied = None if self._takes_no_shift else included_classes(self.maximum)
        self.empty: Mask | None = None if occupied is None else ~occupied
        """(n,) Rows of which every class is excluded; None for none."""
        self.reference = self.maximum if self.empty is None else np.where(self.empty, 0.0, self.maximum)
        """(n,) max z, 0 for an empty row."""

    @property
    def doubles(self) -> Softmax:
        """The softmax itself, so that an `ExtendedSoftmax` can stand for it."""
        return self

    @property
    def included(self) -> Mask | None:
        """(n, K) Classes that are not excluded; None for all."""
        if self._included is UNKNOWN:
            self._included = included_classes(self.logits)
        included: Mask | None = self._included
        return included

    @cached_property
    def distances(self) -> Floats:
        """(n, K) d = v - max v, at most 0."""
        return self._distances(self.logits, self.reference[:, None])

    def distances_at(self, classes: Integers) -> Floats:
        """Return (n,) d of one class of each row."""
        return at(self.logits, classes) - self.reference if self._is_unscaled else at(self.distances, classes)

    def _distances(self, logits: Floats, reference: Floats) -> Floats:
        if self.softcap is None:
            return scaled_difference(logits, reference, self.temperature)
        return rounded(softcaps.capped_distances(logits, reference, self.softcap, self.temperature))

    @property
    def exponentials(self) -> Floats:
        """(n, K) exp(d), or exp(v) where no exponential can overflow nor underflow before its probability does.

        A difference costs a pass over the block, and its rounding the digits of exp(d).
        """
        if self._exponentials is None:
            if not self._is_unscaled:
                self._exponentials = np.exp(self.distances)
            elif self._takes_no_shift:
                self._exponentials = np.exp(self.logits)
            else:
                is_unshifted = (self.reference >= 0.0) & (self.reference <= UNSHIFTED)
                shifted = self.logits - np.where(is_unshifted, 0.0, self.reference)[:, None]
                self._exponentials = np.exp(shifted, out=shifted)
        return self._exponentials

    @property
    def tail(self) -> Floats:
        """(n,) s, the sum of exp(d) over every class except the top one."""
        if self._tail is None:
            self._tail, self._small = self._sum_tail()
        return self._tail

    @property
    def log_tail(self) -> Floats:
        """(n,) log1p(s) = logsumexp(v) - max v."""
        return np.log1p(self.tail)

    @property
    def small_tails(self) -> SmallTails | None:
        """The rows whose tail is below `TINY`; None for none."""
        return self._small if self.tail is not None else None

    def _sum_tail(self) -> tuple[Floats, SmallTails | None]:
        exponentials, top = self.exponentials, places(self.logits, self.top)
        flat = exponentials.ravel()
        largest = flat.take(top)
        flat[top] = 0.0
        tail = row_sums(exponentials, self.included)
        flat[top] = largest
        tail /= largest if self.empty is None else np.where(self.empty, 1.0, largest)
        # argmin takes a quarter of the time of min for a small array
        if exponentials.shape[1] == 1 or not tail.size or tail.item(tail.argmin()) >= TINY:
            return tail, None
        small = self._sum_small_tails(np.flatnonzero(tail < TINY))
        tail[small.rows] = rounded(small.scale * small.sums)
        return tail, small

    def _sum_small_tails(self, rows: Integers) -> SmallTails:
        distances = self._distances(self.logits[rows], self.reference[rows, None])
        put(distances, self.top[rows], -np.inf)
        second = np.maximum.reduce(distances, axis=-1)
        relative = distances - np.where(second == -np.inf, 0.0, second)[:, None]
        weights = np.exp(relative, out=relative)
        included = None if self.included is None else self.included[rows]
        return SmallTails(rows, distances, scaled_exp(second), weights, row_sums(weights, included))

    @property
    def probabilities(self) -> Floats:
        """(n, K) p = exp(v) / sum exp(v)."""
        if self._probabilities is None:
            exponentials = self.exponentials
            total = row_sums(exponentials, self.included)
            if self.empty is not None:
                total[self.empty] = 1.0
            # a number divides in half the time of an array that is broadcast over the classes
            divisor = total.item() if len(total) == 1 else total[:, None]
            self._probabilities = np.divide(exponentials, divisor, out=self._memory.get("probabilities"))
        return self._probabilities

    @cached_property
    def complements(self) -> Floats:
        """(n, K) q = 1 - p, as s / (1 + s) for the top class, where 1 - p would cancel."""
        complements = 1.0 - self.probabilities
        put(complements, self.top, self.tail / (1.0 + self.tail))
        return complements

    def complements_at(self, classes: Integers) -> Floats:
        """Return (n,) q of one class of each row."""
        others = self.tail / (1.0 + self.tail)
        return np.where(classes == self.top, others, 1.0 - at(self.probabilities, classes))

    @cached_property
    def surprisals(self) -> Floats:
        """(n, K) -log p = log1p(s) - d."""
        return self.log_tail[:, None] - self.distances

    def surprisals_at(self, classes: Integers) -> Floats:
        """Return (n,) -log p of one class of each row."""
        return self.log_tail - self.distances_at(classes)

    @property
    def finite_distances(self) -> Floats:
        """(n, K) d, 0 for an excluded class."""
        return self.distances if self.included is None else np.where(self.included, self.distances, 0.0)

    @cached_property
    def log_probabilities(self) -> Floats:
        """(n, K) log p = d - log1p(s), nats; -inf for an excluded class."""
        log_tail, memory = self.log_tail[:, None], self._memory.get("log_probabilities")
        if not self._is_unscaled:
            return np.subtract(self.distances, log_tail, out=memory)
        # distances in the memory of the result stay in the cache
        distances = np.subtract(self.logits, self.reference[:, None], out=memory)
        return np.subtract(distances, log_tail, out=distances)

    @property
    def largest(self) -> Floats:
        """(n,) max v, 0 for an empty row."""
        if self.softcap is None:
            return self.reference / self.temperature
        return rounded(softcaps.capped(self.reference, self.softcap, self.temperature))

    @property
    def normalizer(self) -> Floats:
        """(n,) l = logsumexp(v), nats; 0 for an empty row."""
        return self.largest + self.log_tail

    @property
    def log_normalizer(self) -> Floats:
        """(n,) l, nats; -inf for an empty row."""
        return self.normalizer if self.empty is None else np.where(self.empty, -np.inf, self.normalizer)

    @property
    def predictions(self) -> Integers:
        """(n,) The most probable class, the lowest of equals; -1 if every class is excluded."""
        return self.top if self.empty is None else np.where(self.empty, -1, self.top)

    @property
    def confidences(self) -> Floats:
        """(n,) The largest probability; 0 for an empty row."""
        return at(self.probabilities, self.top)

    @property
    def entropy(self) -> Floats:
        """(n,) -sum_i p_i log p_i, nats, with 0 log 0 = 0."""
        entropy = row_sums(product(self.probabilities, self.surprisals), self.included)
        small = self.small_tails
        if small is not None:
            included = None if self.included is None else self.included[small.rows]
            terms = row_sums(product(small.weights, 1.0 - small.distances), included)
            entropy[small.rows] = rounded(small.scale * terms)
        return entropy


def needs_no_shift(maxima: Array, limit: float) -> bool:
    """Return whether each of (n,) largest logits is from 0 to a limit below which no exponential overflows."""
    if maxima.size == 1:
        return 0.0 <= maxima.item() <= limit
    # argmin and argmax return the place of a NaN; for a small array they take a quarter of the time of min and max
    return not maxima.size or (maxima.item(maxima.argmin()) >= 0.0 and maxima.item(maxima.argmax()) <= limit)
