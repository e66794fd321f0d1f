"""From the inputs and parameters of a validated message to the outputs of its answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import inf, isfinite, prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from service.compute import linear
from service.compute.blocks import evaluate
from service.compute.cross_entropy import CrossEntropy, Targets, VectorJacobianProduct
from service.compute.softmax import Softmax
from service.errors import InvalidValue, TensorTooLarge
from service.operations import checks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from service.compute.softmax import Floats
    from service.description import Operation, Output

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Batch:
    """The arrays of a request, float64 but for the logits, their batch axes made one: (N, K), (N, D), (N,).

    axes: the batch axes as sent; scaling: temperature, softcap and top_k.
    """

    axes: tuple[int, ...]
    logits: Array
    scaling: Mapping[str, Any]
    inputs: Floats | None = None
    weights: Floats | None = None
    bias: Floats | None = None
    targets: Targets | None = None
    vectors: Floats | None = None
    learning_rate: float | None = None

    def rows(self, block: slice) -> Softmax:
        """A block of rows, ready to be asked for its quantities."""
        logits = self.logits[block].astype(np.float64, copy=False)
        if self.targets is not None:
            return CrossEntropy(logits, self.targets, block, **self.scaling)
        if self.vectors is not None:
            return VectorJacobianProduct(logits, self.vectors[block], **self.scaling)
        return Softmax(logits, **self.scaling)


def run(
    operation: Operation, fields: Mapping[str, Any], outputs: Sequence[str], *, max_elements: float = inf
) -> dict[str, Array]:
    """The named outputs of an operation, in the order asked for.

    fields: inputs and parameters by name, validated by the request model of the operation; None where left out.
    max_elements: the size that no input and no output may exceed.

    Raises TensorTooLarge, and what `service.operations.checks` refuses.
    """
    plan = _plan(operation, tuple(outputs))
    tensors = {each.name: fields[each.name] for each in operation.inputs if fields[each.name] is not None}
    for name, values in tensors.items():
        _bound(name, values.size, max_elements)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        batch = _prepare(tensors, fields)
        _bound_outputs(plan.wanted, batch, max_elements)
        results = evaluate(batch.rows, batch.logits.shape, plan.rows)
        _check_maxima(results["maximum"], batch)
        for total in plan.totals:
            assert total.total is not None
            results[total.name] = np.asarray(total.total(batch, *(results[name] for name in total.of)))
        return {each.name: _shaped(each, results[each.name], batch.axes, fields["dtype"]) for each in plan.wanted}


class Plan(NamedTuple):
    """What there is to do for some outputs: the quantities of rows, then the totals made of them, in order."""

    wanted: tuple[Output, ...]
    rows: tuple[str, ...]
    totals: tuple[Output, ...]


@lru_cache(maxsize=256)
def _plan(operation: Operation, names: tuple[str, ...]) -> Plan:
    rows: dict[str, None] = {"maximum": None}
    totals: dict[Output, None] = {}
    for name in names:
        _collect(operation, name, rows, totals)
    return Plan(tuple(operation.named_outputs[name] for name in names), tuple(rows), tuple(totals))


def _collect(operation: Operation, name: str, rows: dict[str, None], totals: dict[Output, None]) -> None:
    """Adds what an output is made of to rows and totals, parts before the whole."""
    output = operation.named_outputs.get(name)
    if output is None or output.total is None:
        rows[name] = None
        return
    for quantity in output.of:
        _collect(operation, quantity, rows, totals)
    totals[output] = None


def _prepare(tensors: Mapping[str, Array], fields: Mapping[str, Any]) -> Batch:
    """Rounds to the dtype, flattens the batch axes, counts the rows and checks them."""
    dtype = fields["dtype"]
    *axes, classes = (
        tensors["logits"].shape if "logits" in tensors else (*tensors["inputs"].shape[:-1], len(tensors["weights"]))
    )
    batch = tuple(axes)

    def doubles(name: str, *shape: int) -> Floats | None:
        if name not in tensors:
            return None
        return (
            checks.as_dtype(name, tensors[name], dtype)
            .astype(np.float64, copy=False)
            .reshape(shape or tensors[name].shape)
        )

    count = prod(batch)
    labels, counted, probabilities = None, None, None
    if "targets" in tensors and tensors["targets"].ndim == len(batch):
        labels, counted = checks.labels(tensors["targets"], classes, fields["ignore_index"])
    elif "targets" in tensors:
        probabilities = doubles("targets", count, classes)
        assert probabilities is not None
        checks.probabilities(probabilities, batch)

    inputs, weights, bias = None, doubles("weights"), doubles("bias")
    if "logits" in tensors:
        logits = checks.as_dtype("logits", tensors["logits"], dtype).reshape(count, classes)
        logits = checks.rows_not_counted(logits, counted)
    else:
        inputs = doubles("inputs", count, tensors["inputs"].shape[-1])
        assert inputs is not None
        assert weights is not None
        inputs, logits = _layer(inputs, weights, bias, counted, batch)

    vectors = doubles("probabilities_gradient", count, classes)
    targets = None
    if "targets" in tensors:
        targets = Targets(
            labels=labels,
            probabilities=probabilities,
            counted=counted,
            class_weights=doubles("class_weights"),
            sample_weights=doubles("sample_weights", count),
            label_smoothing=fields["label_smoothing"],
            z_loss=fields["z_loss"],
            reduction=fields["reduction"],
            divisor=fields["denominator"],
        )
        if not (isfinite(targets.total_weight) and isfinite(targets.denominator)):
            raise InvalidValue("sample_weights and class_weights add up beyond double range; scale them down.")
    scaling = {name: fields[name] for name in ("temperature", "softcap", "top_k")}
    rate = fields.get("learning_rate")
    return Batch(batch, logits, scaling, inputs, weights, bias, targets, vectors, rate)


def _layer(
    inputs: Floats, weights: Floats, bias: Floats | None, counted: checks.Mask | None, batch: tuple[int, ...]
) -> tuple[Floats, Floats]:
    """Inputs and logits of the layer, where a row that is not counted and not finite is 0 and excludes every class."""
    absent = checks.rows_of_layer(inputs, counted, batch)
    if absent is not None:
        inputs = np.where(absent[:, None], 0.0, inputs)
    logits = checks.logits_of_layer(linear.forward(inputs, weights, bias), counted, batch)
    if absent is not None:
        logits = np.where(absent[:, None], -np.inf, logits)
    return inputs, logits


def _check_maxima(largest: Floats, batch: Batch) -> None:
    """Refuses what only the largest logit of each row tells, which a softmax asks for anyway."""
    checks.maxima(largest, batch.logits, batch.axes)
    if batch.targets is not None:
        checks.no_excluded_row(largest, batch.targets.counted, batch.axes)
    elif batch.vectors is not None:
        checks.no_excluded_row(largest, None, batch.axes)


def _shaped(output: Output, values: Array, batch: tuple[int, ...], dtype: str) -> Array:
    """values with the batch axes as they were sent, in the dtype of the answer."""
    axes = next(axes for axes in output.axes if len(axes) == values.ndim)
    if axes[:1] == ("...",):
        values = values.reshape(batch + values.shape[1:])
    return values if output.integer or dtype == "float64" else values.astype(dtype)


def _bound_outputs(wanted: Iterable[Output], batch: Batch, max_elements: float) -> None:
    count, classes = batch.logits.shape
    features = 0 if batch.inputs is None else batch.inputs.shape[1]
    sizes = {"...": count, "K": classes, "D": features, "k": batch.scaling["top_k"]}
    for output in wanted:
        for axes in output.axes:
            _bound(output.name, prod(sizes[axis] for axis in axes), max_elements)


def _bound(name: str, size: int, max_elements: float) -> None:
    if size > max_elements:
        raise TensorTooLarge(
            f"{name} has {size} elements; at most {max_elements} are served at once. Send fewer rows.",
            ((name,), "has too many elements"),
        )
