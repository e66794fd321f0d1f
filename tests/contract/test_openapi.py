from __future__ import annotations

import json
import re
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.api.openapi.examples import INFERENCES, REQUEST_ID
from service.api.problems import MEDIA_TYPE, PROBLEM_TYPES
from service.formats.datatypes import STORED
from service.operations import OPERATIONS, execute
from service.schemas.requests import request_model
from service.settings import Settings
from tests.contract.document import COMMITTED, current, same
from tests.tensors import with_arrays

if TYPE_CHECKING:
    import httpx

DOCUMENT: dict[str, Any] = json.loads(COMMITTED.read_text(encoding="utf-8"))
EXAMPLES = [(operation.name, example.name) for operation in OPERATIONS for example in operation.examples]


def shown_request(path: str, example: str) -> Any:
    """Return the body of a request example."""
    return DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"][example]["value"]


def shown_reply(path: str, status: str, example: str, media_type: str = "application/json") -> Any:
    """Return the body of a response example."""
    response = DOCUMENT["paths"][path]["post"]["responses"][status]
    return response["content"][media_type]["examples"][example]["value"]


def test_the_committed_document_is_the_one_the_code_makes() -> None:
    assert same(DOCUMENT, json.loads(current())), "run `make openapi`"


async def test_the_service_serves_the_committed_document(client: httpx.AsyncClient) -> None:
    assert same((await client.get("/openapi.json")).json(), DOCUMENT)


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_input_parameter_and_output_is_documented(operation: Any) -> None:
    schemas = DOCUMENT["components"]["schemas"]
    request = schemas[f"{operation.name.title()}Request"]["properties"]
    reply = schemas[f"{operation.name.title()}Reply"]["properties"]
    assert {name: field["description"] for name, field in request.items() if name != "outputs"} == {
        each.name: each.doc for each in (*operation.inputs, *operation.parameters)
    }
    assert schemas[f"{operation.name.title()}Output"]["enum"] == [output.name for output in operation.outputs]
    assert {name: field["description"] for name, field in reply.items()} == {
        output.name: output.doc for output in operation.outputs
    }


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_tensor_has_its_shape_in_its_description(operation: Any) -> None:
    for tensor in (*operation.inputs, *operation.outputs):
        written = [f"({', '.join(axes)}{',' if len(axes) == 1 else ''})".replace("k", "top_k") for axes in tensor.axes]
        assert all(shape == "()" or shape.replace("...,)", "...)") in tensor.doc for shape in written), tensor.name


@pytest.mark.parametrize(("operation", "example"), EXAMPLES)
async def test_every_example_answers_what_the_document_says(
    client: httpx.AsyncClient, operation: str, example: str
) -> None:
    response = await client.post(f"/{operation}", json=shown_request(f"/{operation}", example))
    assert response.status_code == 200
    assert same(response.json(), shown_reply(f"/{operation}", "200", example))
    documented = DOCUMENT["paths"][f"/{operation}"]["post"]["responses"]["200"]["headers"]
    assert set(documented) == {"X-Request-ID", "Server-Timing"}
    assert all(name in response.headers for name in documented)


