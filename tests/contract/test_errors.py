"""Test that every error has a problem type, a line in the tree, and a request that causes it."""

from __future__ import annotations

import asyncio
import inspect
import re
import socket
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from service import errors
from service.api.problems import INTERNAL, MEDIA_TYPE, PROBLEM_TYPES
from service.errors import ServiceError
from service.settings import Settings
from tests.bodies import JSON
from tests.connections import application, connect
from tests.processes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from service.api.app import Service

GROUPS = {errors.InvalidTensor, errors.TooLarge}
"""Abstract errors, which are never raised."""


def subclasses(parent: type[ServiceError]) -> Iterator[type[ServiceError]]:
    """Return every subclass of a class, at any depth, in the order of definition."""
    for child in parent.__subclasses__():
        yield child
        yield from subclasses(child)


REFUSALS = list(subclasses(ServiceError))


def post(path: str, body: bytes = b"{}", **headers: str) -> httpx.Request:
    """Return a request with a body, JSON unless the headers say otherwise."""
    written = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Request(
        "POST", f"http://test{path}", content=body, headers={"Content-Type": "application/json", **written}
    )


def ask(path: str, **fields: Any) -> httpx.Request:
    """Return a request with these fields."""
    return httpx.Request("POST", f"http://test/{path}", json=fields)


class Case(NamedTuple):
    """A request and the application that refuses it: its settings and its preparation."""

    request: httpx.Request
    settings: dict[str, Any] = {}  # noqa: RUF012 - never written to
    before: Callable[[Service], object] = bool


class Never(httpx.AsyncByteStream):
    """A body that never arrives."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Wait forever."""
        await asyncio.Event().wait()
        yield b""


NARROW = {"max_body_bytes": 100, "max_bytes_in_flight": 100, "inline_body_bytes": 0}
HASTY = {"body_timeout_seconds": 0.01}

REQUESTS: dict[type[ServiceError], httpx.Request] = {
    errors.MalformedBody: post("/softmax", b"{"),
    errors.NotAnObject: post("/softmax", b"[]"),
    errors.UnknownField: ask("softmax", scores=[0]),
    errors.DuplicateField: post("/softmax", b'{"logits":[0],"logits":[0]}'),
    errors.MissingField: ask("softmax"),
    errors.ConflictingFields: ask("softmax", logits=[0], inputs=[0]),
    errors.InvalidParameter: ask("softmax", logits=[0], temperature=0),
    errors.InvalidOutputs: ask("softmax", logits=[0], outputs=["loss"]),
    errors.RaggedTensor: ask("softmax", logits=[[0], [0, 0]]),
    errors.NotANumber: ask("softmax", logits=[None]),
    errors.NumberOutOfRange: ask("softmax", logits=[1e39], dtype="float32"),
    errors.InvalidDatatype: ask(
        "v2/models/softmax/infer", inputs=[{"name": "logits", "shape": [1], "datatype": "BOOL", "data": [True]}]
    ),
    errors.ShapeMismatch: ask("loss", logits=[[0]], targets=[0, 0]),
    errors.EmptyAxis: ask("softmax", logits=[]),
    errors.InvalidValue: ask("loss", logits=[[0]], targets=[0], sample_weights=[-1]),
    errors.NonFiniteLogit: ask("softmax", logits=["Infinity"]),
    errors.ExcludedRow: ask("loss", logits=["-Infinity"], targets=0),
    errors.InvalidLabel: ask("loss", logits=[0], targets=1),
    errors.BodyTooLarge: post("/softmax", Content_Length=str(Settings().max_body_bytes + 1)),
    errors.TensorTooLarge: ask("softmax", logits=[0] * 3000, outputs=["jacobian"]),
    errors.UnknownPath: httpx.Request("GET", "http://test/nowhere"),
    errors.UnknownMethod: httpx.Request("GET", "http://test/softmax"),
    errors.UnreadableMediaType: post("/softmax", Content_Type="text/plain"),
    errors.UnreadableEncoding: post("/softmax", Content_Encoding="br"),
    errors.UnwritableMediaType: post("/softmax", Accept="text/html"),
}
"""Cases that every application refuses."""

