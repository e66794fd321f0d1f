"""Quality of the predictions of a batch: accuracy, Brier score, calibration."""

from __future__ import annotations

from dataclasses import dataclass
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

    counts: (bins,) rows in each bin. mean_confidences, accuracies: (bins,) mean confidence and share of right
    predictions in each bin, 0 for an empty bin.
    """

    counts: Integers
    mean_confidences: Floats
    accuracies: Floats

    @classmethod
    def of(cls, confidences: Floats, hits: Mask, counted: Mask | None, bins: int) -> Reliability:
        """Return the bins of the counted rows.

        confidences: (N,) largest probabilities; hits: (N,) whether the prediction is the target.
        """
        if counted is not None:
            confidences, hits = confidences[counted], hits[counted]
        places = np.digitize(confidences, np.linspace(0.0, 1.0, bins + 1)[1:-1], right=True)
        counts = np.bincount(places, minlength=bins)
        sums = (np.bincount(places, values, bins) for values in (confidences, hits))
        return cls(counts, *(each / np.maximum(counts, 1) for each in sums))

    @property
    def expected_calibration_error(self) -> Floats:
        """() sum over bins of count / M * |accuracy - mean confidence| for M rows, 0 without a row.

        .. [1] Guo et al. (2017), On calibration of modern neural networks.
        """
        gaps = np.abs(self.accuracies - self.mean_confidences)
        return np.asarray((self.counts * gaps).sum() / max(1, self.counts.sum()))