@pytest.mark.parametrize("model", INFERENCES)
@pytest.mark.parametrize("path", ["/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer"])
async def test_every_infer_request_answers_what_the_document_says(
    client: httpx.AsyncClient, path: str, model: str
) -> None:
    response = await client.post(path.format(model=model, version=1), json=shown_request(path, model))
    assert response.status_code == 200
    assert same(response.json(), shown_reply(path, "200", model))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_every_problem_shown_is_what_the_service_answers(client: httpx.AsyncClient, operation: Any) -> None:
    path = f"/{operation.name}"
    targets = {} if operation.name == "softmax" else {"targets": 0}
    if "jacobian" in operation.named_outputs:
        large = {"logits": [0] * (isqrt(Settings().max_elements) + 1), "outputs": ["jacobian"], **targets}
    else:
        large = {"logits": [0] * (Settings().max_elements + 1), **targets}
    sent: dict[str, dict[str, Any]] = {
        "malformed": {"content": b'{"logits": [2, 3'},
        "accept": {"json": {"logits": [0]}, "headers": {"Accept": "text/html"}},
        "body": {"headers": {"Content-Length": str(Settings().max_body_bytes + 1)}},
        "tensor": {"json": large},
        "text": {"content": b"2, 3, 4", "headers": {"Content-Type": "text/plain"}},
        **{each.name: {"json": each.request} for each in operation.invalid_examples},
    }
    shown = {
        (status, name)
        for status, response in DOCUMENT["paths"][path]["post"]["responses"].items()
        for name in response["content"].get(MEDIA_TYPE, {}).get("examples", {})
    }
    assert {name for _, name in shown} == set(sent)
    for status, name in shown:
        headers = {"X-Request-ID": REQUEST_ID, "Content-Type": "application/json", **sent[name].pop("headers", {})}
        response = await client.post(path, headers=headers, **sent[name])
        assert (str(response.status_code), response.headers["Content-Type"]) == (status, MEDIA_TYPE)
        assert response.json() == shown_reply(path, status, name, MEDIA_TYPE)


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_every_example_has_its_schema(path: str) -> None:
    for operation in DOCUMENT["paths"][path].values():
        for body in (operation.get("requestBody", {}), *operation["responses"].values()):
            for media in body.get("content", {}).values():
                for example in media.get("examples", {}).values():
                    OAS31Validator({**media["schema"], "components": DOCUMENT["components"]}).validate(example["value"])


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_every_reply_has_a_request_id_and_errors_are_problems(path: str) -> None:
    for operation in DOCUMENT["paths"][path].values():
        for status, response in operation["responses"].items():
            assert "X-Request-ID" in response["headers"]
            if status != "200" and (status, "ready" in path) != ("503", True):
                assert response["content"][MEDIA_TYPE]["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert "default" in operation["responses"]


def test_every_refusal_of_an_operation_is_documented() -> None:
    statuses = {str(kind.status) for kind in PROBLEM_TYPES.values()}
    for operation in OPERATIONS:
        assert set(DOCUMENT["paths"][f"/{operation.name}"]["post"]["responses"]) >= statuses - {"404", "405"}
    infer = DOCUMENT["paths"]["/v2/models/{model}/infer"]["post"]["responses"]
    assert set(infer) >= statuses - {"405", "422"}
    for kind in PROBLEM_TYPES.values():
        assert (
            kind.status in (404, 405)
            or f"`{kind.slug}`" in infer[str(400 if kind.status == 422 else kind.status)]["description"]
        )


@pytest.mark.parametrize("path", [path for path in DOCUMENT["paths"] if path.endswith("/ready") or path == "/readyz"])
def test_a_process_that_shuts_down_answers_probes_as_documented(path: str) -> None:
    responses = DOCUMENT["paths"][path]["get"]["responses"]
    assert responses["503"]["content"] == responses["200"]["content"]
    assert "Retry-After" not in responses["503"]["headers"]


def test_bodies_that_are_no_text_are_documented() -> None:
    for path, media_types in (
        ("/softmax", {"application/json", "application/x-npy", "application/x-npz"}),
        ("/v2/models/{model}/infer", {"application/json", "application/octet-stream"}),
    ):
        operation = DOCUMENT["paths"][path]["post"]
        assert set(operation["requestBody"]["content"]) == media_types
        assert set(operation["responses"]["200"]["content"]) == media_types


def test_what_a_client_calls_keeps_its_name() -> None:
    names = [each["operationId"] for path in DOCUMENT["paths"].values() for each in path.values()]
    assert len(set(names)) == len(names)
    assert {"softmax", "loss", "gradient", "livez", "readyz", "info", "v2_infer", "v2_version_infer"} <= set(names)
    assert all(re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", name) for name in names)


def test_bounds_of_integers_are_exact() -> None:
    ignored = DOCUMENT["components"]["schemas"]["LossRequest"]["properties"]["ignore_index"]["anyOf"][0]
    assert (ignored["minimum"], ignored["maximum"]) == (-(2**63), 2**63 - 1)


def test_every_datatype_is_documented() -> None:
    assert set(DOCUMENT["components"]["schemas"]["Datatype"]["enum"]) == set(STORED)


def test_finite_outputs_are_finite_for_extreme_logits() -> None:
    operation = next(each for each in OPERATIONS if each.name == "loss")
    finite = [output.name for output in operation.outputs if output.finite]
    assert "probabilities" in finite
    largest = np.finfo(np.float64).max
    logits = np.array([[0.0, 0.0], [-np.inf, 0.0], [largest, -largest], [largest, largest], [5e-324, -5e-324]])
    for temperature in (5e-324, 1.0, largest):
        given = {"logits": logits, "targets": np.zeros(5, int), "temperature": temperature, "top_k": 2}
        message = request_model(operation).read(with_arrays(operation, {**given, "outputs": finite}))
        outputs = execute(operation, message.arguments, message.output_names)
        assert [name for name, values in outputs.items() if not np.isfinite(values).all()] == []


def test_no_schema_is_left_over() -> None:
    text = json.dumps(DOCUMENT)
    unused = [name for name in DOCUMENT["components"]["schemas"] if f"#/components/schemas/{name}" not in text]
    assert unused == []


def test_no_field_is_titled_with_its_own_name() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert [field for field, each in schema.get("properties", {}).items() if "title" in each] == [], name
