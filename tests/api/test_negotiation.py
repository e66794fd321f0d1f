"""Test content negotiation: accepted Content-Type, Content-Encoding and Accept headers."""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import httpx

BODY = b'{"logits": [0, 0]}'
ANSWER = {"probabilities": [0.5, 0.5], "predictions": 0}
JSON = ("Content-Type", "application/json")


async def post(client: httpx.AsyncClient, *headers: tuple[str, str]) -> httpx.Response:
    """Return the response to a valid body with only these headers."""
    client.headers.pop("Accept", None)
    return await client.post("/softmax", content=BODY, headers=list(headers))


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        "application/json; charset=UTF-8",
        'application/json ; charset="utf-8"',
        "application/json;",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16; profile=x",
        "application/json; q=1; format=pandas-split",
    ],
)
async def test_json_is_read(client: httpx.AsyncClient, content_type: str) -> None:
    reply = await post(client, ("Content-Type", content_type))
    assert reply.status_code == 200
    assert reply.json() == ANSWER


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "application/problem+json",
        "application/*",
        "json",
    ],
)
async def test_a_body_of_another_content_type_is_not_read(client: httpx.AsyncClient, content_type: str) -> None:
    reply = await post(client, ("Content-Type", content_type))
    assert reply.status_code == 415
    assert reply.json()["type"] == "/problems/unreadable-media-type"
    assert "application/json" in reply.json()["detail"]


async def test_a_body_without_a_content_type_is_not_read(client: httpx.AsyncClient) -> None:
    assert (await post(client)).status_code == 415


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
async def test_a_body_with_encoding_identity_is_read(client: httpx.AsyncClient, encoding: str) -> None:
    assert (await post(client, JSON, ("Content-Encoding", encoding))).json() == ANSWER


@pytest.mark.parametrize("encoding", ["br", "compress", "gzip, gzip", "utf-8"])
async def test_a_body_compressed_in_an_unknown_way_is_not_read(client: httpx.AsyncClient, encoding: str) -> None:
    reply = await post(client, JSON, ("Content-Encoding", encoding))
    assert reply.status_code == 415
    assert reply.json()["type"] == "/problems/unreadable-encoding"
    mend = "Set the header Content-Encoding to gzip or x-gzip or deflate or zstd, or leave it out."
    assert reply.json()["detail"] == ("Compress the body once at most. " if "," in encoding else "") + mend
    assert reply.headers["Accept-Encoding"] == "gzip, x-gzip, deflate, zstd"
    assert "Accept" not in reply.headers


@pytest.mark.parametrize(
    ("path", "accepted"),
    [
        ("/softmax", "application/json, application/x-npy, application/x-npz"),
        ("/v2/models/softmax/infer", "application/json, application/octet-stream"),
    ],
)
async def test_a_body_of_another_format_is_told_the_accepted_ones(
    client: httpx.AsyncClient, path: str, accepted: str
) -> None:
    reply = await client.post(path, content=b"{}", headers={"Content-Type": "text/plain"})
    assert reply.status_code == 415
    assert reply.headers["Accept"] == accepted
    assert "Accept-Encoding" not in reply.headers


@pytest.mark.parametrize(
    "accept",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/*",
        "*/*",
        "",
        "application/json;q=0.001",
        "application/json;q=1.000",
        "application/json ; q=0.5",
        "text/html, application/json;q=0.1",
        "text/html,,application/json",
        "*/*;q=0, application/json",
        "application/*;q=0, application/json;q=0.2",
        "text/*;q=0, */*;q=0.1",
        "text/html;q=0, */*",
    ],
)
async def test_json_is_the_answer_if_accept_allows_it(client: httpx.AsyncClient, accept: str) -> None:
    reply = await post(client, JSON, ("Accept", accept))
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.json() == ANSWER


async def test_json_is_the_answer_without_accept(client: httpx.AsyncClient) -> None:
    assert (await post(client, JSON)).json() == ANSWER


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "text/*",
        "application/xml, text/html;q=0.9",
        "application/jsonx",
        "application/problem+json",
        "application/json;q=0",
        "application/json;q=0.000",
        "*/*;q=0",
        "*/*;q=0.0",
        "application/*;q=0, text/*",
        "application/json; Q=0",
    ],
)
async def test_an_answer_outside_accept_is_not_given(client: httpx.AsyncClient, accept: str) -> None:
    reply = await post(client, JSON, ("Accept", accept))
    assert reply.status_code == 406
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json()["type"] == "/problems/unwritable-media-type"
    assert "application/json" in reply.json()["detail"]


@pytest.mark.parametrize("accept", ["application/json;q=0, */*", "*/*, application/json;q=0"])
async def test_a_format_that_is_ruled_out_by_name_is_never_the_answer(client: httpx.AsyncClient, accept: str) -> None:
    reply = await post(client, JSON, ("Accept", accept))
    assert reply.headers["Content-Type"] != "application/json"


@pytest.mark.parametrize("first", ["text/html", "application/json"])
async def test_an_accept_header_in_two_lines_is_one_list(client: httpx.AsyncClient, first: str) -> None:
    (second,) = {"text/html", "application/json"} - {first}
    reply = await post(client, JSON, ("Accept", first), ("Accept", second))
    assert reply.status_code == 200


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("application/x-npz, application/json;q=0.9", "application/x-npz"),
        ("application/json;q=0.1, application/x-npz;q=0.2", "application/x-npz"),
        ("application/json;q=0.5, */*", "application/x-npz"),
        ("application/x-npz, application/json", "application/json"),
        ("application/x-npz;q=0.999, application/json; q=1.000", "application/json"),
        ("application/json;q=0.2, application/x-npz;q=0.1, */*;q=0.1", "application/json"),
        ("application/json;q=2, application/x-npz", "application/json"),
    ],
)
async def test_the_format_that_accept_prefers_is_the_answer(
    client: httpx.AsyncClient, accept: str, answer: str
) -> None:
    assert (await post(client, JSON, ("Accept", accept))).headers["Content-Type"] == answer


async def test_media_types_are_checked_before_the_body_is(client: httpx.AsyncClient) -> None:
    reply = await client.post("/softmax", content=b"not JSON", headers={"Content-Type": "text/plain"})
    assert reply.status_code == 415


@pytest.mark.parametrize("path", ["/", "/problems", "/problems/slow-body"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_accept_in_two_lines_is_one_list_on_other_paths(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    client.headers.pop("Accept")
    for lines in (("application/json;q=0.5", "text/html"), ("text/html", "application/json;q=0.5")):
        reply = await client.request(method, path, headers=[("Accept", line) for line in lines])
        # the root redirects browsers to a page
        assert reply.headers.get("Content-Type", "text/html").startswith("text/html")
        assert reply.status_code == (307 if path == "/" else 200)


async def test_long_headers_are_not_kept(client: httpx.AsyncClient) -> None:
    long = "a" * 60_000
    tracemalloc.start()
    try:
        for number in range(200):
            reply = await post(
                client,
                ("Content-Type", f"application/json; a={number}{long}"),
                ("Content-Encoding", f"identity, {' ' * number}{long.replace('a', ' ')}"),
                ("Accept", f"application/json, {number}/{long}"),
            )
            assert reply.status_code == 200
            reply = await post(client, JSON, ("Host", f"{number}{long}"))
            assert reply.status_code == 400
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()
