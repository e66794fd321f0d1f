"""Test that breaking changes of the released document are found, unless the version allows them."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.compatibility import losses, may_lose
from tests.contract.document import COMMITTED, RELEASED

if TYPE_CHECKING:
    from collections.abc import Callable

Change = tuple[str, "Callable[[Any], object]"]

NEW: dict[str, Any] = json.loads(COMMITTED.read_text(encoding="utf-8"))
OLD: dict[str, Any] = json.loads(RELEASED.read_text(encoding="utf-8"))


def schema(document: Any, name: str, *fields: str) -> Any:
    """Return a schema of the document, or the schema of a field."""
    found = document["components"]["schemas"][name]
    for field in fields:
        found = found["properties"][field]
    return found


def post(document: Any, path: str) -> Any:
    """Return the description of POST on a path."""
    return document["paths"][path]["post"]


BREAKING: list[Change] = [
    ("POST /loss is gone", lambda d: d["paths"].pop("/loss")),
    ("GET /info is gone", lambda d: d["paths"]["/info"].pop("get")),
    ("POST /softmax is called soft_max", lambda d: post(d, "/softmax").update(operationId="soft_max")),
    ("POST /softmax takes no X-Request-ID", lambda d: post(d, "/softmax").pop("parameters")),
    ("POST /softmax needs X-Request-ID", lambda d: d["components"]["parameters"]["RequestID"].update(required=True)),
    (
        "POST /v2/models/{model}/infer model: loss is not one of the values",
        lambda d: d["components"]["schemas"]["Model"]["enum"].remove("loss"),
    ),
    ("takes no application/x-npy", lambda d: post(d, "/softmax")["requestBody"]["content"].pop("application/x-npy")),
    (
        "POST /softmax 200 is not application/x-npz",
        lambda d: post(d, "/softmax")["responses"]["200"]["content"].pop("application/x-npz"),
    ),
    ("POST /softmax has no reply 422", lambda d: post(d, "/softmax")["responses"].pop("422")),
    (
        "POST /softmax 200 has no header Server-Timing",
        lambda d: post(d, "/softmax")["responses"]["200"]["headers"].pop("Server-Timing"),
    ),
    ("application/json.softcap is unknown", lambda d: schema(d, "LossRequest")["properties"].pop("softcap")),
    ("application/json.dtype is required", lambda d: schema(d, "LossRequest").update(required=["dtype"])),
    (
        "application/json.top_k: minimum 2",
        lambda d: schema(d, "LossRequest", "top_k")["anyOf"][0].update(minimum=2),
    ),
    (
        "application/json.temperature: maximum 9",
        lambda d: schema(d, "LossRequest", "temperature")["anyOf"][0].update(maximum=9),
    ),
    (
        "application/json.temperature: number instead of integer",
        lambda d: schema(d, "LossRequest", "temperature")["anyOf"][0].update(type="integer"),
    ),
    (
        "application/json.dtype: float32 is not one of the values",
        lambda d: schema(d, "Dtype")["enum"].remove("float32"),
    ),
    (
        "application/json.logits[]: string instead of number",
        lambda d: schema(d, "SoftmaxRequest", "logits")["anyOf"][0].update(items={"type": "number"}),
    ),
    (
        "application/json.logits: array instead of number",
        lambda d: schema(d, "SoftmaxRequest").update(properties={"logits": {"type": "number"}}),
    ),
    ("application/json.entropy is gone", lambda d: schema(d, "SoftmaxReply")["properties"].pop("entropy")),
    (
        "application/json.entropy: string instead of number",
        lambda d: schema(d, "SoftmaxReply", "entropy")["anyOf"].append({"type": "string"}),
    ),
    (
        "application/problem+json.detail may be missing",
        lambda d: schema(d, "Problem")["required"].remove("detail"),
    ),
    ("Huge is not one of the values", lambda d: schema(d, "NonFinite")["enum"].append("Huge")),
    (
        "the schema SoftmaxRequest is gone",
        lambda d: d.update(json.loads(json.dumps(d).replace("SoftmaxRequest", "Body_softmax_softmax_post"))),
    ),
]

HARMLESS: list[Change] = [
    ("a path", lambda d: d["paths"].update({"/argmax": d["paths"]["/softmax"]})),
    ("a parameter", lambda d: post(d, "/softmax")["parameters"].append({"name": "X", "in": "header", "schema": {}})),
    ("a field of requests", lambda d: schema(d, "LossRequest")["properties"].update(margin={"type": "number"})),
    ("a field of replies", lambda d: schema(d, "LossReply")["properties"].update(margin={"type": "number"})),
    ("a wider bound", lambda d: schema(d, "LossRequest", "z_loss").update(minimum=-1)),
    ("no bound", lambda d: schema(d, "LossRequest", "z_loss")["anyOf"][0].pop("minimum")),
    ("a choice of requests", lambda d: schema(d, "Reduction")["enum"].append("max")),
    ("a type of requests", lambda d: schema(d, "LossRequest", "targets")["anyOf"].append({"type": "string"})),
    ("a number in place of an integer", lambda d: schema(d, "LossRequest", "top_k")["anyOf"][0].update(type="number")),
    ("a reply", lambda d: post(d, "/loss")["responses"].update({"429": post(d, "/loss")["responses"]["default"]})),
    ("a media type", lambda d: post(d, "/loss")["requestBody"]["content"].update({"text/csv": {"schema": {}}})),
    ("an integer in place of a number", lambda d: schema(d, "LossReply", "accuracy").update(type="integer")),
    ("words", lambda d: d["info"].update(description="")),
]


@pytest.mark.parametrize(("loss", "change"), BREAKING, ids=[loss for loss, _ in BREAKING])
def test_what_clients_lose_is_found(loss: str, change: Callable[[Any], object]) -> None:
    changed = deepcopy(NEW)
    change(changed)
    found = losses(NEW, changed)
    assert any(loss in each for each in found), found


@pytest.mark.parametrize(("addition", "change"), HARMLESS, ids=[addition for addition, _ in HARMLESS])
def test_what_clients_do_not_notice_is_no_loss(addition: str, change: Callable[[Any], object]) -> None:
    changed = deepcopy(NEW)
    change(changed)
    assert changed != NEW, addition
    assert losses(NEW, changed) == []


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        ("0.1.0", "0.1.0", False),
        ("0.1.0", "0.1.9", False),
        ("0.1.9", "0.2.0", True),
        ("0.9.0", "0.10.0", True),
        ("0.2.0", "1.0.0", True),
        ("1.2.0", "1.3.0", False),
        ("1.9.0", "2.0.0", True),
        ("2.0.0", "1.9.0", False),
    ],
)
def test_incompatible_change_needs_a_higher_version(old: str, new: str, *, allowed: bool) -> None:
    assert may_lose(old, new) is allowed


def test_document_is_compatible_with_the_released_one() -> None:
    found = losses(OLD, NEW)
    assert not found or may_lose(OLD["info"]["version"], NEW["info"]["version"]), "\n".join(found)
