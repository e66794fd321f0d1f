"""From the inputs and parameters of a validated message to the outputs of its answer."""

from __future__ import annotations

from functools import lru_cache, partial
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from service.compute import linear
from service.compute.blocks import evaluate
from service.compute.cross_entropy import CrossEntropy, Targets, VectorJacobianProduct
from service.compute.quiet import quietly
from service.compute.softmax import SHORT_ROW, SingleSoftmax, Softmax
from service.errors import InvalidValue
from service.operations import validation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.arrays import Array
    from service.compute.softmax import Floats
    from service.operations.spec import Operation, Output, Shape

Scaling = tuple[float, float | None, int | None]
"""Temperature, softcap and top_k."""

DOUBLE = np.dtype(np.float64)

UNSCALED = (1.0, None)
"""Temperature and softcap where none was sent."""


class Batch:
    """The arrays of a request, float64 but for the logits, their batch axes made one: (N, K), (N, D), (N,).

    axes: the batch axes as sent; scaling: temperature, softcap and top_k.
    in_single: is something computed in float32?
    is_moderate: have all rows that were made of it a largest logit that needs no second look?
    """

    inputs: Floats | None = None
    weights: Floats | None = None
    bias: Floats | None = None
    targets: Targets | None = None
    vectors: Floats | None = None
    learning_rate: float | None = None
    in_single = False
    is_moderate = True

    def __init__(self, axes: Shape, logits: Array, scaling: Scaling) -> None:
        self.axes = axes
        self.logits = logits
        self.scaling = scaling

    def rows(self, block: slice) -> Softmax | SingleSoftmax:
        """A block of rows, ready to be asked for its quantities."""
        logits = _aligned(self.logits[block])
        rows: Softmax | SingleSoftmax
        if self.in_single:
            rows = SingleSoftmax(logits, partial(self._in_double, block), self.scaling[2])
        else:
            rows = self._in_double(block, logits if logits.dtype == DOUBLE else logits.astype(DOUBLE))
        if not rows.is_moderate:
            self.is_moderate = False
        return rows

    def _in_double(self, block: slice, logits: Floats) -> Softmax:
        if self.targets is not None:
            return CrossEntropy(logits, *self.scaling, self.targets, block)
        if self.vectors is not None:
            return VectorJacobianProduct(logits, *self.scaling, self.vectors[block])
        return Softmax(logits, *self.scaling)


def execute(operation: Operation, fields: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Array]:
    """The named outputs of an operation, in the order asked for.

    fields: inputs and parameters by name, validated by the request model of the operation; None where left out.

    Raises what `service.operations.values` refuses.
    """
    return quietly(_execute, operation, fields, outputs)


def _execute(operation: Operation, fields: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Array]:
    plan = _plan(operation, tuple(outputs))
    dtype = fields["dtype"]
    batch = _prepare(fields)
    if dtype == "float64":
        results = evaluate(batch.rows, batch.logits.shape, plan.rows)
    else:
        batch.in_single = plan.in_single and is_single(batch)
        results = evaluate(batch.rows, batch.logits.shape, plan.rows, plan.answers)
    if not batch.is_moderate:
        _check_maxima(results["maximum"], batch)
    for total in plan.totals:
        assert total.total is not None
        results[total.name] = np.asarray(total.total(batch, *[results[name] for name in total.of]))
    answered = {}
    is_as_sent = dtype == "float64" and len(batch.axes) == 1
    for each in plan.wanted:
        values = results[each.name]
        answered[each.name] = values if is_as_sent else _shaped(each, values, batch.axes, dtype)
    return answered


def is_single(batch: Batch) -> bool:
    """May `SingleSoftmax` compute it, in less time? For short rows it takes more."""
    logits = batch.logits
    return logits.dtype == np.float32 and logits.shape[1] > SHORT_ROW and batch.scaling[:2] == UNSCALED


class Plan(NamedTuple):
    """What there is to do for some outputs: the quantities of rows, then the totals made of them, in order.

    answers: the floats among the rows that nothing more is made of.
    in_single: are there some that need no more than float32?
    """

    wanted: tuple[Output, ...]
    rows: tuple[str, ...]
    totals: tuple[Output, ...]
    answers: frozenset[str]
    in_single: bool


@lru_cache(maxsize=256)
def _plan(operation: Operation, names: tuple[str, ...]) -> Plan:
    rows: dict[str, None] = {"maximum": None}
    totals: dict[Output, None] = {}
    for name in names:
        _collect(operation, name, rows, totals)
    wanted = tuple(operation.named_outputs[name] for name in names)
    parts = {part for total in totals for part in total.of}
    answers = frozenset(each.name for each in wanted if each.name in rows and not each.integer) - parts
    # probabilities are made in the memory of what the others are made of
    ordered = sorted(rows, key="probabilities".__eq__)
    return Plan(wanted, tuple(ordered), tuple(totals), answers, bool(answers & SingleSoftmax.QUANTITIES))


