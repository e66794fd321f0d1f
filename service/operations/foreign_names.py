"""Names of PyTorch, Keras, SciPy and scikit-learn for fields of the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

SYNONYMS = {
    "input": ("logits",),
    "x": ("logits", "inputs"),
    "y_pred": ("logits",),
    "output": ("outputs", "logits"),
    "scores": ("logits",),
    "predictions": ("logits",),
    "target": ("targets",),
    "label": ("targets",),
    "labels": ("targets",),
    "y": ("targets",),
    "y_true": ("targets",),
    "weight": ("class_weights", "weights"),
    "w": ("weights",),
    "kernel": ("weights",),
    "b": ("bias",),
    "sample_weight": ("sample_weights",),
    "class_weight": ("class_weights",),
    "attention_mask": ("mask",),
    "action_mask": ("mask",),
    "teacher": ("teacher_logits",),
    "eps": ("label_smoothing",),
    "smoothing": ("label_smoothing",),
    "size_average": ("reduction",),
    "reduce": ("reduction",),
    "t": ("temperature",),
    "tau": ("temperature",),
    "k": ("top_k",),
    "lr": ("learning_rate",),
    "n_bins": ("bins",),
    "output_names": ("outputs",),
}
"""Names of this service for a name of another library."""

EXPLANATIONS = {
    "dim": "classes are always the last axis; move them there.",
    "axis": "classes are always the last axis; move them there.",
    "arr_0": "np.savez names an array so that is saved without a name; save it as np.savez(file, logits=logits).",
    "from_logits": "the service always takes logits; send the logarithms of probabilities as logits.",
}
"""Remedies for parameters of other libraries that have no counterpart here."""


def hint(name: str, known: Collection[str]) -> str | None:
    """Return what to do about the name of another library, None for any other name."""
    lower = name.lower()
    if lower in EXPLANATIONS:
        return EXPLANATIONS[lower]
    names = [synonym for synonym in SYNONYMS.get(lower, ()) if synonym in known]
    return f"the name here is {' or '.join(names)}." if names else None
