"""The targets of a batch, the weights of its rows, and what reduces the losses of the rows to one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from service.compute.scaled import ONE, ZERO, Scaled

if TYPE_CHECKING:
    from service.arrays import Array, Floats, Integers, Mask

Reduction = Literal["mean", "sum", "none"]


@dataclass(frozen=True)
class Targets:
    """Targets of N rows, and how much each row counts.

    Either labels (N,), class indices, or probabilities (N, K), finite and not negative; they need not sum to 1.
    counted: (N,), None for every row; a row that is not counted has label 0.
    class_weights: (K,) w, not negative; sample_weights: (N,) s. Finite; None for 1.
    divisor: the caller's own denominator of the mean; None for the one that follows from the weights.
    """

    count: int
    labels: Integers | None = None
    probabilities: Floats | None = None
    counted: Mask | None = None
    class_weights: Floats | None = None
    sample_weights: Floats | None = None
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    reduction: Reduction = "mean"
    divisor: float | None = None

    @cached_property
    def is_plain(self) -> bool:
        """True if only the number of rows divides or multiplies the loss of a row."""
        return (
            self.sample_weights is None
            and self.class_weights is None
            and self.counted is None
            and self.divisor is None
            and not self.z_loss
        )

    @cached_property
    def weights(self) -> Scaled:
        """(N,) s, 0 for a row that is not counted; 1 for all rows if all are 1."""
        weights = self.sample_weights
        if self.counted is not None:
            weights = np.where(self.counted, 1.0 if weights is None else weights, 0.0)
        return ONE if weights is None else Scaled.of(weights)

    @cached_property
    def class_exponent(self) -> int:
        """Largest exponent of the class weights."""
        return 0 if self.class_weights is None else int(np.max(Scaled.of(self.class_weights).order))

    @cached_property
    def relative_class_weights(self) -> Scaled | None:
        """(K,) w over 2**class_exponent; None for 1."""
        if self.class_weights is None:
            return None
        weights = Scaled.of(self.class_weights)
        return Scaled(weights.mantissa, weights.exponent - self.class_exponent)

    @cached_property
    def _label_weights(self) -> Scaled:
        """(N,) s * w[y] for labels."""
        if self.class_weights is None:
            return self.weights
        return self.weights * Scaled.of(self.class_weights).rows(self.labels)

    @cached_property
    def row_weights(self) -> Scaled:
        """(N,) Factor of a row's cross-entropy: s * 2**class_exponent."""
        return Scaled(self.weights.mantissa, self.weights.exponent + self.class_exponent)

    @property
    def has_plain_labels(self) -> bool:
        """True if each row has its whole target on one class."""
        return self.labels is not None and not self.label_smoothing

    @cached_property
    def total_weight(self) -> Scaled:
        """sum of s over counted rows: the denominator of the z-loss, and of the loss for target probabilities."""
        return Scaled.of_number(self.count) if self.weights is ONE else self.weights.total()

    @cached_property
    def scaled_denominator(self) -> Scaled:
        """Divisor of the mean: sum of s * w[y] for labels, sum of s for probabilities, over counted rows."""
        if self.divisor is not None:
            return Scaled.of_number(self.divisor)
        if self.labels is None or self.class_weights is None:
            return self.total_weight
        return self._label_weights.total()

    @property
    def denominator(self) -> Floats:
        """() The divisor of the mean, as a double."""
        if self.is_plain:
            return np.asarray(float(self.count))
        return np.asarray(self.scaled_denominator.rounded())

    @cached_property
    def share(self) -> Scaled:
        """Factor of s * CE in the reduced loss: 1 over the denominator for the mean."""
        return self._share(self.scaled_denominator)

    @cached_property
    def penalty_share(self) -> Scaled:
        """Factor of s * l**2 in the reduced loss: z_loss, over the total weight for the mean."""
        return self._share(self.total_weight if self.divisor is None else self.scaled_denominator) * Scaled.of(
            self.z_loss
        )

    def _share(self, denominator: Scaled) -> Scaled:
        if self.reduction != "mean":
            return ONE
        return ONE / denominator if self.scaled_denominator.mantissa else ZERO

    @cached_property
    def row_shares(self) -> Scaled:
        """(N,) Factor of a row's cross-entropy in the reduced loss."""
        if self.is_plain:
            return Scaled.of_number(1.0 / self.count if self.reduction == "mean" and self.count else 1.0)
        return self.row_weights * self.share

    @cached_property
    def penalty_shares(self) -> Scaled:
        """(N,) Factor of a row's l**2 in the reduced loss."""
        return self.weights * self.penalty_share

    def loss(self, cross_entropies: Array, log_normalizers: Array) -> Floats:
        """Return () the reduced loss, or (N,) the losses of the rows if they are not reduced.

        cross_entropies: (N,) CE, and log_normalizers: (N,) l, as `CrossEntropy` packs them.
        """
        losses = self._reduced(Scaled.unpacked(cross_entropies) * self.row_weights, self.scaled_denominator)
        if self.z_loss:
            squares = Scaled.unpacked(log_normalizers)
            penalties = squares * squares * self.weights * Scaled.of_number(self.z_loss)
            losses = losses + self._reduced(
                penalties, self.total_weight if self.divisor is None else self.scaled_denominator
            )
        return losses.rounded()

    def plain_loss(self, cross_entropies: Floats) -> Floats:
        """Return the loss of plain targets: infinite if a row's cross-entropy is."""
        if self.reduction == "none":
            return cross_entropies
        total = np.add.reduce(cross_entropies)
        if self.reduction == "sum" or not self.count:
            return total
        if total == np.inf:
            return (Scaled.of(cross_entropies).total() / self.count).rounded()
        return total / self.count

    def divergence(self, divergences: Floats) -> Floats:
        """Return () the divergences of the rows (N,), reduced like the loss; (N,) times s if they are not reduced."""
        return self._reduced(Scaled.of(divergences) * self.weights, self.scaled_denominator).rounded()

    def _reduced(self, losses: Scaled, denominator: Scaled) -> Scaled:
        if self.reduction == "none":
            return losses
        if self.reduction == "sum":
            return losses.total()
        return losses.total() / denominator if self.scaled_denominator.mantissa else ZERO

    @cached_property
    def expected_classes(self) -> Integers:
        """(N,) The label, or the class of the largest target probability."""
        if self.probabilities is not None:
            return self.probabilities.argmax(axis=-1)
        assert self.labels is not None
        return self.labels

    def mean_cross_entropy(self, cross_entropies: Array) -> Floats:
        """Return () the mean of the cross-entropies, packed or plain, whatever the reduction."""
        if self.is_plain:
            losses, denominator = Scaled.of(cross_entropies), Scaled.of_number(self.count)
        else:
            losses, denominator = Scaled.unpacked(cross_entropies) * self.row_weights, self.scaled_denominator
        return (losses.total() / denominator).rounded() if denominator.mantissa else np.asarray(0.0)
