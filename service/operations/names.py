"""Names of fields, and the names that PyTorch, Keras, SciPy and scikit-learn use for them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from service.errors import DuplicateField, UnknownField
from service.operations.catalogue import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from service.errors import Location
    from service.operations.spec import Operation

SYNONYMS = {
    "input": ("logits",),
    "x": ("logits", "inputs"),
    "y_pred": ("logits",),
    "output": ("outputs", "logits"),
    "scores": ("logits",),
    "instances": ("logits",),
    "a": ("logits",),
    "student_logits": ("logits",),
    "decision_function": ("logits",),
    "predictions": ("logits",),
    "target": ("targets",),
    "label": ("targets",),
    "labels": ("targets",),
    "y": ("targets",),
    "y_true": ("targets",),
    "weight": ("class_weights", "weights"),
    "w": ("weights",),
    "kernel": ("weights",),
    "coef_": ("weights",),
    "b": ("bias",),
    "intercept_": ("bias",),
    "sample_weight": ("sample_weights",),
    "class_weight": ("class_weights",),
    "pos_weight": ("class_weights",),
    "ignore_class": ("ignore_index",),
    "attention_mask": ("mask",),
    "action_mask": ("mask",),
    "teacher": ("teacher_logits",),
    "eps": ("label_smoothing",),
    "smoothing": ("label_smoothing",),
    "size_average": ("reduction",),
    "reduce": ("reduction",),
    "normalize": ("reduction",),
    "z_loss_weight": ("z_loss",),
    "t": ("temperature",),
    "tau": ("temperature",),
    "k": ("top_k",),
    "lr": ("learning_rate",),
    "n_bins": ("bins",),
    "output_names": ("outputs",),
    "input-1": ("logits",),
}
"""Names of this service for a name of another library."""

OUTPUT_SYNONYMS = {
    "softmax": "probabilities",
    "log_softmax": "log_probabilities",
    "logprobs": "log_probabilities",
    "logsumexp": "log_normalizer",
    "argmax": "predictions",
    "class": "predictions",
    "labels": "predictions",
    "topk": "top_k_classes",
    "indices": "top_k_classes",
    "values": "top_k_probabilities",
    "cross_entropy": "loss",
    "nll": "loss",
    "nll_loss": "loss",
    "log_loss": "loss",
    "losses": "row_losses",
    "ece": "expected_calibration_error",
    "kl_div": "kl_divergence",
    "grad": "logits_gradient",
    "gradient": "logits_gradient",
    "dlogits": "logits_gradient",
    "grad_logits": "logits_gradient",
    "grad_weights": "weights_gradient",
    "dw": "weights_gradient",
    "grad_bias": "bias_gradient",
    "db": "bias_gradient",
    "grad_inputs": "inputs_gradient",
    "dx": "inputs_gradient",
}
"""The output of this service for a name of another library."""

CLASSES_LAST = "classes are always the last axis; move them there."
PROBABILITIES = "the service always takes logits; send the logarithms of probabilities as logits."
NO_AXIS = "an output for each row has no axis of classes; leave it out."
CLASS_COUNT = "the last axis of logits has the classes; leave it out."

EXPLANATIONS = {
    **dict.fromkeys(("dim", "axis"), CLASSES_LAST),
    **dict.fromkeys(
        ("from_logits", "probs", "probabilities", "y_prob", "y_proba", "y_score", "pk", "qk"), PROBABILITIES
    ),
    **dict.fromkeys(("keepdim", "keepdims"), NO_AXIS),
    **dict.fromkeys(("num_classes", "n_classes"), CLASS_COUNT),
    "log_target": "send the logarithms of a target as teacher_logits.",
    "base": "entropies are in nats; divide them by the logarithm of the base.",
    "arr_0": "np.savez names an array so that is saved without a name; save it as np.savez(file, logits=logits).",
}
"""Remedies for parameters of other libraries that have no counterpart here."""

NOUNS = {"an input": "domains", "a parameter": "defaults", "an output": "named_outputs"}
"""The roles of a name, and the attribute of an operation that has the names of each."""

WAYS = {
    "member": ("send it as an item of inputs", "send it in parameters", "name it in outputs"),
    "parameter": ("send it as an item of inputs", "", "name it in outputs"),
    "query parameter": ("send it in the body", "", "name it in outputs"),
    "field": ("", "", "name it in outputs"),
    "input": ("", "send it as a parameter", ""),
}
"""The way to send an input, a parameter and an output, by the kind of a name that is not known; "" for its own kind."""


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


def hint(name: str, known: Collection[str], kind: str = "field") -> str:
    """Return what to do about a name that is not known.

    kind: as for `UnknownField`.
    """
    lower = name[:MAX_LENGTH].lower()
    if lower in EXPLANATIONS:
        return EXPLANATIONS[lower]
    synonyms = SYNONYMS.get(lower, ())
    names = [synonym for synonym in synonyms if synonym in known]
    if names:
        return f"the name here is {' or '.join(names)}."
    if lower == "outputs":
        return "it is a member of the request, beside inputs and parameters."
    for meant in (lower, *synonyms):
        role = None if meant in known else _role(meant, kind)
        if role is not None:
            return f"{'it' if meant == lower else meant} {role}."
    close = nearest(name, known)
    verb = "are" if len(known) > 1 else "is"
    return f'did you mean "{close}"?' if close else f"known {verb} {', '.join(known)}."


def _role(name: str, kind: str) -> str | None:
    """Return the operations that know a name, and how to send it in place of what is not known; None if none knows it."""
    ways = WAYS.get(kind, ("", "", ""))
    for noun, attribute, way in zip(NOUNS, NOUNS.values(), ways, strict=True):
        owners = [operation.name for operation in OPERATIONS if name in getattr(operation, attribute)]
        if owners:
            return f"is {noun} of {', '.join(owners)}" + (f": {way}" if way else "")
    return None


def output_hint(name: str, operation: Operation) -> str | None:
    """Return what to do about a name that is not an output of an operation, None if it resembles none."""
    meant = OUTPUT_SYNONYMS.get(name[:MAX_LENGTH].lower(), name)
    if meant in operation.named_outputs:
        return f'did you mean "{meant}"?'
    owners = [each.name for each in OPERATIONS if meant in each.named_outputs]
    if owners:
        return f"{meant} is an output of {', '.join(owners)}."
    close = nearest(name, operation.named_outputs, cutoff=0.7)
    return f'did you mean "{close}"?' if close else None


def check_names(names: Iterable[str], known: Collection[str], kind: str = "field", place: Location = ()) -> None:
    """Raise UnknownField or DuplicateField at the first name that is not known, or that was there before.

    place: the object that has the names.
    """
    seen: list[str] = []
    for name in names:
        if name not in known:
            raise UnknownField(name, hint(name, known, kind), kind, place)
        if name in seen:
            raise DuplicateField(name, place)
        seen.append(name)
