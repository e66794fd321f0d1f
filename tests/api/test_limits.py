"""Test the limits of bodies and tensors, and how much of a refused body is read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from service.settings import Settings
from tests.bodies import JSON
from tests.connections import LEFT, Upload, application, connect, converse, piece
from tests.processes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    from starlette.types import Message

BODY = b'{"logits": [0, 0]}'


def assert_too_large(reply: httpx.Response, kind: str, limit: int) -> None:
    """Assert that the response names the limit, and a size that fits."""
    assert reply.status_code == 413
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json()["type"] == f"/problems/{kind}"
    assert str(limit) in reply.json()["detail"]


async def test_body_of_the_limit_is_answered_and_one_byte_more_is_not() -> None:
    async with connect(max_body_bytes=100) as client:
        assert (await client.post("/softmax", content=BODY.ljust(100), headers=JSON)).status_code == 200
        reply = await client.post("/softmax", content=BODY.ljust(101), headers=JSON)
    assert_too_large(reply, "body-too-large", 100)


@pytest.mark.parametrize("arrived", [False, True])
@pytest.mark.parametrize(
    ("messages", "statuses"),
    [
        ([piece(BODY)], [200]),
        ([piece(BODY[:9], more=True), piece(BODY[9:])], [200]),
        ([piece(BODY.ljust(101))], [413]),
        ([piece(BODY, more=True), piece(b" " * 100)], [413]),
        ([LEFT], []),
        ([piece(BODY, more=True), LEFT], []),
    ],
    ids=["whole", "pieces", "long", "long pieces", "left", "left within"],
)
async def test_body_that_has_arrived_obeys_the_limits(
    messages: list[Message], statuses: list[int], *, arrived: bool
) -> None:
    app = application(max_body_bytes=100, inline_body_bytes=50)
    sent = await converse(app, "/softmax", messages, arrived=arrived)
    assert [message["status"] for message in sent if message["type"] == "http.response.start"] == statuses
    assert app.runtime.admission.bytes == 0


async def test_body_announced_too_long_is_refused_unread() -> None:
    upload = Upload(b" " * 10, count=11)
    async with connect(max_body_bytes=100) as client:
        reply = await client.post("/softmax", content=upload, headers={**JSON, "Content-Length": "110"})
    assert_too_large(reply, "body-too-large", 100)
    assert "about 90 % of its rows would fit" in reply.json()["detail"]
    assert upload.read == 0


async def test_a_body_in_chunks_is_refused_at_the_first_byte_too_many() -> None:
    upload = Upload(b" " * 10, count=1000)
    async with connect(max_body_bytes=100) as client:
        reply = await client.post("/softmax", content=upload, headers=JSON)
    assert "Content-Length" not in reply.request.headers
    assert_too_large(reply, "body-too-large", 100)
    assert upload.read == 11


async def test_a_body_in_chunks_is_put_together() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for byte in BODY:
            yield bytes([byte])

    async with connect(max_body_bytes=len(BODY)) as client:
        reply = await client.post("/softmax", content=chunks(), headers=JSON)
    assert reply.json()["probabilities"] == [0.5, 0.5]


async def test_server_refuses_a_long_body_while_it_arrives(server: str) -> None:
    address = urlsplit(server)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = (
        "POST /softmax HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n"
    )
    writer.write(head.encode() + b" " * 1000)
    status = (await asyncio.wait_for(reader.readline(), PATIENCE)).split()[1]
    writer.close()
    await writer.wait_closed()
    assert status == b"413"


async def test_a_large_tensor_names_both_limits_and_the_rows_that_fit() -> None:
    async with connect(max_elements=100, max_body_bytes=5000) as client:
        reply = await client.post("/softmax", json={"logits": [[0] * 7] * 15})
    assert reply.json()["detail"] == (
        "logits has more than 100 elements; send at most 14 rows. "
        "A body has at most 5000 bytes, and a tensor 100 elements; docs/recipes.md shows how to send a batch in parts."
    )


async def test_the_limits_in_force_are_published() -> None:
    async with connect(max_body_bytes=123, max_elements=45, max_bytes_in_flight=6789) as client:
        published = (await client.get("/info")).json()["limits"]
    assert published == {"max_body_bytes": 123, "max_elements": 45, "max_bytes_in_flight": 6789}


LAYER = {"inputs": [[1, 1]] * 4, "weights": [[1, 1]] * 3, "bias": [1] * 3, "targets": [0] * 4, "learning_rate": 1}
"""4 rows, 2 features, 3 classes."""

SIZES = [
    ("softmax", {"logits": [[0] * 5] * 4}, "logits", 20),
    ("softmax", {"inputs": [[0] * 5] * 4, "weights": [[0] * 5] * 2}, "inputs", 20),
    ("softmax", {"inputs": [[0] * 5], "weights": [[0] * 5] * 4}, "weights", 20),
    ("softmax", {"logits": [0] * 5, "outputs": ["jacobian"]}, "jacobian", 25),
    ("softmax", {"logits": [[0] * 3] * 4, "outputs": ["jacobian"]}, "jacobian", 36),
    ("loss", {"logits": [[0, 0]] * 10, "targets": [[0, 0]] * 10}, "logits", 20),
    ("gradient", {"logits": [[0] * 3] * 4, "targets": [0] * 4, "outputs": ["hessian"]}, "hessian", 36),
    ("gradient", {**LAYER, "outputs": ["logits_gradient", "updated_bias"]}, "logits_gradient", 12),
    ("softmax", {"inputs": [[1]] * 5, "weights": [[1]] * 4, "outputs": ["logits"]}, "logits", 20),
    ("softmax", {"inputs": [[1]] * 5, "weights": [[1]] * 4, "outputs": ["predictions"]}, "logits", 20),
    ("loss", {"inputs": [[1]] * 5, "weights": [[1]] * 4, "targets": [0] * 5}, "logits", 20),
    ("gradient", {"inputs": [[1]] * 5, "weights": [[1]] * 4, "targets": [0] * 5, "outputs": ["loss"]}, "logits", 20),
]


@pytest.mark.parametrize(("operation", "request_", "name", "size"), SIZES)
async def test_tensor_of_the_limit_is_served_and_one_more_is_not(
    operation: str, request_: dict[str, Any], name: str, size: int
) -> None:
    async with connect(max_elements=size) as client:
        assert (await client.post(f"/{operation}", json=request_)).status_code == 200
    async with connect(max_elements=size - 1) as client:
        reply = await client.post(f"/{operation}", json=request_)
    assert_too_large(reply, "tensor-too-large", size - 1)
    assert reply.json()["detail"].startswith(f"{name} has more than {size - 1} elements; send ")
    assert reply.json()["errors"][0]["loc"] == [name]


async def test_tensor_beyond_the_parser_is_too_large_and_not_ragged() -> None:
    body = b'{"logits":[%b0]}' % (b"0," * 2**24)
    async with connect(max_body_bytes=2 * len(body), max_bytes_in_flight=2 * len(body)) as client:
        reply = await client.post("/softmax", content=body, headers=JSON)
    assert_too_large(reply, "tensor-too-large", Settings().max_elements)
