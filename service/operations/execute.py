"""From the arguments of a validated request to its outputs."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from service.compute.blocks import evaluate
from service.compute.scaled import Numbers, Scaled, rounded
from service.compute.softmax import UNSHIFTED, needs_no_shift
from service.operations import values
from service.operations.outputs import ROW_QUANTITIES
from service.operations.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from service.arrays import Array, Floats, Shape
    from service.operations.arguments import Arguments
    from service.operations.batch import Batch, Rows
    from service.operations.spec import Operation, Output


@np.errstate(all="ignore")
def execute(operation: Operation, arguments: Arguments, output_names: Sequence[str]) -> dict[str, Array]:
    """Return the named outputs of an operation, in that order.

    arguments: of a validated request for these outputs.

    Raises what `service.operations.values` raises for values.
    """
    plan = _plan(operation, tuple(output_names))
    dtype = arguments.dtype
    batch = prepare(arguments)
    rows = _evaluate(plan, batch)
    _check_maxima(rows.pop("maximum"), batch)
    results = _reduce(plan, batch, rows) if plan.reduced else rows
    if dtype == "float64" and len(batch.axes) == 1:
        return results
    return {output.name: _as_sent(output, results[output.name], batch.axes, dtype) for output in plan.outputs}


def _evaluate(plan: Plan, batch: Batch) -> dict[str, Array]:
    """Return the quantities of the rows by name. The rows are freed: `calibrate` evaluates them again."""
    if plan.in_blocks:
        rounded = () if batch.arguments.dtype == "float64" else plan.rounded
        return evaluate(batch.rows, batch.logits, plan.rows, rounded)
    rows = batch.rows(slice(None), {})
    return {name: quantity(rows) for name, quantity in plan.rows.items()}


def _reduce(plan: Plan, batch: Batch, rows: Mapping[str, Array]) -> dict[str, Array]:
    """Return the outputs, some of which are made of quantities of the rows."""
    results: dict[str, Numbers] = {**rows}
    for output in plan.reduced:
        assert output.reduce is not None
        result = output.reduce(batch, *[results[name] for name in output.depends_on])
        results[output.name] = result if isinstance(result, Scaled) else np.asarray(result)
    return {output.name: rounded(results[output.name]) for output in plan.outputs}


def _check_maxima(largest: Floats, batch: Batch) -> None:
    """Raise NonFiniteLogit or ExcludedRow for a row whose largest logit, (N,), shows it."""
    if needs_no_shift(largest, UNSHIFTED):
        return
    values.check_maxima(largest, batch.logits, batch.axes)
    if batch.targets is not None or batch.vectors is not None:
        counted = None if batch.targets is None else batch.targets.counted
        values.check_excluded_rows(largest, counted, batch.arguments.mask, batch.axes)


class Plan(NamedTuple):
    """Plan for some outputs: quantities of the rows by name, then the outputs made of them, in order.

    rounded: names of the float quantities that are outputs and nothing else.
    in_blocks: whether a block of logits is read more than once.
    """

    outputs: tuple[Output, ...]
    rows: Mapping[str, Callable[[Rows], Array]]
    reduced: tuple[Output, ...]
    rounded: frozenset[str]
    in_blocks: bool


@lru_cache(maxsize=256)
def _plan(operation: Operation, names: tuple[str, ...]) -> Plan:
    outputs = tuple(operation.named_outputs[name] for name in names)
    rows = {"maximum": ROW_QUANTITIES["maximum"]}
    reduced: dict[Output, None] = {}

    def add(name: str) -> None:
        output = operation.named_outputs.get(name)
        if output is None:
            rows[name] = ROW_QUANTITIES[name]
        elif output.rows is not None:
            rows[name] = output.rows
        else:
            for part in output.depends_on:
                add(part)
            reduced[output] = None

    for name in names:
        add(name)
    parts = {part for output in reduced for part in output.depends_on}
    rounded = {output.name for output in outputs if output.name in rows and not output.integer} - parts
    return Plan(outputs, rows, tuple(reduced), frozenset(rounded), not rows.keys() <= {"maximum", "predictions"})


def _as_sent(output: Output, result: Array, axes: Shape, dtype: str) -> Array:
    """Return an output with the batch axes as they were sent, in the dtype of the answer."""
    if result.ndim and len(axes) != 1 and output.has_rows:
        result = result.reshape(axes + result.shape[1:])
    return result if output.integer else result.astype(dtype, copy=False)
