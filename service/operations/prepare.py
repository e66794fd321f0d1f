"""A validated request as arrays: rounded to its dtype, its batch axes made one, its values checked."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from service.compute import linear
from service.compute.targets import Targets
from service.operations import values
from service.operations.batch import Batch, aligned

if TYPE_CHECKING:
    from service.arrays import Array, Floats, Mask, Shape
    from service.operations.arguments import Arguments


def prepare(arguments: Arguments) -> Batch:
    """Return the batch of a request. Raises what `service.operations.values` raises for its values."""
    if arguments.logits is None:
        return _of_layer(arguments)
    axes, classes = arguments.logits.shape[:-1], arguments.logits.shape[-1]
    logits = values.as_dtype("logits", arguments.logits, arguments.dtype)
    if len(axes) != 1:
        logits = logits.reshape(-1, classes)
    if arguments.mask is not None:
        logits = np.where(_kept(arguments.mask), logits, logits.dtype.type(-np.inf))
    targets = _targets(arguments, axes, classes)
    if targets is not None and targets.counted is not None:
        logits = values.rows_not_counted(logits, targets.counted)
    return Batch(arguments, axes, logits, targets, _vectors(arguments))


def _of_layer(arguments: Arguments) -> Batch:
    """Return the batch of a layer."""
    assert arguments.inputs is not None
    assert arguments.weights is not None
    axes = arguments.inputs.shape[:-1]
    inputs = _doubles("inputs", arguments.inputs, arguments).reshape(-1, arguments.inputs.shape[-1])
    weights = _doubles("weights", arguments.weights, arguments)
    bias = None if arguments.bias is None else _doubles("bias", arguments.bias, arguments)
    targets = _targets(arguments, axes, len(weights))
    kept = None if arguments.mask is None else _kept(arguments.mask)
    logits, are_finite = linear.forward(inputs, weights, bias)
    if not are_finite:
        counted = None if targets is None else targets.counted
        inputs = values.inputs_of_layer(inputs, counted, axes)
        logits = values.logits_of_layer(logits, counted, kept, axes)
    if kept is not None:
        logits = np.where(kept, logits, -np.inf)
    return Batch(arguments, axes, logits, targets, _vectors(arguments), inputs, weights, bias)


def _targets(arguments: Arguments, axes: Shape, classes: int) -> Targets | None:
    """Return the targets and their weights, with one batch axis."""
    sent, teacher = arguments.targets, arguments.teacher_logits
    labels = counted = probabilities = teacher_logits = class_weights = sample_weights = None
    if teacher is not None:
        teacher_logits = values.teacher_logits(_doubles("teacher_logits", teacher, arguments))
    elif sent is None:
        return None
    elif sent.ndim == len(axes):
        labels, counted = values.labels(sent, classes, arguments.ignore_index)
    else:
        probabilities = values.probabilities(_doubles("targets", sent, arguments))
    if arguments.class_weights is not None:
        class_weights = _doubles("class_weights", arguments.class_weights, arguments)
    if arguments.sample_weights is not None:
        weights = _doubles("sample_weights", arguments.sample_weights, arguments)
        sample_weights = values.sample_weights(weights, arguments.reduction, arguments.denominator)
    return Targets(
        prod(axes),
        labels,
        probabilities,
        teacher_logits,
        counted,
        class_weights,
        sample_weights,
        arguments.label_smoothing,
        arguments.z_loss,
        arguments.reduction,
        arguments.denominator,
    )


def _kept(mask: Array) -> Mask:
    """Return the classes that a mask keeps, (N, K), or (1, K) for every row."""
    return mask.reshape(-1, mask.shape[-1]) != 0


def _vectors(arguments: Arguments) -> Floats | None:
    """Return the gradient with respect to the probabilities, with one batch axis."""
    sent = arguments.probabilities_gradient
    return None if sent is None else _doubles("probabilities_gradient", sent, arguments).reshape(-1, sent.shape[-1])


def _doubles(name: str, tensor: Array, arguments: Arguments) -> Floats:
    """Return a tensor rounded to the dtype of the request, as float64."""
    return aligned(values.as_dtype(name, tensor, arguments.dtype).astype(np.float64, copy=False))
