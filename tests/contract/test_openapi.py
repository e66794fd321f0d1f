from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.operations import OPERATIONS
from tests.contract.document import COMMITTED, current, same

if TYPE_CHECKING:
    import httpx

DOCUMENT: dict[str, Any] = json.loads(COMMITTED.read_text(encoding="utf-8"))
EXAMPLES = [(operation.name, example.name) for operation in OPERATIONS for example in operation.examples]


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
    assert request["outputs"]["items"]["enum"] == [output.name for output in operation.outputs]
    assert {name: field["description"] for name, field in reply.items()} == {
        output.name: output.doc for output in operation.outputs
    }


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_tensor_says_its_shape(operation: Any) -> None:
    for tensor in (*operation.inputs, *operation.outputs):
        written = [f"({', '.join(axes)}{',' if len(axes) == 1 else ''})".replace("k", "top_k") for axes in tensor.axes]
        assert all(shape == "()" or shape.replace("...,)", "...)") in tensor.doc for shape in written), tensor.name


@pytest.mark.parametrize(("operation", "example"), EXAMPLES)
async def test_every_example_answers_what_the_document_says(
    client: httpx.AsyncClient, operation: str, example: str
) -> None:
    path = DOCUMENT["paths"][f"/{operation}"]["post"]
    request = path["requestBody"]["content"]["application/json"]["examples"][example]["value"]
    reply = path["responses"]["200"]["content"]["application/json"]["examples"][example]["value"]
    response = await client.post(f"/{operation}", json=request)
    assert response.status_code == 200
    assert same(response.json(), reply)


def test_every_refusal_is_documented() -> None:
    for operation in OPERATIONS:
        responses = DOCUMENT["paths"][f"/{operation.name}"]["post"]["responses"]
        assert list(responses) == ["200", "400", "401", "406", "408", "413", "415", "422", "503"]
        for status in list(responses)[1:]:
            content = responses[status]["content"]["application/problem+json"]
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_no_schema_is_left_over() -> None:
    text = json.dumps(DOCUMENT)
    unused = [name for name in DOCUMENT["components"]["schemas"] if f"#/components/schemas/{name}" not in text]
    assert unused == []
