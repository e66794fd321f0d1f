"""Test the combinations of inputs, parameters and outputs of every operation, taken from its description."""

from __future__ import annotations

from math import inf, nan, nextafter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from service.errors import ConflictingFields, InvalidParameter, MissingField, NotANumber, UnknownField
from service.operations import OPERATIONS
from tests.schemas.requests import described, first_field, named, ones, read, refused, request

if TYPE_CHECKING:
    from service.operations.spec import Operation, Parameter

SOFTMAX, LOSS, GRADIENT, _ = OPERATIONS

PARAMETERS = [(operation, each) for operation in OPERATIONS for each in operation.parameters]
FIELDS = [(operation, name) for operation in OPERATIONS for name in described(operation)]
NEEDS = [
    (operation, each.name, needed)
    for operation in OPERATIONS
    for each in described(operation).values()
    for needed in each.needs
]
GROUPS = [(operation, group) for operation in OPERATIONS for group in operation.alternatives]


def before(each: Parameter, bound: float) -> float:
    """Return the largest value of the parameter's type below a bound."""
    return int(bound) - 1 if each.type is int else nextafter(bound, -inf)


def after(each: Parameter, bound: float) -> float:
    """Return the smallest value of the parameter's type above a bound."""
    return int(bound) + 1 if each.type is int else nextafter(bound, inf)


def just_outside(each: Parameter) -> list[float]:
    """Return the values next to the range of a parameter."""
    values = [bound for bound in (each.above, each.below) if bound is not None]
    values += [] if each.minimum is None else [before(each, each.minimum)]
    return values + ([] if each.maximum is None else [after(each, each.maximum)])


def just_inside(each: Parameter) -> list[float]:
    """Return the first and the last value of a parameter."""
    values = [bound for bound in (each.minimum, each.maximum) if bound is not None]
    values += [] if each.above is None else [after(each, each.above)]
    return values + ([] if each.below is None else [before(each, each.below)])


BOUNDED = [(operation, each) for operation, each in PARAMETERS if just_outside(each)]
NUMERIC = [(operation, each) for operation, each in PARAMETERS if each.type is not str]
INTEGERS = [(operation, each) for operation, each in PARAMETERS if each.type is int]
DEFAULTED = [(operation, each) for operation, each in PARAMETERS if each.default is not None]
CHOICES = [(operation, group) for operation, group in GROUPS if len(group) > 1]


@pytest.mark.parametrize(("operation", "name"), FIELDS, ids=named)
def test_a_request_with_any_field_and_what_it_needs_is_taken(operation: Operation, name: str) -> None:
    message = read(operation, request(operation, [name]))
    assert getattr(message.arguments, name) is not None


@pytest.mark.parametrize(("operation", "each"), BOUNDED, ids=named)
def test_a_parameter_next_to_its_range_is_refused_by_name(operation: Operation, each: Parameter) -> None:
    for value in just_outside(each):
        error = refused(operation, {**request(operation, [each.name]), each.name: value})
        assert type(error) is InvalidParameter, value
        assert error.detail.startswith(f"{each.name} must be ")
        assert error.locations[0][0] == (each.name,)


@pytest.mark.parametrize(("operation", "each"), BOUNDED, ids=named)
def test_a_parameter_at_the_end_of_its_range_is_taken(operation: Operation, each: Parameter) -> None:
    for value in just_inside(each):
        assert (
            getattr(read(operation, {**request(operation, [each.name]), each.name: value}).arguments, each.name)
            == value
        )


@pytest.mark.parametrize("value", [None, True, False, "1", "", nan, inf, -inf, [1], {}, {"value": 1}], ids=repr)
@pytest.mark.parametrize(("operation", "each"), PARAMETERS, ids=named)
def test_a_parameter_of_another_type_is_refused_by_name(operation: Operation, each: Parameter, value: Any) -> None:
    error = refused(operation, {**request(operation, [each.name]), each.name: value})
    assert type(error) is InvalidParameter
    assert error.detail.startswith(f"{each.name} must be ")
    assert error.locations[0][0] == (each.name,)


@pytest.mark.parametrize(("operation", "each"), NUMERIC, ids=named)
def test_whole_number_may_be_written_as_float_and_vice_versa(operation: Operation, each: Parameter) -> None:
    whole = 0 if each.below == 1 else 1
    for value in (whole, float(whole)):
        taken = getattr(read(operation, {**request(operation, [each.name]), each.name: value}).arguments, each.name)
        assert type(taken) is each.type
        assert taken == whole


