"""Test the headers that every response carries."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from service.compute.softmax import Softmax
from service.operations import OPERATIONS
from tests.bodies import JSON
from tests.connections import application, connect, converse, piece

if TYPE_CHECKING:
    import httpx

    from service.operations.spec import Operation

MADE = re.compile(r"[0-9a-f]{32}")

REPLIES = [
    ("GET", "/livez", b"", 200),
    ("HEAD", "/livez", b"", 200),
    ("OPTIONS", "/livez", b"", 405),
    ("GET", "/metrics", b"", 200),
    ("GET", "/v2", b"", 200),
    ("POST", "/v2/models/softmax/infer", b"{}", 400),
    ("POST", "/v2/models/nothing/infer", b"{}", 404),
    ("GET", "/readyz", b"", 200),
    ("GET", "/info", b"", 200),
    ("GET", "/openapi.json", b"", 200),
    ("GET", "/docs", b"", 200),
    ("GET", "/static/docs.js", b"", 200),
    ("GET", "/", b"", 200),
    ("POST", "/softmax", b'{"logits":[0]}', 200),
    ("POST", "/softmax", b"{", 400),
    ("POST", "/softmax", b"{}", 422),
    ("GET", "/nowhere", b"", 404),
    ("GET", "/static/nowhere", b"", 404),
    ("GET", "/softmax", b"", 405),
    ("POST", "/livez", b"", 405),
    ("POST", "/static/docs.js", b"", 405),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), REPLIES)
async def test_an_id_that_is_sent_is_on_every_reply(
    client: httpx.AsyncClient, method: str, path: str, body: bytes, status: int
) -> None:
    reply = await client.request(method, path, content=body, headers={**JSON, "X-Request-ID": "trace/7"})
    assert reply.status_code == status
    assert reply.headers.get_list("X-Request-ID") == ["trace/7"]


@pytest.mark.parametrize(("method", "path", "body", "status"), REPLIES)
async def test_an_id_is_made_where_none_is_sent(
    client: httpx.AsyncClient, method: str, path: str, body: bytes, status: int
) -> None:
    replies = [await client.request(method, path, content=body, headers=JSON) for _ in range(2)]
    ids = [reply.headers["X-Request-ID"] for reply in replies]
    assert [reply.status_code for reply in replies] == [status, status]
    assert all(map(MADE.fullmatch, ids))
    assert len(set(ids)) == 2


@pytest.mark.parametrize(("status", "headers"), [(415, {}), (406, {**JSON, "Accept": "text/html"})])
async def test_a_reply_on_media_types_carries_the_id(
    client: httpx.AsyncClient, status: int, headers: dict[str, str]
) -> None:
    reply = await client.post("/softmax", content=b"{}", headers={**headers, "X-Request-ID": "7"})
    assert reply.status_code == status
    assert reply.headers.get_list("X-Request-ID") == ["7"]


async def test_a_reply_on_a_body_too_long_carries_the_id() -> None:
    async with connect(max_body_bytes=1) as client:
        reply = await client.post("/softmax", content=b"{}", headers={**JSON, "X-Request-ID": "7"})
    assert reply.status_code == 413
    assert reply.headers.get_list("X-Request-ID") == ["7"]


async def test_a_reply_on_a_crash_carries_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Softmax, "probabilities", property(lambda _: 1 // 0))
    async with connect() as client:
        reply = await client.post("/softmax", json={"logits": [0]}, headers={"X-Request-ID": "7"})
    assert reply.status_code == 500
    assert reply.headers.get_list("X-Request-ID") == ["7"]


@pytest.mark.parametrize("sent", ["7", "a" * 128, "0af7651916cd43dd8448eb211c80319c", "A-z_0.9:/+=@"])
async def test_an_id_of_letters_digits_and_common_signs_is_taken_over(client: httpx.AsyncClient, sent: str) -> None:
    for path in ("/livez", "/softmax"):
        assert (await client.get(path, headers={"X-Request-ID": sent})).headers["X-Request-ID"] == sent


@pytest.mark.parametrize(
    "sent",
    [b"", b" ", b"a" * 129, b"two words", b"<script>", b'"7"', b"7;8", b"caf\xc3\xa9", b"\xff", b"a\tb", b"%0d%0a"],
    ids=repr,
)
@pytest.mark.parametrize("path", ["/livez", "/softmax"])
async def test_in_place_of_any_other_id_one_is_made(client: httpx.AsyncClient, sent: bytes, path: str) -> None:
    reply = await client.post(
        path, content=b"{}", headers={b"Content-Type": b"application/json", b"X-Request-ID": sent}
    )
    assert MADE.fullmatch(reply.headers["X-Request-ID"])


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_an_operation_reports_the_time_of_each_stage(client: httpx.AsyncClient, operation: Operation) -> None:
    reply = await client.post(f"/{operation.name}", json=operation.examples[0].request)
    stages = dict(stage.split(";dur=") for stage in reply.headers["Server-Timing"].split(", "))
    assert list(stages) == ["decode", "compute", "encode", "total"]
    assert all(0 <= float(milliseconds) < 60_000 for milliseconds in stages.values())


async def test_the_stages_are_counted_in_milliseconds(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([10.0, 10.001, 10.001, 10.02, 10.3])
    monkeypatch.setattr("service.api.endpoint.perf_counter", lambda: next(seconds))
    reply = await client.post("/softmax", json={"logits": [0]})
    assert reply.headers["Server-Timing"].startswith("decode;dur=1.000, compute;dur=19.000, encode;dur=280.000, total;")


@pytest.mark.parametrize("path", ["/livez", "/v2", "/docs", "/nowhere", "/softmax"])
async def test_every_answer_has_the_time_that_it_took(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(path)
    assert re.fullmatch(r"total;dur=\d+\.\d{3}", reply.headers["Server-Timing"])


GOT = [
    "/livez",
    "/readyz",
    "/info",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/static/docs.js",
    "/",
    "/v2",
    "/v2/models/loss",
]


@pytest.mark.parametrize("path", GOT)
def test_head_answers_like_get_without_a_body(http: httpx.Client, path: str) -> None:
    get, head = http.get(path), http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert get.status_code == 200
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


@pytest.mark.parametrize("path", ["/softmax", "/nothing"])
def test_head_answers_404_and_405_like_get(http: httpx.Client, path: str) -> None:
    get, head = http.get(path), http.head(path)
    assert (head.status_code, head.content) == (get.status_code, b"")


async def test_every_path_that_answers_to_get_is_among_these(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    paths = {path for path, methods in document["paths"].items() if "get" in methods}
    for path in paths:
        example = path.format(model="loss", version="1")
        assert (await client.head(example)).status_code == (await client.get(example)).status_code == 200


async def test_draining_process_closes_connections_with_its_replies() -> None:
    app = application()
    async with connect(app) as client:
        before = [await client.get("/livez"), await client.post("/softmax", json={"logits": [0]})]
        app.runtime.lifecycle.leaving = True
        after = [await client.get("/livez"), await client.post("/softmax", json={"logits": [0]})]
    assert [reply.headers.get("Connection") for reply in before] == [None, None]
    assert [reply.headers.get("Connection") for reply in after] == ["close", "close"]


async def test_long_reply_ends_with_a_message_of_its_own() -> None:
    body = b'{"logits": [%b0], "outputs": ["jacobian"]}' % (b"0," * 199)
    start, content, end = await converse(application(), "/softmax", [piece(body)])
    assert int(dict(start["headers"])[b"content-length"]) == len(content["body"]) > 2**16
    assert content["more_body"]
    assert not end["body"]


async def test_several_lines_of_a_header_are_one_list(client: httpx.AsyncClient) -> None:
    headers = [("Content-Type", "application/json"), ("Accept", "text/html"), ("Accept", "application/json")]
    assert (await client.post("/softmax", content=b'{"logits":[0]}', headers=headers)).status_code == 200
