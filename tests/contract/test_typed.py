"""Test the OpenAPI document for code generators: the same operations, with one type for each field."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import OpenAPIV30SpecValidator

from service.api.openapi.typed import typed_document
from service.operations import OPERATIONS
from service.settings import Settings
from tests.contract.document import TYPED, current_typed, same

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

DOCUMENT: dict[str, Any] = json.loads(TYPED.read_text(encoding="utf-8"))
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
EXAMPLES = [
    (path, name)
    for path, methods in DOCUMENT["paths"].items()
    for name in methods["post"]["requestBody"]["content"]["application/json"]["examples"]
]


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a document."""
    if isinstance(node, dict):
        yield node
        for each in node.values():
            yield from nodes(each)
    elif isinstance(node, list):
        for each in node:
            yield from nodes(each)


def shown(part: dict[str, Any], name: str) -> Any:
    """Return the value of an example, after a check against its schema."""
    media = part["content"]["application/json"]
    value = media["examples"][name]["value"]
    OAS30Validator({**media["schema"], "components": DOCUMENT["components"]}).validate(value)
    return value


def test_committed_document_is_the_one_of_the_code() -> None:
    assert same(DOCUMENT, json.loads(current_typed())), "run `make openapi`"


async def test_service_serves_the_committed_document(client: httpx.AsyncClient) -> None:
    reply = await client.get("/openapi/typed.json")
    assert reply.headers["Content-Type"] == "application/json"
    assert same(reply.json(), DOCUMENT)


def test_document_is_valid_openapi() -> None:
    OpenAPIV30SpecValidator(DOCUMENT).validate()


def test_every_number_has_a_format_of_64_bits() -> None:
    formats = {"number": "double", "integer": "int64"}
    numbers = [node for node in nodes(SCHEMAS) if node.get("type") in ("number", "integer")]
    assert numbers
    assert [node for node in numbers if node.get("format") != formats[node["type"]]] == []


def test_no_field_has_alternatives_or_a_default() -> None:
    for node in nodes(SCHEMAS):
        assert not {"anyOf", "oneOf", "default", "nullable", "const"} & set(node)
        assert len(node.get("allOf", [1])) == 1


def test_every_enumeration_has_names_of_its_own() -> None:
    members = [word for schema in SCHEMAS.values() for word in schema.get("enum", ())]
    assert len(members) == len(set(members))
    assert all(word.isidentifier() for word in members)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_input_parameter_and_output_is_there(operation: Any) -> None:
    request = SCHEMAS[f"{operation.name.title()}Request"]["properties"]
    assert list(request) == list(operation.names)
    reply = SCHEMAS[f"{operation.name.title()}Reply"]["properties"]
    # batches of the typed document have class indices or a teacher
    missing = {name for name, output in operation.named_outputs.items() if "teacher_logits" in output.unless}
    assert set(operation.named_outputs) - set(reply) == missing
    assert set(reply) <= set(SCHEMAS["Output"]["enum"])


def test_every_operation_has_an_example() -> None:
    assert {path for path, _ in EXAMPLES} == {f"/{operation.name}" for operation in OPERATIONS}


@pytest.mark.parametrize(("path", "name"), EXAMPLES)
async def test_example_is_answered_as_shown(client: httpx.AsyncClient, path: str, name: str) -> None:
    described = DOCUMENT["paths"][path]["post"]
    reply = await client.post(path, json=shown(described["requestBody"], name))
    assert reply.status_code == 200
    assert same(reply.json(), shown(described["responses"]["200"], name))


def test_a_key_is_required_only_if_the_service_has_keys() -> None:
    assert DOCUMENT["security"] == []
    with_keys = typed_document(Settings(api_keys=("swordfish",)))
    assert with_keys["security"] == [{"bearer": []}]
    OpenAPIV30SpecValidator(with_keys).validate()