def _collect(operation: Operation, name: str, rows: dict[str, None], totals: dict[Output, None]) -> None:
    """Adds what an output is made of to rows and totals, parts before the whole."""
    output = operation.named_outputs.get(name)
    if output is None or output.total is None:
        rows[name] = None
        return
    for quantity in output.of:
        _collect(operation, quantity, rows, totals)
    totals[output] = None


def _prepare(fields: Mapping[str, Any]) -> Batch:
    """Rounds to the dtype, flattens the batch axes, counts the rows and checks them."""
    sent = fields["logits"]
    scaling = fields["temperature"], fields["softcap"], fields["top_k"]
    batch = _layer(fields, scaling) if sent is None else _logits(fields, sent, scaling)
    if fields.get("probabilities_gradient") is not None:
        batch.vectors = _doubles(fields, "probabilities_gradient").reshape(batch.logits.shape)
    return batch


def _logits(fields: Mapping[str, Any], sent: Array, scaling: Scaling) -> Batch:
    """The batch of logits that were sent."""
    shape = sent.shape
    axes, classes = shape[:-1], shape[-1]
    logits = validation.as_dtype("logits", sent, fields["dtype"])
    if len(axes) != 1:
        logits = logits.reshape(-1, classes)
    batch = Batch(axes, logits, scaling)
    if fields.get("targets") is not None:
        batch.targets = _targets(fields, axes, classes)
        if batch.targets.counted is not None:
            batch.logits = validation.rows_not_counted(logits, batch.targets.counted)
    return batch


def _layer(fields: Mapping[str, Any], scaling: Scaling) -> Batch:
    """The batch of a layer: where a row is not counted and not finite, its inputs are 0 and its logits exclude every class."""
    inputs, weights, bias = (_doubles(fields, name) for name in ("inputs", "weights", "bias"))
    axes = inputs.shape[:-1]
    targets = None if fields.get("targets") is None else _targets(fields, axes, len(weights))
    counted = None if targets is None else targets.counted
    inputs = inputs.reshape(-1, inputs.shape[-1])
    absent = validation.rows_of_layer(inputs, counted, axes)
    if absent is not None:
        inputs = np.where(absent[:, None], 0.0, inputs)
    logits = validation.logits_of_layer(linear.forward(inputs, weights, bias), counted, axes)
    if absent is not None:
        logits = np.where(absent[:, None], -np.inf, logits)
    batch = Batch(axes, logits, scaling)
    batch.inputs, batch.weights, batch.bias, batch.targets = inputs, weights, bias, targets
    batch.learning_rate = fields.get("learning_rate")
    return batch


def _targets(fields: Mapping[str, Any], axes: Shape, classes: int) -> Targets:
    """The targets and their weights, batch axes made one."""
    sent = fields["targets"]
    labels = counted = probabilities = None
    if sent.ndim == len(axes):
        labels, counted = validation.labels(sent, classes, fields["ignore_index"])
    else:
        probabilities = validation.probabilities(_doubles(fields, "targets"))
    sample_weights = _doubles(fields, "sample_weights")
    targets = Targets(
        labels=labels,
        probabilities=probabilities,
        counted=counted,
        class_weights=_doubles(fields, "class_weights"),
        sample_weights=None if sample_weights is None else sample_weights.reshape(-1),
        label_smoothing=fields["label_smoothing"],
        z_loss=fields["z_loss"],
        reduction=fields["reduction"],
        divisor=fields["denominator"],
    )
    if not (isfinite(targets.total_weight) and isfinite(targets.denominator)):
        raise InvalidValue("sample_weights and class_weights add up beyond double range; scale them down.")
    return targets


def _doubles(fields: Mapping[str, Any], name: str) -> Any:
    """A tensor rounded to the dtype, as float64; None if it was left out."""
    values = fields.get(name)
    if values is None:
        return None
    return _aligned(validation.as_dtype(name, values, fields["dtype"]).astype(np.float64, copy=False))


def _aligned(values: Array) -> Array:
    """values, copied if they are not aligned, as behind a text of any length.

    BLAS takes aligned memory alone; what NumPy does in its place adds up in another order.
    """
    return values if values.flags.aligned else values.copy()


def _check_maxima(largest: Floats, batch: Batch) -> None:
    """Refuses what only the largest logit of each row tells, which a softmax asks for anyway."""
    validation.maxima(largest, batch.logits, batch.axes)
    if batch.targets is not None:
        validation.no_excluded_row(largest, batch.targets.counted, batch.axes)
    elif batch.vectors is not None:
        validation.no_excluded_row(largest, None, batch.axes)


def _shaped(output: Output, values: Array, batch: Shape, dtype: str) -> Array:
    """values with the batch axes as they were sent, in the dtype of the answer."""
    if values.ndim and len(batch) != 1 and output.has_rows:
        values = values.reshape(batch + values.shape[1:])
    return values if output.integer or dtype == "float64" else values.astype(dtype, copy=False)
