"""The targets of a batch, the weights of its rows, and what reduces the losses of the rows to one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf, isnan
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from service.compute.scaled import (
    Factor,
    Numbers,
    Scaled,
    in_range,
    mantissas,
    normalized,
    power_of_two,
    product,
    rounded,
    rows_of,
    total,
)

if TYPE_CHECKING:
    from service.arrays import Block, Floats, Integers, Mask

Reduction = Literal["mean", "sum", "none"]


class Scale(NamedTuple):
    """Numbers that bring back the powers of two that normalised weights lack.

    factor: of weighted values; divisor: of the mean of weighted values, where powers of two cancel that both lack.
    """

    factor: Factor
    divisor: Factor


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
        # in a mean the powers of two cancel, so that the scale of the weights changes no bit
        self.weights: Numbers | None = None
        """(N,) s over a power of two, 0 for a row that is not counted; None for 1."""
        self.weights_of_classes: Numbers | None = None
        """(K,) w over a power of two; None for 1."""
        power = class_power = 0
        if weights is not None:
            self.weights, power = normalized(weights)
        if self.class_weights is not None:
            self.weights_of_classes, class_power = normalized(self.class_weights)
        total_weight: Factor = float(self.count) if self.weights is None else total(self.weights)
        self.of_penalties = self._scale(power, total_weight, power)
        """Scale of values times s: the z-loss and the divergences."""
        self.of_losses = self.of_penalties
        """Scale of values times s and w: the cross-entropies."""
        total_power = power
        if self.weights_of_classes is not None:
            if self.labels is not None:
                chosen = rows_of(self.weights_of_classes, self.labels)
                total_weight = total(chosen if self.weights is None else chosen * self.weights)
                total_power = power + class_power
            self.of_losses = self._scale(power + class_power, total_weight, total_power)
        self._total_weight, self._total_power = total_weight, total_power

    def _scale(self, power: int, total_weight: Factor, total_power: int) -> Scale:
        """Return the scale of values that lack 2**power, if the sum of their weights lacks 2**total_power."""
        if self.divisor is not None:
            total_weight, total_power = in_range(self.divisor), 0
        return Scale(power_of_two(power), total_weight * power_of_two(total_power - power))

    @property
    def denominator(self) -> Floats:
        """() The divisor of the mean as a double: the sum of s * w[y] for labels, of s for probabilities; or `divisor`."""
        if self.divisor is not None:
            return np.asarray(self.divisor)
        return np.asarray(rounded(self._total_weight * Scaled(1.0, self._total_power)))

    @cached_property
    def shares(self) -> Factor:
        """(N,) or single factor of a row's cross-entropy in the reduced loss."""
        return self._share(self.of_losses)

    @cached_property
    def penalty_shares(self) -> Factor:
        """(N,) or single factor of a row's l**2 in the reduced loss."""
        return self._share(self.of_penalties) * in_range(self.z_loss)

    def _share(self, scale: Scale) -> Factor:
        weights = 1.0 if self.weights is None else self.weights
        if self.reduction != "mean":
            return weights * scale.factor
        return weights / scale.divisor if self.of_losses.divisor else 0.0

    def loss(self, cross_entropies: Numbers, normalizers: Numbers) -> Numbers:
        """Return () the reduced loss of (N,) CE and l, or (N,) the losses of the rows if they are not reduced."""
        loss = self.reduced(cross_entropies, self.of_losses)
        if not self.z_loss:
            return loss
        return loss + self.reduced(normalizers * normalizers * in_range(self.z_loss), self.of_penalties)

    def reduced(self, values: Numbers, scale: Scale) -> Numbers:
        """Return () the reduced values of (N,) rows, times s; (N,) if they are not reduced."""
        if self.reduction == "none":
            return self.weighted(values, scale)
        return self.mean(values, scale) if self.reduction == "mean" else self._sum(values) * scale.factor

    def mean(self, values: Numbers, scale: Scale) -> Numbers:
        """Return () the sum of (N,) values of rows, times s, over the divisor; 0 if that of the losses is 0."""
        return self._sum(values) / scale.divisor if self.of_losses.divisor else np.zeros(())

    def _sum(self, values: Numbers) -> Numbers:
        """Return () the sum of (N,) values of rows, times the normalised s; inf for infinite ones of both signs."""
        result = total(self.times_weights(values))
        return np.array(inf) if isnan(mantissas(result)) else result

    def weighted(self, values: Numbers, scale: Scale, block: Block = slice(None)) -> Numbers:
        """Return (n,) values of a block of rows, times s."""
        return self.times_weights(values, block) * scale.factor

    def times_weights(self, values: Numbers, block: Block = slice(None)) -> Numbers:
        """Return (n,) values of a block of rows, times the normalised s."""
        return values if self.weights is None else product(rows_of(self.weights, block), values)

    @cached_property
    def expected_classes(self) -> Integers:
        """(N,) The label, or the class of the largest target probability."""
        spread = self.probabilities if self.teacher_logits is None else self.teacher_logits
        if spread is not None:
            return spread.argmax(axis=-1)
        assert self.labels is not None
        return self.labels
