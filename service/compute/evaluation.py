"""Quality of the predictions of a batch: accuracy, Brier score, calibration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from service.arrays import Array, Floats, Integers, Mask


def mean_of_counted(values: Array, counted: Mask | None) -> Floats:
    """Return () the mean of (N,) values over the counted rows, 0 without one."""
    chosen = values if counted is None else values[counted]
    return np.asarray(chosen.mean() if chosen.size else 0.0)


def top_k_hits(top_k_classes: Integers, labels: Integers) -> Mask:
    """Return (N,) whether the label is among the (N, k) most probable classes."""
    return np.asarray((top_k_classes == labels[:, None]).any(axis=1))


@dataclass(frozen=True)
class Reliability:
    """Counted rows in equal bins of confidence over (0, 1], the upper end of each bin included.

    confidences: (M,) largest probabilities; hits: (M,) whether the prediction is the target.
    """

    confidences: Floats
    hits: Mask
    bins: int

    @classmethod
    def of(cls, confidences: Floats, hits: Mask, counted: Mask | None, bins: int) -> Reliability:
        """Return the bins of the counted rows."""
        return cls(confidences, hits, bins) if counted is None else cls(confidences[counted], hits[counted], bins)

    @cached_property
    def _places(self) -> Integers:
        return np.digitize(self.confidences, np.linspace(0.0, 1.0, self.bins + 1)[1:-1], right=True)

    @cached_property
    def counts(self) -> Integers:
        """(bins,) Rows in each bin."""
        return np.bincount(self._places, minlength=self.bins)

    @property
    def mean_confidences(self) -> Floats:
        """(bins,) Mean confidence in each bin, 0 for an empty bin."""
        return np.bincount(self._places, self.confidences, self.bins) / np.maximum(self.counts, 1)

    @property
    def accuracies(self) -> Floats:
        """(bins,) Share of right predictions in each bin, 0 for an empty bin."""
        return np.bincount(self._places, self.hits, self.bins) / np.maximum(self.counts, 1)

    @property
    def expected_calibration_error(self) -> Floats:
        """() sum over bins of count / M * |accuracy - mean confidence|, 0 without a row.

        .. [1] Guo et al. (2017), On calibration of modern neural networks.
        """
        gaps = np.abs(self.accuracies - self.mean_confidences)
        return np.asarray((self.counts * gaps).sum() / max(1, len(self.confidences)))
