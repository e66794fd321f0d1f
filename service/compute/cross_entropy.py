"""Cross-entropy of a block of rows against its targets, and its derivatives."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from service.compute.calibration import Distances
from service.compute.curvature import curvature
from service.compute.divergence import divergence_terms, log_ratios
from service.compute.extended import ExtendedSoftmax
from service.compute.gradients import EVERY_ROW, HARMLESS, NO_ROW, RowGradient, is_out_of_range
from service.compute.row_targets import RowTargets
from service.compute.rows import argmax, at, put, row_sums, row_totals
from service.compute.scaled import (
    Factor,
    Numbers,
    Scaled,
    column,
    in_range,
    is_safe,
    largest,
    product,
    rounded,
    rows_of,
    total,
)

if TYPE_CHECKING:
    from service.arrays import Block, Floats, Mask
    from service.compute.softmax import Softmax
    from service.compute.targets import Targets
    from service.compute.teacher import Teacher


class CrossEntropy(RowGradient):
    """CE[n] = -sum_c a_c log p_c of a block of rows, z_loss l[n]**2, and the derivatives of the reduced loss.

    a: the effective targets, A their sum, see `RowTargets`. The derivative of CE by v is p_c A - a_c. For the class with
    the largest a_c it is p_c (A - a_c) - a_c (1 - p_c), each factor a sum of terms of one sign, so that a confident row
    keeps its digits.

    targets: those of the whole batch; block: the rows of it that `softmax` is made of; teacher: of these rows.
    """

    def __init__(
        self, softmax: Softmax | ExtendedSoftmax, targets: Targets, block: Block, teacher: Teacher | None = None
    ) -> None:
        self.softmax = softmax
        self._targets = targets
        self._block = block
        self.row_targets = RowTargets(softmax, targets, block, teacher)
        self._labels = self.row_targets.labels
        self._is_one_hot = targets.labels is not None and not targets.label_smoothing
        self._teacher = teacher

    @property
    def extended(self) -> CrossEntropy:
        """The cross-entropy computed from an `ExtendedSoftmax`."""
        return CrossEntropy(ExtendedSoftmax(self.softmax.doubles), self._targets, self._block, self._teacher)

    @cached_property
    def factor(self) -> Factor:
        """(n,) or single factor of the derivative of CE by v in that of the reduced loss by z: s / denominator / T."""
        return rows_of(self._targets.shares, self._block) / in_range(self.softmax.temperature)

    @cached_property
    def penalty(self) -> Factor | None:
        """(n,) Derivative of the z-loss with respect to l, over T: 2 s z_loss l / total weight / T; None without a z-loss."""
        if not self._targets.z_loss:
            return None
        shares = rows_of(self._targets.penalty_shares, self._block) / in_range(self.softmax.temperature)
        return in_range(self.softmax.normalizer) * shares * 2.0

    @cached_property
    def cross_entropies(self) -> Numbers:
        """(n,) CE, nats."""
        targets, softmax = self._targets, self.softmax
        if self._labels is not None:
            values = self.row_targets.weight_of_label(softmax.surprisals_at(self._labels))
        else:
            weighted = self.row_targets.weighted(self.row_targets.probabilities)
            values = row_sums(product(weighted, softmax.surprisals), softmax.included)
            self.row_targets.mark_infinite(values, targets.class_weights)
        if not targets.label_smoothing:
            return values
        sums = row_sums(self.row_targets.weighted(softmax.surprisals), softmax.included)
        return values * (1.0 - targets.label_smoothing) + sums * (
            in_range(targets.label_smoothing) / self.row_targets.smoothed_classes
        )

    @property
    def extreme(self) -> Mask:
        """(n,) or single: whether a target or a distance of a row could lift what the other lost to underflow."""
        return NO_ROW if self._labels is not None else self.row_targets.extreme

    def in_doubles(self, name: str) -> Floats:
        """Return (n,) a quantity in doubles, the extended one if a factor was out of range."""
        is_scaled = isinstance(getattr(self, name), Scaled)
        return self.restored(name, EVERY_ROW if is_scaled else self.extreme)

    @property
    def normalizers(self) -> Numbers:
        """(n,) l for the z-loss, 0 for an empty row; zeros without a z-loss."""
        return self.softmax.normalizer if self._targets.z_loss else np.zeros(len(self.softmax.doubles.logits))

    @property
    def row_losses(self) -> Floats:
        """(n,) s (CE + z_loss l**2), before the reduction."""
        losses = self.weighted_losses
        if self._targets.is_plain or (is_safe(losses) and not np.count_nonzero(self.extreme)):
            return rounded(losses)
        return rounded(self.extended.weighted_losses)

    @property
    def weighted_losses(self) -> Numbers:
        """(n,) s (CE + z_loss l**2), which may be out of range."""
        targets = self._targets
        losses = targets.weighted(self.cross_entropies, targets.of_losses, self._block)
        if not targets.z_loss:
            return losses
        penalties = self.normalizers * self.normalizers * in_range(targets.z_loss)
        return losses + targets.weighted(penalties, targets.of_penalties, self._block)

    @property
    def target_log_probabilities(self) -> Floats:
        """(n,) log p of the label, nats; 0 for a row that is not counted."""
        values = 0.0 - self.softmax.doubles.surprisals_at(self._labels)
        counted = self._targets.counted
        return values if counted is None else np.where(counted[self._block], values, 0.0)

    @property
    def brier_scores(self) -> Numbers:
        """(n,) sum_c (p_c - t_c)**2, with t as sent."""
        softmax, targets = self.softmax.doubles, self._targets
        differences: Numbers
        if self._teacher is not None:
            differences = self._teacher.differences
        elif targets.probabilities is not None:
            differences = softmax.probabilities - targets.probabilities[self._block]
        else:
            differences = softmax.probabilities.copy()
            put(differences, self._labels, softmax.complements_at(self._labels))
        if self.softmax is not softmax:
            differences = Scaled.of(differences)
        return row_totals(differences * differences, softmax.included)

    @cached_property
    def divergences(self) -> Numbers:
        """(n,) sum_c t_c log(t_c / p_c) - t_c + p_c for target probabilities as sent or of the teacher, nats."""
        softmax, sent, teacher = self.softmax, self._targets.probabilities, self._teacher
        if teacher is None:
            assert sent is not None
            ratios = log_ratios(sent[self._block], softmax.surprisals)
        else:
            ratios = teacher.log_ratios if softmax is softmax.doubles else teacher.extended_log_ratios
        terms = divergence_terms(self.row_targets.probabilities, softmax.probabilities, ratios)
        values = row_totals(terms, softmax.included)
        self.row_targets.mark_infinite(values, None)
        return values

    @property
    def row_divergences(self) -> Floats:
        """(n,) The divergences as doubles."""
        return self.restored("divergences", self.extreme if is_safe(self.divergences) else EVERY_ROW)

    @cached_property
    def slopes(self) -> Numbers:
        """(n, K) p A - a."""
        softmax = self.softmax
        if self._is_one_hot and softmax is softmax.doubles:
            slopes: Numbers = softmax.probabilities.copy()
            put(slopes, self._labels, 0.0 - softmax.complements_at(self._labels))
            weighted = self._targets.class_weights is not None
            return slopes * column(self.row_targets.weight_of_label(1.0)) if weighted else slopes
        if self._teacher is not None and not self._targets.label_smoothing and self._targets.class_weights is None:
            is_double = softmax is softmax.doubles
            return self._teacher.differences if is_double else self._teacher.extended_differences
        a, p = self.row_targets.effective, softmax.probabilities
        slopes = p * column(self.row_targets.totals)
        slopes -= a
        # the difference loses digits only for a class that has most of both p and a
        most, others = argmax(a), a * 1.0
        put(others, most, 0.0)
        others = row_totals(others, softmax.included)
        put(slopes, most, at(p, most) * others - at(a, most) * softmax.complements_at(most))
        return slopes

    def without_softcap(self) -> Numbers:
        """Return (n, K) T dL/dv."""
        softmax = self.softmax
        if not self._is_one_hot or self._targets.class_weights is not None or self.penalty is not None:
            return super().without_softcap()
        # as above, in one pass
        factor = self.matched(self.factor)
        gradient = softmax.probabilities * column(factor)
        put(gradient, self._labels, 0.0 - softmax.complements_at(self._labels) * factor)
        return gradient

    @property
    def size(self) -> Floats | float:
        """(n,) or single bound on dL/dz, up to a factor of 2**32."""
        size, penalty = rounded(self.factor), self.penalty
        if self._targets.probabilities is not None:
            # NaN for a factor of 0 and an infinite sum of targets
            size = size * np.maximum(1.0, rounded(self.row_targets.totals))
        return size if penalty is None else np.abs(size) + np.abs(rounded(penalty))

    @property
    def drift(self) -> Numbers:
        """(n,) A sum_i p_i d_i - sum_i a_i d_i."""
        if not self._is_one_hot:
            return super().drift
        return self.row_targets.weight_of_label(self.mean_distance - at(self.softmax.finite_distances, self._labels))

    @property
    def distances(self) -> Distances:
        """The sums over the rows, with the digits that doubles lose."""
        targets, rows = self._targets, (self._observed_distances, self._expected_distances, self._variances)
        sums = Distances(*(Scaled.of(total(targets.times_weights(values, self._block))) for values in rows))
        # an observed distance that underflowed is negligible beside an expected one that is safe
        is_right = is_safe(rounded(sums.expected)) and rounded(sums.observed) < np.inf
        if self.softmax is self.softmax.doubles and (np.count_nonzero(self.extreme) or not is_right):
            return self.extended.distances
        return Distances(*(each * targets.of_losses.factor for each in sums))

    @property
    def _observed_distances(self) -> Numbers:
        """(n,) -sum_i a_i d_i."""
        distances = self.softmax.finite_distances
        if self._is_one_hot:
            return self._times_total(-at(distances, self._labels))
        return -row_sums(product(self.row_targets.effective, distances), self.softmax.included)

    @property
    def _expected_distances(self) -> Numbers:
        """(n,) -A sum_i p_i d_i."""
        return self._times_total(-self.mean_distance)

    @property
    def _variances(self) -> Numbers:
        """(n,) A times the variance of d under p, to a few digits."""
        squares = row_sums(product(self.weighted_distances, self.softmax.finite_distances), self.softmax.included)
        return self._times_total(squares - self.mean_distance * self.mean_distance)

    def _times_total(self, values: Numbers) -> Numbers:
        """Return (n,) values times A."""
        return self.row_targets.weight_of_label(values) if self._is_one_hot else values * self.row_targets.totals

    @property
    def targets_gradient(self) -> Floats:
        """(n, K) dL/dt = -(1 - eps) s w log p / denominator."""
        targets, softmax = self._targets, self.softmax.doubles
        factors = column(rows_of(targets.shares, self._block)) * (1.0 - targets.label_smoothing)
        if targets.weights_of_classes is not None:
            factors = factors * targets.weights_of_classes
        gradient = product(rounded(factors), softmax.surprisals)
        lost: Mask = np.isinf(gradient) if softmax.included is None else np.isinf(gradient) & softmax.included
        if largest(factors) > HARMLESS or isinstance(factors, Scaled):
            lost |= (np.abs(rounded(factors)) > HARMLESS) | is_out_of_range(factors)
        if not lost.any():
            return gradient
        exact = rounded(product(factors, ExtendedSoftmax(softmax).surprisals))
        return np.where(lost.any(axis=-1, keepdims=True), exact, gradient)

    @property
    def hessian(self) -> Floats:
        """(n, K, K) d2L/dz2 = ((A + 2 z_loss l) (diag p - p p^T) + 2 z_loss p p^T) / T**2, scaled like the loss."""
        temperature = in_range(self.softmax.temperature)
        square: Factor = 0.0
        if self._is_one_hot:
            spread = self.row_targets.weight_of_label(self.factor)
        else:
            spread = self.extended.row_targets.totals * self.factor
        penalty = self.extended.penalty
        if penalty is not None:
            spread = spread + penalty
            square = rows_of(self._targets.penalty_shares, self._block) * 2.0 / temperature
        return curvature(self.softmax.doubles, spread / temperature, square / temperature)
