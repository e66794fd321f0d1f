"""Build valid requests from the description of an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from service.errors import ServiceError
from service.operations import OPERATIONS
from service.operations.spec import Input
from service.schemas.requests import request_model
from tests.tensors import with_arrays

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.operations.spec import Axes, Operation, Parameter
    from service.schemas.requests import ValidatedRequest

LENGTHS = {"...": (2,), "K": (3,), "D": (4,)}

MAIN_OUTPUTS = {
    "softmax": "probabilities",
    "loss": "loss",
    "gradient": "logits_gradient",
    "calibrate": "temperature",
}
"""An output of each operation that every request can have."""

MODELS = {operation.name: request_model(operation) for operation in OPERATIONS}


def read(operation: Operation, fields: dict[str, Any]) -> ValidatedRequest:
    """Return the validated request of these fields."""
    return MODELS[operation.name].read(with_arrays(operation, fields))


def refused(operation: Operation, fields: dict[str, Any]) -> ServiceError:
    """Return the error of a request."""
    with pytest.raises(ServiceError) as caught:
        read(operation, fields)
    return caught.value


def described(operation: Operation) -> dict[str, Input | Parameter]:
    """Return the inputs and parameters of an operation by name."""
    together: list[Input | Parameter] = [*operation.inputs, *operation.parameters]
    return {each.name: each for each in together}


def request(operation: Operation, names: Iterable[str] = (), without: str | None = None) -> dict[str, Any]:
    """Return a request with the named fields, their requirements and one of every alternative, except one field.

    Where a parameter changes none of the default outputs, the request asks for one that it changes, and for the main one.
    """
    known = described(operation)
    chosen: list[str] = []

    def add(name: str) -> None:
        if name not in (*chosen, without):
            chosen.append(name)
            for needed in known[name].needs:
                add(first_field(needed))

    for name in names:
        add(name)
    for group in operation.alternatives:
        if not set(group) & set(chosen):
            add(next((name for name in group if name != without), group[0]))
    fields = {name: value(known[name]) for name in chosen}
    changed = [getattr(known[name], "outputs", ())[:1] for name in chosen]
    outputs = [name for names in changed for name in names if name not in operation.default_outputs]
    return fields | ({"outputs": [MAIN_OUTPUTS[operation.name], *outputs]} if outputs else {})


def first_field(needed: str) -> str:
    """Return the first field that meets a need, such as targets of "targets or teacher_logits"."""
    return needed.split(" ", maxsplit=1)[0]


def value(each: Input | Parameter) -> Any:
    """Return a valid value that is not the default."""
    if isinstance(each, Input):
        return ones(each.axes[0])
    if each.choices:
        return each.choices[-1]
    return 1 if each.type is int else 0.5


def ones(axes: Axes) -> Any:
    """Return a tensor of ones, which are valid features, weights, class indices and probabilities."""
    return np.ones([length for axis in axes for length in LENGTHS[axis]])


def named(case: Any) -> str:
    """Return the id of a test case."""
    return "-".join(case) if isinstance(case, tuple) else getattr(case, "name", str(case))
