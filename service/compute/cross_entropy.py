"""Cross-entropy of rows against their targets, and its gradient; and the gradient of somebody else's loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from service.compute.softmax import Floats, Integers, Softmax, product, quantity, scaled_difference, sum_of_others

Reduction = Literal["mean", "sum", "none"]


@dataclass(frozen=True)
class Targets:
    """What each row should have been, and how much it counts.

    Either labels (N,), class indices, or probabilities (N, K), finite and not negative; they need not sum to 1.
    counted: (N,), None if every row is; an uncounted row has label 0.
    class_weights: (K,) w; sample_weights: (N,) s. Finite, not negative, 1 if None.
    divisor: the caller's own denominator of the mean, None for the one that follows from the weights.
    """

    labels: Integers | None = None
    probabilities: Floats | None = None
    counted: npt.NDArray[np.bool_] | None = None
    class_weights: Floats | None = None
    sample_weights: Floats | None = None
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    reduction: Reduction = "mean"
    divisor: float | None = None

    @property
    def _count(self) -> int:
        rows = self.labels if self.labels is not None else self.probabilities
        assert rows is not None
        return len(rows)

    @property
    def is_plain(self) -> bool:
        """Does every row count, and as much as any other?"""
        return self.sample_weights is None and self.counted is None

    @quantity
    def weights(self) -> Floats:
        """(N,) s, with 0 for an uncounted row."""
        weights = np.ones(self._count) if self.sample_weights is None else self.sample_weights
        return weights if self.counted is None else np.where(self.counted, weights, 0.0)

    @quantity
    def label_weights(self) -> Floats:
        """(N,) s * w[y] for labels."""
        if self.class_weights is None:
            return self.weights
        return self.weights * self.class_weights[self.labels]

    @quantity
    def total_weight(self) -> float:
        """sum of s over counted rows: the denominator of the z-loss, and of the loss for probability targets."""
        return float(self._count if self.is_plain else self.weights.sum())

    @quantity
    def denominator(self) -> float:
        """What the mean divides by: sum of s * w[y] for labels, sum of s for probabilities, over counted rows."""
        if self.divisor is not None:
            return self.divisor
        if self.labels is None or self.class_weights is None:
            return self.total_weight
        return float(self.label_weights.sum())

    def share(self, values: Floats) -> Floats:
        """The part that values times s have in the reduced cross-entropy: over `denominator` for the mean."""
        return self._over(self.denominator, values)

    def penalty_share(self, values: Floats) -> Floats:
        """The part that values times s have in the reduced z-loss: over `total_weight` for the mean."""
        return self._over(self.total_weight, values)

    def _over(self, denominator: float, values: Floats) -> Floats:
        if self.reduction != "mean":
            return values
        if self.denominator == 0.0:
            return np.zeros_like(values)
        return values / (denominator if self.divisor is None else self.divisor)

    def loss(self, cross_entropies: Floats, penalties: Floats) -> Floats:
        """() The reduced loss of (N,) cross-entropies and z-losses, both times s; (N,) their sums if not reduced."""
        if self.reduction == "none":
            return cross_entropies + penalties
        loss = self.share(np.add.reduce(cross_entropies))
        return loss + self.penalty_share(np.add.reduce(penalties)) if self.z_loss else loss

    def accuracy(self, predictions: Integers) -> Floats:
        """() The share of counted rows whose prediction is the target, 0 with no counted row."""
        wanted = self.labels if self.probabilities is None else self.probabilities.argmax(axis=-1)
        hits = predictions == wanted
        if self.counted is not None:
            hits = hits[self.counted]
        return np.asarray(hits.mean() if hits.size else 0.0)


class CrossEntropy(Softmax):
    """s CE[n] + s z_loss l[n]**2 of a block of rows, CE[n] = -sum_c a_c log p_c, and its gradient.

    a_c = w_c ((1 - eps) t_c + eps / K), A = sum_c a_c, eps the label smoothing.

    Gradients are those of the reduced loss, so they carry its 1 / denominator. p_c A - a_c is computed as
    p_c (A - a_c) - a_c (1 - p_c), each factor a sum of terms of one sign, so that a confident row keeps its digits.

    targets: those of the whole batch, of which `rows` are these.
    """

    def __init__(
        self,
        logits: Floats,
        temperature: float,
        softcap: float | None,
        top_k: int | None,
        targets: Targets,
        rows: slice,
    ) -> None:
        super().__init__(logits, temperature, softcap, top_k)
        self.targets = targets
        self._block = rows

    @quantity
    def _weights(self) -> Floats:
        """(n,) s."""
        return self.targets.weights[self._block]

    @quantity
    def _labels(self) -> Integers | None:
        """(n,) y where a row has all its weight on one class; None where the weight is spread."""
        labels = self.targets.labels
        return None if labels is None or self.targets.label_smoothing else labels[self._block]

    @quantity
    def _spread(self) -> Floats:
        """(n, K) a, the effective targets."""
        targets, classes = self.targets, self.logits.shape[1]
        smoothing = targets.label_smoothing
        if targets.probabilities is not None:
            spread = (1.0 - smoothing) * targets.probabilities[self._block] + smoothing / classes
        else:
            assert targets.labels is not None
            spread = np.full(self.logits.shape, smoothing / classes)
            self.put(spread, targets.labels[self._block], smoothing / classes + (1.0 - smoothing))
        if targets.class_weights is not None:
            spread *= targets.class_weights
        return spread

    @quantity
    def _label_shares(self) -> Floats:
        """(n,) s w[y], over the denominator for the mean."""
        return self.targets.share(self.targets.label_weights[self._block])

    @quantity
    def _spread_shares(self) -> Floats:
        """(n, K) s a, over the denominator for the mean."""
        return self.targets.share(self._spread * self._weights[:, None])

    @quantity
    def _penalty_shares(self) -> Floats:
        """(n,) s z_loss, over the total weight for the mean."""
        return self.targets.penalty_share(self._weights) * self.targets.z_loss

    @quantity
    def cross_entropies(self) -> Floats:
        """(n,) s CE, nats."""
        if self._labels is None:
            return self._weighted(product(self._spread, self.surprisals).sum(axis=-1))
        surprisals, class_weights = self.log_tail - self.distances_at(self._labels), self.targets.class_weights
        return self._weighted(surprisals if class_weights is None else product(class_weights[self._labels], surprisals))

    @quantity
    def penalties(self) -> Floats:
        """(n,) s z_loss l**2."""
        if not self.targets.z_loss:
            return np.zeros(len(self.logits))
        return self._weighted(self.targets.z_loss * self.log_normalizer**2)

    def _weighted(self, values: Floats) -> Floats:
        """(n,) s times values."""
        return values if self.targets.is_plain else product(self._weights, values)

    @property
    def row_losses(self) -> Floats:
        """(n,) What each row adds to the loss before it is reduced."""
        return self.cross_entropies + self.penalties

    @quantity
    def _cross_entropy_gradient(self) -> Floats:
        """(n, K) s (p A - a) over the denominator: the derivative of the cross-entropy by u."""
        if self._labels is None:
            spread, complements = self._spread_shares, self.complements
            return self.probabilities * sum_of_others(spread) - spread * complements
        complements = self.complements_at(self._labels)
        gradient = self.probabilities * self._label_shares[:, None]
        self.put(gradient, self._labels, 0.0 - complements * self._label_shares)
        return gradient

    @quantity
    def _penalty_slopes(self) -> Floats | None:
        """(n,) 2 s z_loss l over the total weight, the derivative of the z-loss by l; None without a z-loss."""
        return product(2.0 * self._penalty_shares, self.log_normalizer) if self.targets.z_loss else None

    @quantity
    def logits_gradient(self) -> Floats:
        """(n, K) dL/dz, z the logits as sent."""
        gradient = self._cross_entropy_gradient
        if self._penalty_slopes is not None:
            gradient = gradient + product(self.probabilities, self._penalty_slopes[:, None])
        return by_logits(self, gradient)

    @quantity
    def temperature_slopes(self) -> Floats:
        """(n,) What each row adds to dL/dT = -1/T sum g_u u.

        The cross-entropy part of g_u sums to 0, so u may be shifted to d, which keeps the digits that an offset takes.
        """
        slopes = by_temperature(self, self._cross_entropy_gradient)
        if self._penalty_slopes is not None:
            mean = self.scaled_maximum + (self.probabilities * finite(self.distances)).sum(axis=-1)
            slopes -= product(self._penalty_slopes, mean) / self.temperature
        return slopes

    @quantity
    def targets_gradient(self) -> Floats:
        """(n, K) dL/dt = -(1 - eps) s w log p over the denominator."""
        shares = self.targets.share((1.0 - self.targets.label_smoothing) * self._weights)[:, None]
        if self.targets.class_weights is not None:
            shares = shares * self.targets.class_weights
        return product(shares, self.surprisals)

    @quantity
    def hessian(self) -> Floats:
        """(n, K, K) d2L/dz2 = ((A + 2 z_loss l) (diag p - p p^T) + 2 z_loss p p^T) / T**2, scaled like the loss."""
        spread = self._label_shares if self._labels is not None else self._spread_shares.sum(axis=-1)
        if self._penalty_slopes is not None:
            spread = spread + self._penalty_slopes
        return self._curvature(spread, 2.0 * self._penalty_shares) / self.temperature / self.temperature


class VectorJacobianProduct(Softmax):
    """The gradient of a loss of the caller's, given its gradient v by the probabilities of a block of rows.

    g_u = p (v - sum_j v_j p_j), with v shifted by its value at the top class, where the difference would cancel.

    vectors: (n, K) v, finite.
    """

    def __init__(
        self, logits: Floats, temperature: float, softcap: float | None, top_k: int | None, vectors: Floats
    ) -> None:
        super().__init__(logits, temperature, softcap, top_k)
        self._vectors = vectors

    @quantity
    def _gradient(self) -> Floats:
        """(n, K) g_u."""
        shifted = scaled_difference(self._vectors, self.at(self._vectors, self.top), 4.0)
        mean = (self.probabilities * shifted).sum(axis=-1)
        return 4.0 * (self.probabilities * (shifted - mean[:, None]))

    @quantity
    def logits_gradient(self) -> Floats:
        """(n, K) dL/dz, z the logits as sent."""
        return by_logits(self, self._gradient)

    @quantity
    def temperature_slopes(self) -> Floats:
        """(n,) What each row adds to dL/dT = -1/T sum g_u u; g_u sums to 0, so u may be shifted to d."""
        return by_temperature(self, self._gradient)


def by_logits(softmax: Softmax, gradient: Floats) -> Floats:
    """(n, K) g_z = g_u / T * dc/dz."""
    if softmax.temperature != 1.0:
        gradient = gradient / softmax.temperature
    return gradient if softmax.slopes is None else gradient * softmax.slopes


def by_temperature(softmax: Softmax, gradient: Floats) -> Floats:
    """(n,) -1/T sum_i g_u[i] d[i] over the classes that are not excluded."""
    return 0.0 - (gradient * finite(softmax.distances)).sum(axis=-1) / softmax.temperature


def finite(values: Floats) -> Floats:
    """values with 0 for -inf."""
    return np.where(np.isneginf(values), 0.0, values)
