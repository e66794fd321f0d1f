"""The targets of a batch, the weights of its rows, and what reduces the losses of the rows to one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf, isnan
from typing import TYPE_CHECKING, Literal

import numpy as np

from service.compute.scaled import Numbers, in_range, mantissas, product, rounded, rows_of, total

if TYPE_CHECKING:
    from service.arrays import Floats, Integers, Mask

Reduction = Literal["mean", "sum", "none"]


@dataclass(eq=False)
class Targets:
    """Targets of N rows, and how much each row counts.

    One of labels (N,), class indices; probabilities (N, K), finite and not negative, which need not sum to 1;
    teacher_logits (N, K), whose softmax is the target.
    counted: (N,), None for every row; a row that is not counted has label 0.
    class_weights: (K,) w, not negative; sample_weights: (N,) s. Finite; None for 1.
    divisor: the caller's own denominator of the mean; None for the one that follows from the weights.
    """

    count: int
    labels: Integers | None = None
    probabilities: Floats | None = None
    teacher_logits: Floats | None = None
    counted: Mask | None = None
    class_weights: Floats | None = None
    sample_weights: Floats | None = None
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    reduction: Reduction = "mean"
    divisor: float | None = None

    @property
    def is_plain(self) -> bool:
        """True if the loss of each row is the surprisal of its label."""
        is_weighted = self.sample_weights is not None or self.class_weights is not None or self.counted is not None
        return self.labels is not None and not (is_weighted or self.label_smoothing or self.z_loss)

    def __post_init__(self) -> None:
        weights = self.sample_weights
        if self.counted is not None:
            weights = self.counted.astype(np.float64) if weights is None else np.where(self.counted, weights, 0.0)
        self.weights: Numbers | None = None if weights is None else in_range(weights)
        """(N,) s, 0 for a row that is not counted; None for 1."""
        self.weights_of_classes: Numbers | None = None if self.class_weights is None else in_range(self.class_weights)
        """(K,) w; None for 1."""
        self.total_weight: Numbers = float(self.count) if self.weights is None else total(self.weights)
        """sum of s over counted rows: the denominator of the z-loss, and of the loss for target probabilities."""
        self.divisor_of_mean = self._divisor()
        """sum of s * w[y] for labels, of s for probabilities, over counted rows; or the divisor of the caller."""

    def _divisor(self) -> Numbers:
        if self.divisor is not None:
            return in_range(self.divisor)
        if self.labels is None or self.weights_of_classes is None:
            return self.total_weight
        weights = rows_of(self.weights_of_classes, self.labels)
        return total(weights if self.weights is None else weights * self.weights)

    @property
    def divisor_of_penalty(self) -> Numbers:
        """Denominator of the mean z-loss."""
        return self.total_weight if self.divisor is None else self.divisor_of_mean

    @property
    def denominator(self) -> Floats:
        """() The divisor of the mean, as a double."""
        return np.asarray(rounded(self.divisor_of_mean))

    @cached_property
    def shares(self) -> Numbers:
        """(N,) or single factor of a row's cross-entropy in the reduced loss."""
        return self._share(self.divisor_of_mean)

    @cached_property
    def penalty_shares(self) -> Numbers:
        """(N,) or single factor of a row's l**2 in the reduced loss."""
        return self._share(self.divisor_of_penalty) * in_range(self.z_loss)

    def _share(self, divisor: Numbers) -> Numbers:
        weights = 1.0 if self.weights is None else self.weights
        if self.reduction != "mean":
            return weights
        return weights / divisor if self.divisor_of_mean else 0.0

    def loss(self, cross_entropies: Numbers, normalizers: Numbers) -> Numbers:
        """Return () the reduced loss of (N,) CE and l, or (N,) the losses of the rows if they are not reduced."""
        loss = self.reduced(cross_entropies, self.divisor_of_mean)
        if not self.z_loss:
            return loss
        return loss + self.reduced(normalizers * normalizers * in_range(self.z_loss), self.divisor_of_penalty)

    def reduced(self, values: Numbers, divisor: Numbers) -> Numbers:
        """Return () the reduced values of (N,) rows, times s; (N,) if they are not reduced."""
        if self.reduction == "none":
            return self.weighted(values)
        return self.mean(values, divisor) if self.reduction == "mean" else self._sum(values)

    def mean(self, values: Numbers, divisor: Numbers) -> Numbers:
        """Return () the sum of (N,) values of rows, times s, over the divisor; 0 where there is nothing to divide by."""
        return self._sum(values) / divisor if self.divisor_of_mean else np.float64(0.0)

    def _sum(self, values: Numbers) -> Numbers:
        """Return () the sum of (N,) values of rows, times s; inf for infinite ones of both signs."""
        result = total(self.weighted(values))
        return np.float64(inf) if isnan(mantissas(result)) else result

    def weighted(self, values: Numbers, block: slice = slice(None)) -> Numbers:
        """Return (n,) values of a block of rows, times s."""
        return values if self.weights is None else product(rows_of(self.weights, block), values)

    @cached_property
    def expected_classes(self) -> Integers:
        """(N,) The label, or the class of the largest target probability."""
        spread = self.probabilities if self.teacher_logits is None else self.teacher_logits
        if spread is not None:
            return spread.argmax(axis=-1)
        assert self.labels is not None
        return self.labels
