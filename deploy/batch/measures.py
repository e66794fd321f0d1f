"""Measures of all rows together, such as the Brier score, from sums over blocks of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from service.arrays import Array

BINS = ("bin_counts", "bin_confidences", "bin_accuracies")

MEANS = ("top_k_accuracy", "brier_score")
"""Measures that are means over the counted rows."""

MEASURES = ("kl_divergence", "perplexity", *MEANS, "expected_calibration_error", *BINS)
"""Outputs without an entry for each row that the summary can have."""


def outputs_of(measures: Iterable[str]) -> list[str]:
    """Return the outputs of a block of rows that some measures are made of."""
    needed: dict[str, None] = {}
    for name in measures:
        needed |= dict.fromkeys(BINS if name in (*BINS, "expected_calibration_error") else (name,))
    return list(needed)


def terms(measures: Iterable[str], answered: Mapping[str, Array], counted: Array) -> dict[str, Array]:
    """Return what a block of rows adds to the sums, by name. answered: with `outputs_of` the measures, and `denominator`.

    counted: the number of counted rows.
    """
    added: dict[str, Array] = {}
    for name in outputs_of(measures):
        values = answered[name].astype(np.float64)
        if name in MEANS:
            values = values * counted
        elif name in BINS[1:]:
            values = values * answered["bin_counts"]
        elif name == "perplexity":
            values = np.log(values) * answered["denominator"]
        added[name] = values
    return added


def combined(measures: Iterable[str], sums: Mapping[str, Array]) -> dict[str, Any]:
    """Return the measures of all rows, 0 for a mean over nothing. sums: of `terms`, `counted` and `denominator`."""
    counted, denominator = max(1.0, float(sums["counted"])), float(sums["denominator"])
    found: dict[str, Any] = {}
    if "bin_counts" in sums:
        counts = np.atleast_1d(sums["bin_counts"])
        confidences, accuracies = (np.atleast_1d(sums[name]) / np.maximum(counts, 1) for name in BINS[1:])
        error = (counts * np.abs(accuracies - confidences)).sum() / counted
        found = dict(zip(BINS, (counts.astype(int).tolist(), confidences.tolist(), accuracies.tolist()), strict=True))
        found["expected_calibration_error"] = float(error)
    for name in MEANS:
        if name in sums:
            found[name] = float(sums[name]) / counted
    for name in ("kl_divergence", "perplexity"):
        if name in sums:
            found[name] = float(sums[name]) / denominator if denominator else 0.0
    if "perplexity" in found:
        found["perplexity"] = float(np.exp(found["perplexity"]))
    return {name: found[name] for name in measures if name in found}
