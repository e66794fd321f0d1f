"""Test the values that are valid tensors, and the errors for others."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pytest
from openapi_schema_validator import OAS31Validator
from pydantic import BaseModel, TypeAdapter, create_model

from service.errors import InvalidValue, NotANumber
from service.operations import OPERATIONS
from service.operations.spec import Domain, Input
from service.schemas.tensors import Logit, TensorField, nested

Array = npt.NDArray[Any]

INPUTS = {each.name: each for operation in OPERATIONS for each in operation.inputs}
CHECKED = [each for each in INPUTS.values() if each.domain in (Domain.FINITE, Domain.NON_NEGATIVE)]


def model(name: str, domain: Domain) -> type[BaseModel]:
    """Return a model with one tensor."""
    fields: dict[str, Any] = {name: (Annotated[np.ndarray, TensorField(domain, Any)], ...)}
    return create_model("Message", **fields)


def read(name: str, value: Any) -> Array:
    """Return the tensor of a value."""
    message = model(name, INPUTS[name].domain).model_validate({name: value})
    tensor: Array = getattr(message, name)
    return tensor


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int8", "uint64"])
def test_an_array_is_taken_as_it_is(dtype: str) -> None:
    array = np.ones((2, 3), dtype)
    assert read("logits", array) is array


@pytest.mark.parametrize("value", [None, True, "1", 1, 1.5, [1], [[1, 2]], {}], ids=repr)
def test_a_value_that_is_not_an_array_is_rejected(value: Any) -> None:
    with pytest.raises(NotANumber) as rejected:
        read("weights", value)
    assert rejected.value.locations[0][0] == ("weights",)


@pytest.mark.parametrize("dtype", ["bool", "complex128", "U3", "S3", "O", "datetime64[s]"])
def test_an_array_of_something_else_is_refused(dtype: str) -> None:
    with pytest.raises(NotANumber, match="weights"):
        read("weights", np.zeros((2, 3), dtype))


@pytest.mark.parametrize("each", CHECKED, ids=lambda each: each.name)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_tensor_of_finite_numbers_refuses_any_other(each: Input, value: float) -> None:
    with pytest.raises(InvalidValue, match=each.name) as rejected:
        read(each.name, np.array([[0.0, 1.0], [0.0, value]]))
    assert [place for place, _ in rejected.value.locations] == [(each.name, 1, 1)]


@pytest.mark.parametrize("each", [each for each in CHECKED if each.domain is Domain.NON_NEGATIVE], ids=lambda e: e.name)
def test_a_weight_is_not_negative(each: Input) -> None:
    assert read(each.name, np.array([0.0, -0.0, 5e-324])).shape == (3,)
    with pytest.raises(InvalidValue, match=each.name) as rejected:
        read(each.name, np.array([0.0, -5e-324]))
    assert [place for place, _ in rejected.value.locations] == [(each.name, 1)]


# The JSON schema of a tensor

SCHEMAS = {
    ("K",): nested(float, [("K",)]),
    ("...",): nested(float, [("...",)]),
    ("...", "K"): nested(Logit, [("...", "K")]),
    ("...", "K", "K"): nested(float, [("...", "K", "K")]),
}
"""Type of a tensor of each shape."""


def fits(value: Any, shown: Any) -> bool:
    """Return whether a value matches the JSON schema of a type."""
    return OAS31Validator(TypeAdapter(shown).json_schema()).is_valid(value)


def full(rank: int, scalar: Any = 0.5) -> Any:
    """Return a nested list of a scalar, with two entries along each axis."""
    return np.full((2,) * rank, scalar, dtype=object).tolist() if rank else scalar


@pytest.mark.parametrize("axes", SCHEMAS, ids=str)
@pytest.mark.parametrize("rank", range(7))
def test_a_nested_array_has_the_schema_if_it_has_the_axes(axes: tuple[str, ...], rank: int) -> None:
    fixed = axes.count("K")
    assert fits(full(rank), SCHEMAS[axes]) is (rank >= fixed if "..." in axes else rank == fixed)


@pytest.mark.parametrize("axes", SCHEMAS, ids=str)
@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("scalar", ["1", "Infinity", True, None], ids=repr)
def test_non_number_is_in_no_schema_of_sample_or_batch(axes: tuple[str, ...], batch: int, scalar: Any) -> None:
    assert not fits(full(axes.count("K") + batch, scalar), SCHEMAS[axes])


@pytest.mark.parametrize("rank", [1, 2])
def test_an_excluded_class_is_in_the_schema_of_logits_alone(rank: int) -> None:
    assert fits(full(rank, "-Infinity"), SCHEMAS["...", "K"])
    assert not fits(full(rank, "-Infinity"), nested(float, [("...", "K")]))


def test_a_tensor_of_two_shapes_has_the_schema_of_either() -> None:
    targets = nested(float, [("...",), ("...", "K")])
    assert all(fits(full(rank), targets) for rank in range(7))
    assert not any(fits(full(rank, "1"), targets) for rank in range(3))
