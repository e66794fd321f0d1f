"""Softmax of long rows of float32, computed in float32 where that is as exact as the answer."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from service.compute.rows import at, included_classes, put, row_sums
from service.compute.softmax import Softmax, needs_no_shift

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.arrays import Array, Floats, Integers, Mask

SHORT_ROW = 64
"""Classes up to which float64 takes less time."""

UNSHIFTED = 60.0
"""Largest logit up to which a row is not shifted: exp(60) is in the range of float32."""

LEAST_TAIL = 2.0**-96
"""Least sum of exponentials that keeps its digits although some of 2**24 terms are subnormal."""


class Float32Softmax:
    """Softmax at temperature 1 of a block of float32 logits, each row on its own either in float32 or in float64.

    A row is computed in float32 if its largest logit is from 0 to `UNSHIFTED`, so that no difference is rounded before
    the exponential. There an exponential is off by up to 2.5 units in its last place, and a probability by up to 6.

    logits: (n, K), contiguous, float32; memory: as for `Softmax`.
    """

    def __init__(self, logits: Array, memory: Mapping[str, Array]) -> None:
        self.logits = logits
        self._memory = memory
        self.top: Integers = logits.argmax(-1)
        """(n,) Class of the largest logit, the lowest of equals."""
        self.maximum = at(logits, self.top)
        """(n,) max z."""

    @property
    def predictions(self) -> Integers:
        """(n,) The most probable class, the lowest of equals; -1 if every class is excluded."""
        if needs_no_shift(self.maximum, UNSHIFTED):
            return self.top
        return np.where(self.maximum == -np.inf, -1, self.top)

    @cached_property
    def _included(self) -> Mask | None:
        return included_classes(self.logits)

    @cached_property
    def _exponentials(self) -> Array:
        return np.exp(self.logits)

    @cached_property
    def _tail(self) -> Array:
        """(n,) Sum of exp(z) over every class except the top one."""
        exponentials = self._exponentials
        largest = at(exponentials, self.top)
        put(exponentials, self.top, 0.0)
        tail = row_sums(exponentials, self._included)
        put(exponentials, self.top, largest)
        return tail

    @cached_property
    def _log_tail(self) -> Floats:
        return np.log1p(self._tail.astype(np.float64) / at(self._exponentials, self.top))

    @cached_property
    def _is_shifted(self) -> Mask | None:
        """(n,) Rows whose largest logit is outside of 0 to `UNSHIFTED`; None for none."""
        if needs_no_shift(self.maximum, UNSHIFTED):
            return None
        return ~((self.maximum >= 0.0) & (self.maximum <= UNSHIFTED))

    def _exact(self, quantity: Callable[[Softmax], Array], is_inexact: Mask | None, values: Array) -> Array:
        """Replace the rows that float32 cannot compute by those that float64 gives."""
        if is_inexact is not None and is_inexact.any():
            values[is_inexact] = quantity(Softmax(self.logits[is_inexact].astype(np.float64)))
        return values

    @cached_property
    def probabilities(self) -> Array:
        """(n, K) p, float32."""
        total = row_sums(self._exponentials, self._included)[:, None]
        values = np.divide(self._exponentials, total, out=self._memory.get("probabilities"))
        return self._exact(lambda softmax: softmax.probabilities, self._is_shifted, values)

    @cached_property
    def log_probabilities(self) -> Array:
        """(n, K) log p, float32, nats; -inf for an excluded class."""
        log_tail = self._log_tail.astype(np.float32)[:, None]
        values = np.subtract(self.logits, self.maximum[:, None], out=self._memory.get("log_probabilities"))
        values -= log_tail
        return self._exact(lambda softmax: softmax.log_probabilities, self._is_inexact_log, values)

    @cached_property
    def log_normalizer(self) -> Array:
        """(n,) l, float64, nats; -inf for an empty row."""
        return self._exact(lambda softmax: softmax.log_normalizer, self._is_inexact_log, self.maximum + self._log_tail)

    @cached_property
    def _is_inexact_log(self) -> Mask:
        is_small = self._tail < LEAST_TAIL
        return is_small if self._is_shifted is None else is_small | self._is_shifted
