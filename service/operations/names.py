"""Names of fields, and the names that PyTorch, Keras, SciPy and scikit-learn use for them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from service.errors import DuplicateField, UnknownField

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from service.errors import Location

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
    "input-1": ("logits",),
}
"""Names of this service for a name of another library."""

EXPLANATIONS = {
    "dim": "classes are always the last axis; move them there.",
    "axis": "classes are always the last axis; move them there.",
    "arr_0": "np.savez names an array so that is saved without a name; save it as np.savez(file, logits=logits).",
    "from_logits": "the service always takes logits; send the logarithms of probabilities as logits.",
}
"""Remedies for parameters of other libraries that have no counterpart here."""


MAX_LENGTH = 64
"""Characters of a name that is not known that are compared with others."""


def nearest(name: str, known: Collection[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that a wrong one may stand for, None if there is none.

    It is spelt like the wrong one, or a word of it begins so: "temp" and "probs" stand for temperature and probabilities.

    cutoff: smallest similarity of the spelling, from 0 to 1.
    """
    lower = name[:MAX_LENGTH].lower()
    start = lower.removesuffix("s")
    begun = [each for each in known if len(start) > 1 and f"_{start}" in f"_{each}"]
    return next(iter([*get_close_matches(lower, known, 1, cutoff), *begun]), None)


def hint(name: str, known: Collection[str]) -> str:
    """Return what to do about a name that is not known."""
    lower = name[:MAX_LENGTH].lower()
    if lower in EXPLANATIONS:
        return EXPLANATIONS[lower]
    names = [synonym for synonym in SYNONYMS.get(lower, ()) if synonym in known]
    if names:
        return f"the name here is {' or '.join(names)}."
    close = nearest(name, known)
    return f'did you mean "{close}"?' if close else f"known are {', '.join(known)}."


def check_names(names: Iterable[str], known: Collection[str], kind: str = "field", place: Location = ()) -> None:
    """Raise UnknownField or DuplicateField at the first name that is not known, or that was there before.

    place: the object that has the names.
    """
    seen: list[str] = []
    for name in names:
        if name not in known:
            raise UnknownField(name, hint(name, known), kind, place)
        if name in seen:
            raise DuplicateField(name, place)
        seen.append(name)
