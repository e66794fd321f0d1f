"""The softmax of a teacher beside that of a student, with digits where the two nearly agree."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from service.compute.extended import ExtendedSoftmax
from service.compute.rows import at, put, row_sums
from service.compute.scaled import Numbers, Scaled, choose, column
from service.compute.softmax import Softmax

if TYPE_CHECKING:
    from service.arrays import Floats, Integers

NEAR = 0.5
"""Size of log p - log t up to which p - t is t expm1(log p - log t), since the difference would cancel."""


class Teacher:
    """Target probabilities t = softmax(teacher logits / T) of a block of rows, beside the probabilities p of a student.

    With d = (student logits - teacher logits) / T, log p - log t = d - c, where c is one number for a row. The
    log-probabilities of one class give c except for its last digits. They follow from sum_j (p_j - t_j) = 0.

    student: softmax of n rows; logits: (n, K), float64.
    """

    def __init__(self, student: Softmax, logits: Floats) -> None:
        self.student = student
        self.softmax = Softmax(logits, student.temperature)

    @cached_property
    def log_ratios(self) -> Floats:
        """(n, K) x = log p - log t; 0 for a class that both exclude, infinite for one that one of them excludes."""
        student, teacher = self.student, self.softmax
        direct = teacher.surprisals - student.surprisals
        direct[np.isnan(direct)] = 0.0
        together = student.surprisals + teacher.surprisals
        middle = together.argmin(axis=-1)
        ratios = self._logit_differences(middle) + at(direct, middle)[:, None]
        is_exact = np.isfinite(ratios) & (together < np.inf)
        ratios = np.where(is_exact, ratios, direct)
        excess = row_sums(self._differences(ratios))
        return np.where(is_exact, ratios - np.log1p(excess)[:, None], ratios)

    def _logit_differences(self, middle: Integers) -> Floats:
        """Return (n, K) d less the d of one class of each row; NaN or infinite where it is beyond double range."""
        student, teacher = self.student, self.softmax
        if student.softcap is None:
            temperature, left, right = student.temperature, student.logits, -teacher.logits
        else:
            temperature, left, right = 1.0, student.distances, -teacher.distances
        total = left + right
        # the rounding error of the sum, which an offset between the two makes large
        rounded = total - left
        lost = (left - (total - rounded)) + (right - rounded)
        return ((total - at(total, middle)[:, None]) + (lost - at(lost, middle)[:, None])) / temperature

    @cached_property
    def differences(self) -> Floats:
        """(n, K) p - t."""
        return self._differences(self.log_ratios)

    def _differences(self, log_ratios: Floats) -> Floats:
        t = self.softmax.probabilities
        near = t * np.expm1(np.clip(log_ratios, -NEAR, NEAR))
        return np.where(np.abs(log_ratios) <= NEAR, near, self.student.probabilities - t)

    @property
    def extended_log_ratios(self) -> Numbers:
        """(n, K) x, also where it is beyond double range."""
        far = ExtendedSoftmax(self.softmax).surprisals - ExtendedSoftmax(self.student).surprisals
        return choose(np.isinf(self.log_ratios), far, self.log_ratios)

    @property
    def extended_probabilities(self) -> Scaled:
        """(n, K) t with its digits where it is below double range."""
        return ExtendedSoftmax(self.softmax).probabilities

    @property
    def extended_differences(self) -> Numbers:
        """(n, K) p - t with its digits where it is below double range."""
        t, top = self.extended_probabilities, self.student.top
        near = t * np.expm1(np.clip(self.log_ratios, -NEAR, NEAR))
        far = ExtendedSoftmax(self.student).probabilities - t
        differences = choose(np.abs(self.log_ratios) <= NEAR, near, far)
        # of a class that both give nearly all the mass, the logarithm of the ratio is below double range too
        others = differences * 1.0
        put(others, top, 0.0)
        both = np.minimum(self.student.probabilities, self.softmax.probabilities)
        is_top = np.arange(both.shape[1]) == top[:, None]
        return choose(is_top & (both > NEAR), column(-row_sums(others)), differences)
