"""Cross-entropy of a block of rows against its targets, and its derivatives."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from service.compute.divergence import divergence_terms
from service.compute.extended import (
    curvature,
    scaled_complements,
    scaled_log_normalizer,
    scaled_probabilities,
    scaled_surprisals,
)
from service.compute.gradients import HARMLESS_EXPONENT, RowGradient, largest_exponent
from service.compute.rows import put, row_totals, sum_of_others
from service.compute.scaled import Scaled, column, product
from service.compute.softmax import TINY

if TYPE_CHECKING:
    from service.arrays import Array, Floats, Integers
    from service.compute.softmax import Softmax
    from service.compute.targets import Targets


class CrossEntropy(RowGradient):
    """CE[n] = -sum_c a_c log p_c of a block of rows, z_loss l[n]**2, and the derivatives of the reduced loss.

    a_c = w_c ((1 - eps) t_c + eps / K'), A = sum_c a_c, eps the label smoothing, K' the classes that are not excluded;
    an excluded class gets no eps / K'. The derivative of CE by v is p_c A - a_c. It is computed as
    p_c (A - a_c) - a_c (1 - p_c), each factor a sum of terms of one sign, so that a confident row keeps its digits.

    targets: those of the whole batch; block: the rows of it that `softmax` is made of.
    """

    def __init__(self, softmax: Softmax, targets: Targets, block: slice) -> None:
        super().__init__(softmax)
        self._targets = targets
        self._block = block
        self._labels: Integers | None = None
        """(n,) y if each row has all its target on one class; None if the target is spread."""
        if targets.labels is not None and targets.has_plain_labels:
            self._labels = targets.labels[block]

    def _label_weights(self) -> Scaled | None:
        """Return (n,) w[y] over 2**class_exponent; None for 1."""
        weights = self._targets.relative_class_weights
        return None if weights is None else weights.rows(self._labels)

    @cached_property
    def _targets_of_rows(self) -> Floats:
        """(n, K) (1 - eps) t."""
        targets, share = self._targets, 1.0 - self._targets.label_smoothing
        if targets.probabilities is not None:
            return share * targets.probabilities[self._block]
        assert targets.labels is not None
        one_hot = np.zeros(self.softmax.logits.shape)
        put(one_hot, targets.labels[self._block], share)
        return one_hot

    @cached_property
    def _smoothed_classes(self) -> Floats | float:
        """K', or (n, K) 1 / eps-share divisors: K' for a class that is not excluded, infinity for one that is."""
        included = self.softmax.included
        if included is None:
            return float(self.softmax.logits.shape[1])
        return np.where(included, np.count_nonzero(included, axis=-1, keepdims=True), np.inf)

    @cached_property
    def _effective(self) -> Floats:
        """(n, K) a over 2**class_exponent."""
        effective = self._targets_of_rows
        if self._targets.label_smoothing:
            effective = effective + self._targets.label_smoothing / self._smoothed_classes
        weights = self._targets.relative_class_weights
        return effective if weights is None else effective * weights.rounded()

    def _scaled_effective(self) -> Scaled:
        """Return (n, K) a over 2**class_exponent, also where it is below double range."""
        effective = Scaled.of(self._targets_of_rows)
        if self._targets.label_smoothing:
            effective = effective + Scaled.of(self._targets.label_smoothing) / self._smoothed_classes
        weights = self._targets.relative_class_weights
        return effective if weights is None else effective * weights

    @cached_property
    def factor(self) -> Scaled:
        """(n,) Factor of the derivative of CE by v in that of the reduced loss by z: s w / denominator / T."""
        return self._targets.row_shares.rows(self._block) / Scaled.of_number(self.softmax.temperature)

    @property
    def _penalty_factor(self) -> Scaled | None:
        """(n,) Derivative of the z-loss by l, over T: 2 s z_loss l / total weight / T; None without a z-loss."""
        return self._scaled_penalty_factor if self._targets.z_loss else None

    @cached_property
    def _scaled_penalty_factor(self) -> Scaled:
        shares = self._targets.penalty_shares.rows(self._block) / Scaled.of_number(self.softmax.temperature)
        return scaled_log_normalizer(self.softmax) * shares * 2.0

    @property
    def cross_entropies(self) -> Array:
        """(n,) CE over 2**class_exponent, nats; packed unless the targets are plain."""
        if not self._targets.is_plain:
            return self.packed_cross_entropies
        return self._spread_cross_entropies() if self._labels is None else self.softmax.surprisals_at(self._labels)

    def _spread_cross_entropies(self) -> Floats:
        softmax, effective = self.softmax, self._effective
        values = softmax.sums(product(effective, softmax.surprisals))
        if softmax.included is not None:
            values[((effective > 0.0) & ~softmax.included).any(axis=-1)] = np.inf
        return values

    @property
    def packed_cross_entropies(self) -> Array:
        """(n,) CE over 2**class_exponent, nats, packed, also where it is beyond double range."""
        if self._labels is not None:
            weights, of_labels = self._label_weights(), scaled_surprisals(self.softmax, self._labels)
            return (of_labels if weights is None else of_labels * weights).packed()
        softmax, values = self.softmax, self._spread_cross_entropies()
        if np.isfinite(values).all() and not (values < TINY).any():
            return Scaled.of(values).packed()
        surprisals = scaled_surprisals(softmax)
        scaled = (self._scaled_effective() * surprisals).sums(softmax.sums)
        is_excluded = np.isinf(surprisals.mantissa) & (self._scaled_effective().mantissa > 0.0)
        scaled.mantissa[is_excluded.any(axis=-1)] = np.inf
        return scaled.packed()

    @property
    def target_log_probabilities(self) -> Floats:
        """(n,) log p of the label, nats; 0 for a row that is not counted."""
        assert self._targets.labels is not None
        values = 0.0 - self.softmax.surprisals_at(self._targets.labels[self._block])
        counted = self._targets.counted
        return values if counted is None else np.where(counted[self._block], values, 0.0)

    @property
    def brier_scores(self) -> Floats:
        """(n,) sum_c (p_c - t_c)**2, with t as sent."""
        softmax, targets = self.softmax, self._targets
        if targets.probabilities is not None:
            differences = softmax.probabilities - targets.probabilities[self._block]
        else:
            assert targets.labels is not None
            differences, labels = softmax.probabilities.copy(), targets.labels[self._block]
            put(differences, labels, softmax.complements_at(labels))
        return row_totals(differences * differences, softmax.included)

    @property
    def divergences(self) -> Floats:
        """(n,) sum_c t_c log(t_c / p_c) - t_c + p_c for target probabilities as sent, nats."""
        softmax, targets = self.softmax, self._targets
        assert targets.probabilities is not None
        terms = divergence_terms(targets.probabilities[self._block], softmax.probabilities, softmax.surprisals)
        return row_totals(terms, softmax.included)

    @property
    def log_normalizers(self) -> Array:
        """(n,) l for the z-loss, packed, 0 for an empty row; zeros without a z-loss."""
        if not self._targets.z_loss:
            return np.zeros(len(self.softmax.logits))
        return scaled_log_normalizer(self.softmax).packed()

    @property
    def row_losses(self) -> Floats:
        """(n,) s (CE + z_loss l**2), before the reduction."""
        targets = self._targets
        if targets.is_plain:
            return self.cross_entropies
        losses = Scaled.unpacked(self.cross_entropies) * targets.row_weights.rows(self._block)
        if targets.z_loss:
            normalizers = scaled_log_normalizer(self.softmax)
            penalties = normalizers * normalizers * targets.weights.rows(self._block) * Scaled.of_number(targets.z_loss)
            losses = losses + penalties
        return losses.rounded()

    @cached_property
    def slopes(self) -> Floats:
        """(n, K) p A - a."""
        softmax = self.softmax
        if self._labels is not None:
            slopes = softmax.probabilities.copy()
            put(slopes, self._labels, 0.0 - softmax.complements_at(self._labels))
            weights = self._label_weights()
            return slopes if weights is None else slopes * weights.rounded()[:, None]
        effective = self._effective
        return softmax.probabilities * sum_of_others(effective, softmax.included) - effective * softmax.complements

    def scaled_slopes(self) -> Scaled:
        """Return (n, K) p A - a, also where it is below or beyond double range."""
        softmax, effective = self.softmax, self._scaled_effective()
        exponent = np.max(effective.order, axis=-1, keepdims=True)
        others = Scaled(sum_of_others(effective.in_units(exponent), softmax.included), exponent)
        return scaled_probabilities(softmax) * others - effective * scaled_complements(softmax)

    @cached_property
    def _totals(self) -> Floats:
        """(n,) A over 2**class_exponent."""
        return np.add.reduce(self._effective, axis=-1)

    @property
    def slopes_overflow(self) -> bool:
        """True if a sum of targets is beyond double range."""
        return self._labels is None and not bool(np.isfinite(self._totals).all())

    @property
    def size(self) -> Scaled:
        """(n,) or single bound on dL/dz, up to a factor of 2**32."""
        size = self.factor
        if self._labels is None:
            size = size * Scaled.of(np.minimum(self._totals, np.finfo(np.float64).max))
        return size if self._penalty_factor is None else size.size() + self._penalty_factor.size()

    def plain_gradient(self) -> Floats:
        """Return (n, K) dL/dz in doubles, without the softcap."""
        factor = self.factor.rounded()
        if self._labels is None or self._targets.class_weights is not None:
            gradient = self.slopes * column(factor)
        else:
            # As above, in one pass.
            gradient = self.softmax.probabilities * column(factor)
            put(gradient, self._labels, 0.0 - self.softmax.complements_at(self._labels) * factor)
        if self._penalty_factor is not None:
            gradient += product(self.softmax.probabilities, column(self._penalty_factor.rounded()))
        return gradient

    def scaled_gradient(self) -> Scaled:
        """Return (n, K) dL/dz with exponents, without the softcap."""
        gradient = self.scaled_slopes() * self.factor.columns()
        if self._penalty_factor is not None:
            gradient = gradient + scaled_probabilities(self.softmax) * self._penalty_factor.columns()
        return gradient

    def temperature_slopes(self) -> Scaled:
        """Return (n,) the part of each row in dL/dT = -1/T sum g_v v.

        The part of CE in g_v sums to 0, so v may be shifted to d, which keeps the digits that an offset takes.
        """
        slopes = super().temperature_slopes()
        if self._penalty_factor is None:
            return slopes
        softmax = self.softmax
        distances = softmax.finite_distances
        mean = softmax.scaled_maximum() + Scaled.of(softmax.sums(product(softmax.probabilities, distances)))
        return slopes - self._penalty_factor * mean

    @property
    def packed_curvatures(self) -> Array:
        """(n,) The part of each row in b**2 d2L/db2, b = 1 / T: A times the variance of v under p; packed."""
        softmax = self.softmax
        p, distances = softmax.probabilities, softmax.finite_distances
        mean = softmax.sums(product(p, distances))
        variances = softmax.sums(product(p, (distances - mean[:, None]) ** 2))
        if self._labels is None:
            variances *= row_totals(self._effective, softmax.included)
        return (Scaled.of(variances) * self._targets.row_shares.rows(self._block)).packed()

    @property
    def targets_gradient(self) -> Floats:
        """(n, K) dL/dt = -(1 - eps) s w log p / denominator."""
        targets, softmax = self._targets, self.softmax
        shares = targets.row_shares.rows(self._block) * (1.0 - targets.label_smoothing)
        weights = targets.relative_class_weights
        if largest_exponent(shares) > HARMLESS_EXPONENT:
            gradient = scaled_surprisals(softmax) * shares.columns()
            return (gradient if weights is None else gradient * weights).rounded()
        factors = column(shares.rounded())
        return product(factors if weights is None else factors * weights.rounded(), softmax.surprisals)

    @property
    def hessian(self) -> Floats:
        """(n, K, K) d2L/dz2 = ((A + 2 z_loss l) (diag p - p p^T) + 2 z_loss p p^T) / T**2, scaled like the loss."""
        temperature = Scaled.of_number(self.softmax.temperature)
        spread = self.factor
        if self._labels is None or self._targets.class_weights is not None:
            spread = self._scaled_effective().sums(partial(row_totals, included=self.softmax.included)) * spread
        square = self._targets.penalty_shares.rows(self._block) * 2.0 / temperature
        if self._penalty_factor is not None:
            spread = spread + self._penalty_factor
        return curvature(self.softmax, spread / temperature, square / temperature).rounded()
