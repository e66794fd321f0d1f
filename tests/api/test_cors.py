"""Test CORS: only pages of configured origins may read responses."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from service.api.security import EXPOSED
from service.schemas.problem import Problem
from tests.bodies import BODY, JSON
from tests.connections import application, ask_once, connect, converse, piece
from tests.server.sockets import serving

if TYPE_CHECKING:
    import httpx

ORIGIN = "https://page.example"

PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type, inference-header-content-length",
}

REPLIES = [
    ("POST", "/softmax", BODY, 200),
    ("POST", "/softmax", b"{", 400),
    ("POST", "/v2/models/softmax/infer", b"{}", 400),
    ("GET", "/livez", b"", 200),
    ("GET", "/nowhere", b"", 404),
    ("GET", "/softmax", b"", 405),
]


def allowed(reply: httpx.Response) -> dict[str, str]:
    """Return the CORS headers of a response."""
    return {name: value for name, value in reply.headers.items() if name.startswith("access-control")}


@pytest.mark.parametrize(("method", "path", "body", "status"), REPLIES)
async def test_page_of_an_unnamed_origin_may_read_nothing(
    client: httpx.AsyncClient, method: str, path: str, body: bytes, status: int
) -> None:
    reply = await client.request(method, path, content=body, headers={**JSON, "Origin": ORIGIN})
    assert reply.status_code == status
    assert allowed(reply) == {}


async def test_a_preflight_is_refused_unless_origins_are_named(client: httpx.AsyncClient) -> None:
    reply = await client.options("/softmax", headers=PREFLIGHT)
    assert reply.status_code == 405
    assert allowed(reply) == {}


@pytest.mark.parametrize(("method", "path", "body", "status"), REPLIES)
@pytest.mark.parametrize(
    ("origins", "origin", "allowance"),
    [
        ((ORIGIN,), ORIGIN, ORIGIN),
        (("https://other.example", ORIGIN), ORIGIN, ORIGIN),
        (("*",), ORIGIN, "*"),
        ((ORIGIN,), "https://evil.example", None),
        ((ORIGIN,), "http://page.example", None),
        ((ORIGIN,), f"{ORIGIN}.evil.example", None),
        ((ORIGIN,), "null", None),
    ],
)
async def test_a_page_may_read_every_reply_if_its_origin_is_named(
    method: str, path: str, body: bytes, status: int, origins: tuple[str, ...], origin: str, allowance: str | None
) -> None:
    async with connect(cors_origins=origins) as client:
        reply = await client.request(method, path, content=body, headers={**JSON, "Origin": origin})
    assert reply.status_code == status
    assert reply.headers.get("Access-Control-Allow-Origin") == allowance
    # with "*", credentials would let any page use those of a proxy
    assert "Access-Control-Allow-Credentials" not in reply.headers
    assert reply.headers.get_list("X-Request-ID", split_commas=True) == [reply.headers["X-Request-ID"]]


@pytest.mark.parametrize("path", ["/softmax", "/v2/models/gradient/infer", "/livez"])
async def test_a_preflight_allows_what_the_operations_need(path: str) -> None:
    async with connect(cors_origins=(ORIGIN,)) as client:
        reply = await client.options(path, headers=PREFLIGHT)
    assert reply.status_code == 200
    assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in reply.headers["Access-Control-Allow-Methods"].split(", ")
    assert reply.headers["Access-Control-Allow-Headers"] == PREFLIGHT["Access-Control-Request-Headers"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Origin", "https://evil.example"),
        ("Access-Control-Request-Method", "DELETE"),
        ("Access-Control-Request-Private-Network", "true"),
    ],
)
@pytest.mark.parametrize("path", ["/softmax", "/livez", "/nowhere", "*"])
async def test_a_preflight_of_another_origin_or_method_is_refused(name: str, value: str, path: str) -> None:
    async with connect(cors_origins=(ORIGIN,)) as client:
        reply = await client.options(path, headers={**PREFLIGHT, name: value})
    problem = Problem.model_validate_json(reply.content)
    assert reply.status_code == problem.status == 400
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert problem.type == "/problems/refused-preflight"
    assert [place.loc for place in problem.errors] == [[name]]
    assert ("access-control-allow-origin" in allowed(reply)) is (name != "Origin")


@pytest.mark.parametrize(("origin", "status"), [(ORIGIN, 200), ("https://evil.example", 400)])
async def test_a_preflight_has_an_id_and_is_counted_and_logged_once(
    origin: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "service.requests"):
        async with connect(cors_origins=(ORIGIN,)) as client:
            reply = await client.options("/softmax", headers={**PREFLIGHT, "Origin": origin, "X-Request-ID": "7"})
            counted = (await client.get("/metrics")).text
    assert reply.headers.get_list("X-Request-ID") == ["7"]
    assert f'http_requests_total{{method="OPTIONS",route="",status="{status}"}} 1.0' in counted
    lines: list[Any] = [record.msg for record in caplog.records if record.name == "service.requests"]
    assert [line["request_id"] for line in lines if line["method"] == "OPTIONS"] == ["7"]


async def test_an_operation_is_counted_once_with_origins_named() -> None:
    async with connect(cors_origins=(ORIGIN,)) as client:
        await client.post("/softmax", content=BODY, headers={**JSON, "Origin": ORIGIN})
        assert (
            'http_requests_total{method="POST",route="/softmax",status="200"} 1.0'
            in (await client.get("/metrics")).text
        )


@pytest.mark.parametrize(("method", "path", "body", "status"), REPLIES)
async def test_a_page_may_read_the_headers_that_are_the_service_s_own(
    method: str, path: str, body: bytes, status: int
) -> None:
    async with connect(cors_origins=(ORIGIN,)) as client:
        reply = await client.request(method, path, content=body, headers={**JSON, "Origin": ORIGIN})
    assert reply.status_code == status
    assert reply.headers["Access-Control-Expose-Headers"] == EXPOSED[1].decode()


async def test_the_documentation_keeps_its_policy_with_origins_named() -> None:
    plain, shared = application(), application(cors_origins=("*",))
    async with connect(plain) as client, connect(shared) as other:
        ours = await client.get("/docs")
        theirs = await other.get("/docs", headers={"Origin": ORIGIN})
    for name in ("Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options"):
        assert theirs.headers[name] == ours.headers[name] != ""


async def test_a_key_is_required_from_every_origin() -> None:
    async with connect(cors_origins=(ORIGIN,), api_keys=("swordfish",)) as client:
        # a browser sends no key in a preflight
        assert (await client.options("/softmax", headers=PREFLIGHT)).status_code == 200
        reply = await client.post("/softmax", content=BODY, headers={**JSON, "Origin": ORIGIN})
    assert reply.status_code == 401
    # the page can read the status
    assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN


NO_KEY = b"POST /softmax HTTP/1.1\r\nHost: test\r\nOrigin: %b\r\n" % ORIGIN.encode()
NO_TYPE = NO_KEY + b"Authorization: Bearer key\r\n"
HEAD = NO_TYPE + b"Content-Type: application/json\r\n"

EARLY = {
    "malformed body": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nnone\r\n", 400),
    "untrusted host": (HEAD.replace(b"test", b"other") + b"\r\n", 400),
    "untrusted host of a page": (
        NO_KEY.replace(b"test", b"other").replace(b"POST /softmax", b"GET /info") + b"\r\n",
        400,
    ),
    "no host": (HEAD.replace(b"Host", b"X-Host") + b"\r\n", 400),
    "no key": (NO_KEY + b"\r\n", 401),
    "no path": (HEAD.replace(b"softmax", b"nowhere") + b"\r\n", 404),
    "slow body": (HEAD + b"Content-Length: 10\r\n\r\n", 408),
    "long body": (HEAD + b"Content-Length: 100000000\r\n\r\n", 413),
    "no media type": (NO_TYPE + b"\r\n", 415),
    "no memory": (HEAD + b"Content-Length: 1000000\r\n\r\n", 503),
}
"""Requests that the server or the application refuses, most of them before their body has arrived."""


@pytest.mark.parametrize("origins", [(ORIGIN,), ("*",)], ids=["named", "all"])
async def test_a_page_may_read_every_refusal(origins: tuple[str, ...]) -> None:
    limits = {"max_wait_seconds": 0.1, "body_timeout_seconds": 0.1}
    app = application(cors_origins=origins, trusted_hosts=["test"], api_keys=["key"], **limits)
    app.runtime.admission.try_take(app.runtime.admission.max_bytes)
    with serving(app) as port:
        for name, (sent, status) in EARLY.items():
            reply = await ask_once(port, sent)
            assert reply.status == status, name
            assert reply.headers["content-type"] == "application/problem+json", name
            assert reply.headers.get("access-control-allow-origin") == origins[0], name
            other = await ask_once(port, sent.replace(b"page", b"evil"))
            assert other.headers.get("access-control-allow-origin") == (None if ORIGIN in origins else "*"), name


async def test_a_cache_keeps_the_responses_to_two_origins_apart() -> None:
    for origins, vary in (((), None), (("*",), None), ((ORIGIN,), "Origin")):
        async with connect(cors_origins=origins) as client:
            assert (await client.get("/info")).headers.get("Vary") == vary
            assert (await client.get("/info", headers={"Origin": ORIGIN})).headers.get("Vary") == vary


async def test_reply_that_a_server_takes_whole_has_the_headers() -> None:
    app = application(cors_origins=[ORIGIN])
    start, _ = await converse(app, "/softmax", [piece(BODY)], {"origin": ORIGIN}, arrived=True)
    assert (b"access-control-allow-origin", ORIGIN.encode()) in start["headers"]