@pytest.mark.parametrize(("operation", "each"), INTEGERS, ids=named)
def test_a_fraction_is_refused_for_an_integer(operation: Operation, each: Parameter) -> None:
    error = refused(operation, {**request(operation, [each.name]), each.name: 1.5})
    assert type(error) is InvalidParameter
    assert error.detail == f"{each.name} must be a valid integer."


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_parameter_of_words_takes_each_of_its_choices(dtype: str) -> None:
    assert read(SOFTMAX, {"logits": [1], "dtype": dtype}).arguments.dtype == dtype


@pytest.mark.parametrize("dtype", ["float16", "FLOAT64", "float", "double"])
def test_a_parameter_of_words_takes_no_other_word(dtype: str) -> None:
    error = refused(SOFTMAX, {"logits": [1], "dtype": dtype})
    assert type(error) is InvalidParameter
    assert error.detail == "dtype must be 'float64' or 'float32'."


def test_top_k_is_at_most_the_number_of_classes() -> None:
    fields = {"logits": np.zeros((2, 3)), "top_k": 3}
    assert read(SOFTMAX, fields).arguments.top_k == 3
    error = refused(SOFTMAX, {**fields, "top_k": 4})
    assert type(error) is InvalidParameter
    assert error.detail == "top_k must be at most the 3 classes."


@pytest.mark.parametrize(("operation", "name"), FIELDS, ids=named)
def test_a_field_that_is_there_is_never_null(operation: Operation, name: str) -> None:
    error = refused(operation, {**request(operation, [name]), name: None})
    assert type(error) in (NotANumber, InvalidParameter)
    assert error.locations[0][0] == (name,)


@pytest.mark.parametrize(("operation", "group"), GROUPS, ids=named)
def test_one_of_every_alternative_must_be_there(operation: Operation, group: tuple[str, ...]) -> None:
    fields = request(operation)
    error = refused(operation, {name: value for name, value in fields.items() if name not in group})
    assert type(error) is MissingField
    assert all(name in error.detail for name in group)


@pytest.mark.parametrize(("operation", "group"), CHOICES, ids=named)
def test_alternatives_exclude_each_other(operation: Operation, group: tuple[str, ...]) -> None:
    error = refused(operation, request(operation, group))
    assert type(error) is ConflictingFields
    assert [location for location, _ in error.locations] == [(name,) for name in group]


@pytest.mark.parametrize(("operation", "name", "needed"), NEEDS, ids=named)
def test_a_field_means_nothing_without_what_it_needs(operation: Operation, name: str, needed: str) -> None:
    fields = request(operation, [name], without=first_field(needed))
    if needed.startswith("targets"):
        fields = {other: value for other, value in fields.items() if other != "teacher_logits"}
        if operation.name == "gradient":
            fields["probabilities_gradient"] = ones(("...", "K"))
    error = refused(operation, fields)
    assert type(error) is MissingField
    assert first_field(needed) in error.detail


@pytest.mark.parametrize(("operation", "each"), DEFAULTED, ids=named)
def test_a_default_may_be_sent_wherever_it_may_be_left_out(operation: Operation, each: Parameter) -> None:
    # with probabilities_gradient in place of targets, most parameters of the loss have no effect
    fields = request(operation, ["probabilities_gradient"] if operation is GRADIENT else [])
    assert read(operation, {**fields, each.name: each.default}).output_names == read(operation, fields).output_names


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_a_denominator_needs_a_mean(reduction: str) -> None:
    fields = {"logits": np.zeros(3), "targets": 0, "denominator": 2.0}
    assert read(LOSS, {**fields, "reduction": "mean"}).arguments.denominator == 2.0
    assert type(refused(LOSS, {**fields, "reduction": reduction})) is ConflictingFields


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_unknown_field_is_refused_with_the_known_ones(operation: Operation) -> None:
    error = refused(operation, {**request(operation), "qqq": 1})
    assert type(error) is UnknownField
    assert all(name in error.detail for name in operation.names)


@pytest.mark.parametrize(("sent", "meant"), [("logit", "logits"), ("Temperature", "temperature"), ("topk", "top_k")])
def test_a_misspelled_field_is_set_right(sent: str, meant: str) -> None:
    assert f'did you mean "{meant}"?' in refused(SOFTMAX, {"logits": [1], sent: 1}).detail
