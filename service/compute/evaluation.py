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
    count = max(1, chosen.size)
    return np.asarray(np.add.reduce(chosen) / count)


@dataclass(frozen=True)
class Reliability:
    """Counted rows in equal bins of confidence over (0, 1], the upper end of each bin included.

    counts: (bins,) rows in each bin. mean_confidences, accuracies: (bins,) mean confidence and share of right
    predictions in each bin, 0 for an empty bin.
    expected_calibration_error: () sum over bins of count / M * |accuracy - mean confidence| for M rows, 0 without a row.

    .. [1] Guo et al. (2017), On calibration of modern neural networks.
    """

    counts: Integers
    mean_confidences: Floats
    accuracies: Floats
    expected_calibration_error: Floats

    @classmethod
    def of(cls, tails: Floats, hits: Mask, counted: Mask | None, bins: int) -> Reliability:
        """Return the bins of the counted rows.

        tails: (N,) s, so that the largest probability is 1 / (1 + s); hits: (N,) whether the prediction is the target.
        """
        if counted is not None:
            tails, hits = tails[counted], hits[counted]
        confidences = 1.0 / (1.0 + tails)
        places = np.digitize(confidences, np.linspace(0.0, 1.0, bins + 1)[1:-1], right=True)
        counts = np.bincount(places, minlength=bins)
        means = [np.bincount(places, values, bins) / np.maximum(counts, 1) for values in (confidences, hits)]
        # 1 - p as s p: the difference would cancel for a confident row.
        gaps = np.bincount(places, np.where(hits, tails, -1.0) * confidences, bins)
        return cls(counts, means[0], means[1], np.asarray(np.abs(gaps).sum() / max(1, len(hits))))
