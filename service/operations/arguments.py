"""The inputs and parameters of a validated request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from service.arrays import Array


class Arguments(NamedTuple):
    """Inputs, None where left out, and parameters with their defaults, under the names of the catalogue."""

    logits: Array | None = None
    inputs: Array | None = None
    weights: Array | None = None
    bias: Array | None = None
    mask: Array | None = None
    targets: Array | None = None
    teacher_logits: Array | None = None
    class_weights: Array | None = None
    sample_weights: Array | None = None
    probabilities_gradient: Array | None = None

    temperature: float = 1.0
    softcap: float | None = None
    top_k: int | None = None
    dtype: Literal["float64", "float32"] = "float64"
    reduction: Literal["mean", "sum", "none"] = "mean"
    label_smoothing: float = 0.0
    ignore_index: int | None = None
    bins: int = 15
    z_loss: float = 0.0
    denominator: float | None = None
    learning_rate: float | None = None


DEFAULTS = Arguments()
