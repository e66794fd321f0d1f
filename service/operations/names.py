"""Names of fields, and the names that PyTorch, Keras, SciPy and scikit-learn use for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import DuplicateField, UnknownField

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

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


def check_names(names: Iterable[str], known: Collection[str], kind: str = "field") -> None:
    """Raise UnknownField or DuplicateField at the first name that is not known, or that was there before."""
    seen: list[str] = []
    for name in names:
        if name not in known:
            raise UnknownField(name, known, kind, hint(name, known))
        if name in seen:
            raise DuplicateField(name)
        seen.append(name)
