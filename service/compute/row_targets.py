"""The targets of a block of rows beside its softmax."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from service.compute.gradients import NO_ROW
from service.compute.rows import put, row_totals
from service.compute.scaled import MOST, Factor, Numbers, Scaled, choose, column, in_range, mantissas, product, rows_of

if TYPE_CHECKING:
    from service.arrays import Block, Floats, Mask
    from service.compute.extended import ExtendedSoftmax
    from service.compute.softmax import Softmax
    from service.compute.targets import Targets
    from service.compute.teacher import Teacher

FARTHEST = -(2.0**256)
"""Distance down to which its product with a number below `TINY`, over the least divisor in doubles, stays below `SAFE`."""


class RowTargets:
    """The target probabilities t of a block of rows, and the effective targets a that the loss compares with p.

    a_c = w_c ((1 - eps) t_c + eps / K'), A = sum_c a_c, eps the label smoothing, K' the classes that are not excluded;
    an excluded class gets no eps / K'. Both are in the precision of the softmax.

    targets: those of the whole batch; block: the rows of it that `softmax` is made of; teacher: of these rows.
    """

    def __init__(
        self, softmax: Softmax | ExtendedSoftmax, targets: Targets, block: Block, teacher: Teacher | None
    ) -> None:
        self.softmax = softmax
        self._targets = targets
        self._block = block
        self._teacher = teacher
        self.labels: Any = None if targets.labels is None else targets.labels[block]
        """(n,) y; None for target probabilities."""

    @overload
    def weight_of_label(self, values: Numbers) -> Numbers: ...
    @overload
    def weight_of_label(self, values: Factor) -> Factor: ...
    def weight_of_label(self, values: Factor) -> Factor:
        """Return (n,) values times w[y]."""
        weights = self._targets.weights_of_classes
        return values if weights is None else values * rows_of(weights, self.labels)

    @property
    def probabilities(self) -> Numbers:
        """(n, K) t, one-hot for labels."""
        targets = self._targets
        sent: Numbers
        if self._teacher is not None:
            is_double = self.softmax is self.softmax.doubles
            sent = self._teacher.softmax.probabilities if is_double else self._teacher.extended_probabilities
        elif targets.probabilities is None:
            sent = np.zeros(self.softmax.doubles.logits.shape)
            put(sent, self.labels, 1.0)
        else:
            sent = targets.probabilities[self._block]
        return sent if self.softmax is self.softmax.doubles else Scaled.of(sent)

    def mark_infinite(self, values: Numbers, weights: Floats | None) -> None:
        """Set (n,) values to inf where an excluded class of a weight above 0 has t > 0, also a t below double range."""
        included, sent = self.softmax.included, self._targets.probabilities
        if included is None:
            return
        if self._teacher is not None:
            is_target = self._teacher.softmax.logits > -np.inf
        else:
            assert sent is not None
            is_target = sent[self._block] > 0.0
        is_lost = is_target & ~included if weights is None else is_target & ~included & (weights > 0.0)
        mantissas(values)[is_lost.any(axis=-1)] = np.inf

    @cached_property
    def effective(self) -> Numbers:
        """(n, K) a."""
        effective, included = self.probabilities, self.softmax.included
        smoothing = self._targets.label_smoothing
        if smoothing:
            share = column(in_range(smoothing) / self.smoothed_classes)
            spread = share if included is None else choose(included, share, 0.0)
            effective = effective * (1.0 - smoothing) + spread
        return self.weighted(effective)

    @property
    def smoothed_classes(self) -> Floats | float:
        """(n,) or single K'; 1 for an empty row."""
        included = self.softmax.included
        if included is None:
            return float(self.softmax.doubles.logits.shape[1])
        return np.maximum(1.0, np.count_nonzero(included, axis=-1))

    def weighted(self, values: Numbers) -> Numbers:
        """Return (n, K) values times w."""
        weights = self._targets.weights_of_classes
        return values if weights is None else product(weights, values)

    @cached_property
    def totals(self) -> Numbers:
        """(n,) A."""
        return row_totals(self.effective, self.softmax.included)

    @property
    def extreme(self) -> Mask:
        """(n,) or single: whether a target or a distance of a row could lift what the other lost to underflow."""
        softmax, sent, extreme = self.softmax.doubles, self._targets.probabilities, NO_ROW
        if not softmax.logits.size:
            return NO_ROW
        if softmax.distances.item(softmax.distances.argmin()) < FARTHEST:
            extreme = np.asarray((softmax.finite_distances < FARTHEST).any(axis=-1))
        if sent is None or sent[self._block].max() <= MOST:
            return extreme
        return extreme | (sent[self._block] > MOST).any(axis=-1)
