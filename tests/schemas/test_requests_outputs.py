"""Test the outputs that a request can have, and its default outputs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from service.errors import InvalidOutputs, InvalidParameter
from service.operations import OPERATIONS, execute
from service.operations.spec import TARGET_PROBABILITIES
from tests.schemas.requests import described, first_field, named, ones, read, refused, request

if TYPE_CHECKING:
    from service.operations.spec import Operation, Output

SOFTMAX, LOSS, GRADIENT, _ = OPERATIONS

LAYER = ["weights_gradient", "bias_gradient", "inputs_gradient"]

OUTPUTS = [(operation, each) for operation in OPERATIONS for each in operation.outputs]
NEEDS = [
    (operation, each, needed)
    for operation, each in OUTPUTS
    for needed in each.needs
    if needed in described(operation) and not any(needed in group for group in operation.alternatives)
]
EXCLUSIONS = [(operation, each, excluded) for operation, each in OUTPUTS for excluded in each.unless]


def wants(operation: Operation, each: Output) -> dict[str, Any]:
    """Return a request that names an output and can have it."""
    fields = request(operation, [first_field(needed) for needed in each.needs])
    if TARGET_PROBABILITIES in each.needs:
        fields["targets"] = ones(("...", "K"))
    return {**fields, "outputs": [each.name]}


@pytest.mark.parametrize(("operation", "each"), OUTPUTS, ids=named)
def test_a_request_that_has_what_an_output_needs_gets_it(operation: Operation, each: Output) -> None:
    message = read(operation, wants(operation, each))
    assert message.output_names == (each.name,)
    assert list(execute(operation, message.arguments, message.output_names)) == [each.name]


@pytest.mark.parametrize(("operation", "each", "needed"), NEEDS, ids=named)
def test_an_output_is_refused_without_what_it_needs(operation: Operation, each: Output, needed: str) -> None:
    known = described(operation)
    others = [name for name in each.needs if name != needed and name in known and needed not in known[name].needs]
    fields = request(operation, others, without=needed)
    error = refused(operation, {**fields, "outputs": [each.name]})
    assert type(error) is InvalidOutputs
    assert error.detail == f"outputs cannot have {each.name} without {needed}."
    assert error.locations[0][0] == ("outputs", 0)


@pytest.mark.parametrize(("operation", "each", "excluded"), EXCLUSIONS, ids=named)
def test_an_output_is_refused_beside_what_excludes_it(operation: Operation, each: Output, excluded: str) -> None:
    fields = wants(operation, each)
    if excluded == "teacher_logits":
        del fields["targets"]
    error = refused(operation, {**fields, **request(operation, [excluded])})
    assert type(error) is InvalidOutputs
    assert error.detail == f"outputs cannot have {each.name} together with {excluded}."


@pytest.mark.parametrize("other", [{"targets": 1}, {"probabilities_gradient": [1, 0]}], ids=["labels", "another loss"])
def test_gradient_of_targets_needs_probability_targets(other: dict[str, Any]) -> None:
    error = refused(GRADIENT, {"logits": [0, 0], **other, "outputs": ["logits_gradient", "targets_gradient"]})
    assert type(error) is InvalidOutputs
    assert "targets that are class probabilities" in error.detail
    assert error.locations[0][0] == ("outputs", 1)


@pytest.mark.parametrize(
    ("operation", "names", "outputs"),
    [
        (SOFTMAX, ["logits"], ["probabilities", "predictions"]),
        (SOFTMAX, ["inputs"], ["probabilities", "predictions"]),
        (SOFTMAX, ["top_k"], ["probabilities", "predictions", "top_k_classes", "top_k_probabilities"]),
        (LOSS, ["logits"], ["loss", "denominator"]),
        (LOSS, ["inputs", "bias"], ["loss", "denominator"]),
        (GRADIENT, ["logits"], ["loss", "logits_gradient"]),
        (GRADIENT, ["logits", "probabilities_gradient"], ["logits_gradient"]),
        (GRADIENT, ["inputs"], ["loss", "logits_gradient", "weights_gradient", "inputs_gradient"]),
        (GRADIENT, ["inputs", "bias"], ["loss", "logits_gradient", *LAYER]),
        (GRADIENT, ["inputs", "bias", "probabilities_gradient"], ["logits_gradient", *LAYER]),
        (
            GRADIENT,
            ["inputs", "learning_rate"],
            ["loss", "logits_gradient", "weights_gradient", "inputs_gradient", "updated_weights"],
        ),
        (
            GRADIENT,
            ["inputs", "bias", "learning_rate"],
            ["loss", "logits_gradient", *LAYER, "updated_weights", "updated_bias"],
        ),
    ],
)
def test_outputs_left_out_are_the_defaults(operation: Operation, names: list[str], outputs: list[str]) -> None:
    assert read(operation, request(operation, names)).output_names == tuple(outputs)


def test_outputs_have_the_requested_order() -> None:
    outputs = ["entropy", "loss", "probabilities"]
    assert read(LOSS, {**request(LOSS), "outputs": outputs}).output_names == tuple(outputs)


@pytest.mark.parametrize(
    "outputs",
    [
        [],
        ["loss", "loss"],
        ["loss", "Loss"],
        ["logits_gradient"],
        ["swordfish"],
        "loss",
        {},
        None,
        1,
        [1],
        [None],
        [["loss"]],
    ],
    ids=repr,
)
def test_outputs_not_listing_distinct_known_names_are_refused(outputs: Any) -> None:
    error = refused(LOSS, {**request(LOSS), "outputs": outputs})
    assert type(error) is InvalidOutputs
    assert error.detail.startswith("outputs")
    assert error.locations[0][0][0] == "outputs"


@pytest.mark.parametrize("name", ["", "logits", 1, None, {}], ids=repr)
def test_many_outputs_are_refused_by_the_first_ones(name: Any) -> None:
    start = time.process_time()
    refused(SOFTMAX, {**request(SOFTMAX), "outputs": [name] * 80_000})
    assert time.process_time() - start < 0.05


@pytest.mark.parametrize(
    ("operation", "fields"),
    [
        (LOSS, {"top_k": 2}),
        (LOSS, {"bins": 5}),
        (LOSS, {"bins": 5, "outputs": ["loss"]}),
        (GRADIENT, {"top_k": 2}),
        (SOFTMAX, {"top_k": 2, "outputs": ["probabilities"]}),
        (GRADIENT, {"learning_rate": 0.5, "outputs": ["loss"]}),
    ],
)
def test_a_parameter_that_changes_no_output_is_refused(operation: Operation, fields: dict[str, Any]) -> None:
    (name, *_) = fields
    error = refused(operation, {**request(operation, ["inputs"]), **fields})
    assert type(error) is InvalidParameter
    assert error.detail.startswith(f"{name} changes ")
    assert error.locations[0][0] == (name,)
