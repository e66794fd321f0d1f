"""Everything that a request names is done or refused: each field of each operation, in the body, in the query, misspelt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from service.operations import OPERATIONS
from service.operations.spec import TARGET_PROBABILITIES, Input
from tests.bodies import infer
from tests.schemas.requests import described, named, request

if TYPE_CHECKING:
    import httpx

    from service.operations.spec import Operation, Parameter

LOSS = next(operation for operation in OPERATIONS if operation.name == "loss")

LENGTHS = {"...": (4,), "K": (3,), "D": (3,)}

VALUES: dict[str, Any] = {
    "logits": [[0.5, 2, 1], [2.5, 1, 0.5], [1, 1.6, 0.7], [1.5, 0.2, 0.6]],
    "inputs": [[0.5, 2, 1], [2.5, 1, 0.5], [1, 1.6, 0.7], [1.5, 0.2, 0.6]],
    "weights": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "targets": [1, 0, 2, 1],
    "mask": [[1, 1, 0], [1, 1, 1], [0, 1, 1], [0, 1, 1]],
    "softcap": 3,
}
"""Logits with two rows of four right, so that a temperature between the bounds calibrates them."""

SHARES = [[0.5, 0.25, 0.25], [0.125, 0.5, 0.375], [0.25, 0, 0.75], [1, 0, 0]]
"""Targets that are probabilities."""

FIELDS = [(operation, name) for operation in OPERATIONS for name in operation.names if name != "outputs"]
PARAMETERS = [(operation, each.name) for operation in OPERATIONS for each in operation.parameters]

every_field = pytest.mark.parametrize(("operation", "name"), FIELDS, ids=named)
every_parameter = pytest.mark.parametrize(("operation", "name"), PARAMETERS, ids=named)

with_client = settings(
    max_examples=settings().max_examples // 5, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def value(each: Input | Parameter) -> Any:
    """Return a value that has an effect."""
    if each.name in VALUES:
        return VALUES[each.name]
    if not isinstance(each, Input):
        return each.choices[-1] if each.choices else 1 if each.type is int else 0.5
    shape = [length for axis in each.axes[0] for length in LENGTHS[axis]]
    return np.random.default_rng(len(each.name)).uniform(0.5, 3, shape).tolist()


def written(operation: Operation, *names: str) -> dict[str, Any]:
    """Return a request with the named fields and what they need."""
    known = described(operation)
    return {name: value(known[name]) if name in known else each for name, each in request(operation, names).items()}


async def post(client: httpx.AsyncClient, operation: Operation, fields: Any, query: Any = None) -> httpx.Response:
    """Return the response of a plain endpoint."""
    return await client.post(f"/{operation.name}", json=fields, params=query)


async def post_v2(
    client: httpx.AsyncClient, operation: Operation, fields: dict[str, Any], **parameters: Any
) -> httpx.Response:
    """Return the response of the Open Inference endpoint to the same request. parameters: further ones."""
    inputs = [
        {
            "name": name,
            "shape": list(np.shape(values)),
            "datatype": "INT64" if name in ("mask", "targets") else "FP64",
            "data": values,
        }
        for name, values in fields.items()
        if name in operation.domains or np.ndim(values) > 1
    ]
    sent = {name: each for name, each in fields.items() if name in operation.defaults}
    outputs = [{"name": name} for name in fields["outputs"]] if "outputs" in fields else None
    body = infer(*inputs, parameters={**sent, **parameters}, outputs=outputs)
    return await client.post(f"/v2/models/{operation.name}/infer", content=body)


def assert_names(answer: httpx.Response, name: str, status: int = 422) -> None:
    """Assert that an answer refuses a request and names the field."""
    assert answer.status_code == status, answer.text
    assert name in answer.json()["detail"]
    assert [name] in [place["loc"] for place in answer.json()["errors"]]


@every_field
@given(others=st.sets(st.sampled_from(sorted({name for _, name in FIELDS})), max_size=2))
@with_client
async def test_a_field_in_the_body_has_an_effect(
    client: httpx.AsyncClient, operation: Operation, name: str, others: set[str]
) -> None:
    fields = written(operation, name, *(each for each in operation.names if each in others))
    answer = await post(client, operation, fields)
    without = await post(client, operation, {each: fields[each] for each in fields if each != name})
    if answer.status_code == 200:
        # an infinite loss is the same in every precision
        assume(b"Infinity" not in answer.content)
        assert answer.content != without.content
    else:
        assert answer.status_code == 422
        assert answer.json()["detail"]


@every_field
async def test_a_field_changes_an_output_of_the_request_or_is_refused(
    client: httpx.AsyncClient, operation: Operation, name: str
) -> None:
    each = described(operation)[name]
    available, unchanged = 0, set()
    for output in operation.outputs:
        # smoothing changes the sum of a target, which is in the Hessian, only where the classes have weights
        weights = ["class_weights"] if output.name == "hessian" else []
        asked = written(operation, name, *(need for need in output.needs if need in operation.names), *weights)
        asked |= {"outputs": [output.name]}
        if TARGET_PROBABILITIES in output.needs and name != "ignore_index":
            asked |= {"targets": SHARES}
        answer = await post(client, operation, asked)
        if each.outputs and output.name not in each.outputs:
            assert answer.status_code == 422
            continue
        without = await post(client, operation, {field: asked[field] for field in asked if field != name})
        available += answer.status_code == 200
        if answer.content == without.content:
            unchanged.add(output.name)
    assert available
    if each.outputs:
        assert not unchanged
    elif name != "ignore_index":
        # which makes a label valid, whatever the outputs are
        assert len(unchanged) < available / 2


@pytest.mark.parametrize("name", ["sample_weights", "class_weights", "label_smoothing", "z_loss", "reduction"])
async def test_a_field_without_an_effect_is_refused_by_name(client: httpx.AsyncClient, name: str) -> None:
    """A weighted accuracy, for example, is not what the service computes."""
    fields = written(LOSS, name) | {"outputs": ["accuracy", "entropy"]}
    answer = await post(client, LOSS, fields)
    assert_names(answer, name)
    detail = answer.json()["detail"]
    assert detail.startswith(f"{name} changes only loss")
    # outputs that the request cannot have are no remedy
    assert "kl_divergence" not in detail
    assert_names(await post_v2(client, LOSS, fields), name, 400)


@every_field
async def test_a_field_that_is_null_is_left_out(client: httpx.AsyncClient, operation: Operation, name: str) -> None:
    fields = {each: values for each, values in written(operation).items() if each != name}
    without = await post(client, operation, fields)
    answer = await post(client, operation, {**fields, name: None})
    assert answer.status_code == without.status_code
    if answer.status_code == 200:
        assert answer.content == without.content
    else:
        assert answer.json()["detail"] == without.json()["detail"]


@every_parameter
async def test_a_parameter_in_the_query_is_one_of_the_body(
    client: httpx.AsyncClient, operation: Operation, name: str
) -> None:
    fields = written(operation, name)
    rest = {each: fields[each] for each in fields if each != name}
    expected = await post(client, operation, fields)
    assert expected.status_code == 200
    assert (await post(client, operation, rest, {name: fields[name]})).content == expected.content
    assert_names(await post(client, operation, fields, {name: fields[name]}), name)
    assert_names(await post(client, operation, rest, [(name, fields[name])] * 2), name)


@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
async def test_inputs_in_the_query_are_refused_by_name(client: httpx.AsyncClient, operation: Operation) -> None:
    for name in operation.domains:
        fields = {each: values for each, values in written(operation).items() if each != name}
        assert_names(await post(client, operation, fields, {name: 1}), name)


@every_field
@given(place=st.integers(0, 25), length=st.integers(0, 1), letter=st.sampled_from(["", "_", "s", "X"]))
@with_client
async def test_a_misspelt_field_is_refused_by_name(
    client: httpx.AsyncClient, operation: Operation, name: str, place: int, length: int, letter: str
) -> None:
    misspelt = name[:place] + letter + name[place + length :]
    assume(misspelt and misspelt not in operation.names)
    fields = written(operation, name)
    fields = {misspelt if each == name else each: values for each, values in fields.items()}
    assert_names(await post(client, operation, fields), misspelt)
    rest = {each: values for each, values in fields.items() if each != misspelt}
    assert_names(await post(client, operation, rest, {misspelt: 1}), misspelt)
    if name in operation.domains:
        inputs = {"name": misspelt, "shape": [1], "datatype": "FP64", "data": [1]}
        answer = await client.post(f"/v2/models/{operation.name}/infer", content=infer(inputs))
    else:
        answer = await post_v2(client, operation, rest, **{misspelt: 1})
    assert_names(answer, misspelt, 400)


@every_field
async def test_open_inference_does_what_the_plain_endpoint_does(
    client: httpx.AsyncClient, operation: Operation, name: str
) -> None:
    fields = written(operation, name)
    expected = (await post(client, operation, fields)).json()
    answer = await post_v2(client, operation, fields)
    assert {output["name"]: output["data"] for output in answer.json()["outputs"]} == {
        each: np.ravel(values).tolist() for each, values in expected.items()
    }


@every_parameter
async def test_an_open_inference_parameter_null_is_left_out(
    client: httpx.AsyncClient, operation: Operation, name: str
) -> None:
    fields = written(operation)
    without = await post_v2(client, operation, fields)
    answer = await post_v2(client, operation, fields, **{name: None})
    assert answer.status_code == 200
    assert answer.content == without.content


@every_field
async def test_open_inference_has_no_query_parameters(
    client: httpx.AsyncClient, operation: Operation, name: str
) -> None:
    answer = await client.post(f"/v2/models/{operation.name}/infer", content=infer(), params={name: 1})
    assert_names(answer, name, 400)


@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
async def test_outputs_are_returned_or_refused_by_name(client: httpx.AsyncClient, operation: Operation) -> None:
    fields = written(operation)
    for name in operation.named_outputs:
        for sent, query in (({"outputs": [name]}, None), ({}, {"outputs": name})):
            answer = await post(client, operation, {**fields, **sent}, query)
            if answer.status_code == 200:
                assert list(answer.json()) == [name]
            else:
                assert name in answer.json()["detail"]
                assert answer.json()["errors"][0]["loc"] == ["outputs", 0]
        misspelt = await post(client, operation, {**fields, "outputs": [name + "_"]})
        assert misspelt.status_code == 422
        assert misspelt.json()["errors"][0]["loc"] == ["outputs", 0]
    assert (await post(client, operation, {**fields, "outputs": None})).content == (
        await post(client, operation, fields)
    ).content