CASES = {
    **{refusal: Case(request) for refusal, request in REQUESTS.items()},
    errors.TooMuchWork: Case(ask("softmax", logits=[0] * 20), NARROW),
    errors.Overloaded: Case(
        ask("softmax", logits=[0]), NARROW | {"max_wait_seconds": 0.05}, lambda app: app.runtime.admission.try_take(100)
    ),
    errors.Draining: Case(
        ask("softmax", logits=[0]), before=lambda app: setattr(app.runtime.lifecycle, "refusing", True)
    ),
    errors.SlowBody: Case(
        httpx.Request("POST", "http://test/softmax", headers={**JSON, "Host": "test"}, stream=Never()), HASTY
    ),
    errors.Unauthenticated: Case(ask("softmax", logits=[0]), {"api_keys": ("swordfish",)}),
    errors.InvalidHost: Case(httpx.Request("GET", "http://test/info", headers={"Host": "a, b"})),
    errors.UnknownModel: Case(httpx.Request("GET", "http://test/v2/models/swordfish")),
    errors.RefusedPreflight: Case(
        httpx.Request(
            "OPTIONS", "http://test/softmax", headers={"Origin": "null", "Access-Control-Request-Method": "POST"}
        ),
        {"cors_origins": ("https://page.example",)},
    ),
    errors.UntrustedHost: Case(httpx.Request("GET", "http://test/info"), {"trusted_hosts": ("example.org",)}),
}
"""Cases that an application refuses."""

NO_HTTP = b"HELO service\r\n\r\n"
"""Errors that the server refuses before it calls an application."""


def test_every_refusal_has_a_kind_of_problem() -> None:
    assert set(PROBLEM_TYPES) == set(REFUSALS) - GROUPS


def test_no_two_kinds_share_a_slug_or_a_title() -> None:
    kinds = [INTERNAL, *PROBLEM_TYPES.values()]
    assert len({kind.slug for kind in kinds}) == len(kinds)
    assert len({kind.title for kind in kinds}) == len(kinds)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.slug) for kind in kinds)


def test_every_refusal_has_a_request_that_causes_it() -> None:
    assert {*CASES, errors.MalformedHeader} == set(PROBLEM_TYPES)


def assert_problem(reply: httpx.Response, refusal: type[ServiceError]) -> None:
    """Assert that the response is the problem of an error."""
    problem = reply.json()
    kind = PROBLEM_TYPES[refusal]
    assert reply.headers["Content-Type"] == MEDIA_TYPE
    assert reply.status_code == problem["status"] == kind.status
    assert (problem["type"], problem["title"]) == (f"/problems/{kind.slug}", kind.title)
    assert problem["instance"] == reply.headers["X-Request-ID"]
    assert bool(problem["errors"]) == (kind.status in range(400, 500))


@pytest.mark.parametrize("refusal", CASES, ids=lambda refusal: refusal.__name__)
async def test_the_request_is_answered_with_its_problem(refusal: type[ServiceError]) -> None:
    case = CASES[refusal]
    app = application(**case.settings)
    case.before(app)
    async with connect(app) as client:
        assert_problem(await client.send(case.request), refusal)


TARGET = "Begin the request target with a slash, percent-encode it, and leave a fragment out."


@pytest.mark.parametrize(
    ("head", "mend"),
    [
        (NO_HTTP, "Send HTTP/1.1, "),
        (b"post /softmax HTTP/1.1\r\nHost: a\r\n\r\n", "Send a method that HTTP defines, in capital letters."),
        (b"GET livez HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),
        (b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),
        ("GET /é HTTP/1.1\r\nHost: a\r\n\r\n".encode(), TARGET),
        (b"GET / a HTTP/1.1\r\nHost: a\r\n\r\n", "Send HTTP/1.1, "),
    ],
)
def test_a_malformed_head_is_answered_with_its_problem(server: str, head: bytes, mend: str) -> None:
    with socket.create_connection((urlsplit(server).hostname, urlsplit(server).port), timeout=PATIENCE) as connection:
        connection.sendall(head)
        answer = HTTPResponse(connection)
        answer.begin()
        reply = httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())
    assert_problem(reply, errors.MalformedHeader)
    assert reply.json()["detail"].startswith(mend)


def test_tree_in_the_module_docstring_matches_the_classes() -> None:
    branches = re.findall(r"^( *)[*-] (\w+)", inspect.getdoc(errors) or "", re.MULTILINE)
    drawn = [(len(indent) // 2, name) for indent, name in branches]
    expected = [(refusal.__mro__.index(ServiceError), refusal.__name__) for refusal in REFUSALS]
    assert drawn == [(0, "ServiceError"), *expected]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.__name__)
def test_every_error_class_has_a_docstring(refusal: type[ServiceError]) -> None:
    assert getattr(errors, refusal.__name__) is refusal
    assert refusal.__doc__
