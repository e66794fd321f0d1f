"""Compute the outputs of requests, without a codec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from service.operations import OPERATIONS, execute
from service.operations.arguments import DEFAULTS
from service.operations.validation import unavailable_reason
from service.schemas.requests import request_model
from tests.tensors import with_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping

Answer = dict[str, npt.NDArray[Any]]

NAMED = {operation.name: operation for operation in OPERATIONS}

MODELS = {name: request_model(operation) for name, operation in NAMED.items()}


def answer(operation: str, **request: Any) -> Answer:
    """Return the outputs of a request: the named ones, or the default ones."""
    message = MODELS[operation].read(with_arrays(NAMED[operation], with_infinities(request)))
    return execute(NAMED[operation], message.arguments, message.output_names)


def with_infinities(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request whose lists with NaN or infinities are arrays: JSON has no such numbers."""
    return {name: _array(value) for name, value in request.items()}


def _array(value: Any) -> Any:
    try:
        array = np.array(value) if isinstance(value, list) else None
    except ValueError:  # ragged
        return value
    return value if array is None or array.dtype.kind != "f" or np.isfinite(array).all() else array


def full_answer(operation: str, **request: Any) -> Answer:
    """Return every output that the request can have."""
    return answer(operation, **request, outputs=available(operation, **request))


def available(operation: str, **request: Any) -> list[str]:
    """Return the names of the outputs that the request can have."""
    message = MODELS[operation].read(with_arrays(NAMED[operation], with_infinities(request)))
    sent = message.arguments._asdict().items()
    given = {name: np.shape(value) for name, value in sent if np.ndim(value) or value != getattr(DEFAULTS, name)}
    return [each.name for each in NAMED[operation].outputs if unavailable_reason(each, given) is None]


def assert_same(actual: Answer, expected: Answer) -> None:
    """Assert that answers are equal in every bit, except for the sign of zeros."""
    assert actual.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(actual[name], values, name, strict=True)


def assert_no_nan(answered: Answer) -> None:
    """Assert that no output has a NaN."""
    for name, values in answered.items():
        assert not np.isnan(values).any(), name
