"""Test problem responses: their members, and no values from the client."""

from __future__ import annotations

import gc
import gzip
import re
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from service.api.app import create_app
from service.compute.softmax import Softmax
from service.schemas.problem import Problem
from service.settings import Settings
from tests.bodies import JSON
from tests.connections import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

REFUSED = [
    (("POST", "/softmax"), b"{", 400, "malformed-body"),
    (("GET", "/nowhere"), b"", 404, "unknown-path"),
    (("DELETE", "/softmax"), b"", 405, "unknown-method"),
    (("POST", "/softmax"), b"[]", 422, "not-an-object"),
    (("POST", "/softmax"), b'{"logits":[[1],[2,3]]}', 422, "ragged-tensor"),
    (("POST", "/loss"), b'{"logits":[[1]],"targets":[7]}', 422, "invalid-label"),
]

PATHS = [
    *("/softmax", "/softmax/", "/livez", "/readyz/", "/metrics", "/info", "/", "//", "*", "/nowhere", "/%ff"),
    *("/docs", "/docs/", "/static", "/static/", "/static/docs.js", "/static/nothing.js", "/static/../../settings.py"),
    *("/static/%00", f"/static/{'a' * 300}", "/playground", "/playground/", "/playground/nothing", "/openapi.json"),
    *("/openapi", "/openapi/typed.json", "/problems", "/problems/", "/problems/nothing", "/problems/unknown-path"),
    *("/v2", "/v2/", "/v2/models", "/v2/models/nothing", "/v2/models/nothing/infer", "/v2/models/softmax/infer"),
    *("/v2/models/softmax/versions/7/infer", "/v2/models/softmax/config", "/v2/repository/index", "/v2/health/live"),
]

PREFLIGHT = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}

SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "origins": {"cors_origins": ("https://page.example",)},
    "hosts": {"trusted_hosts": ("example.org",)},
    "root path": {"root_path": "/ml"},
    "no pages": {"pages": False},
}

FOUR_MB = 4_000_000

LARGE = {
    "words for numbers": b'{"logits":[%b"swordfish"]}' % (b'"swordfish",' * (FOUR_MB // 12)),
    "nulls": b'{"logits":[%bnull]}' % (b"null," * (FOUR_MB // 5)),
    "ragged rows": b'{"logits":[%b[271828]]}' % (b"[271828,1]," * (FOUR_MB // 11)),
    "wrong labels": b'{"logits":[%b[0]],"targets":[%b1]}' % (b"[0]," * 300_000, b"9," * 300_000),
    "NaN": b'{"logits":[%b["NaN"]]}' % (b'["NaN"],' * (FOUR_MB // 8)),
    "excluded rows": b'{"logits":[%b["-Infinity"]],"targets":[%b0]}' % (b'["-Infinity"],' * 200_000, b"0," * 200_000),
    "negative probabilities": b'{"logits":[%b[0]],"targets":[%b[-271828]]}'
    % (b"[0]," * 200_000, b"[-271828]," * 200_000),
    "a long name": b'{"%b":1}' % (b"swordfish" * (FOUR_MB // 9)),
    "many names": b"{%b}" % b",".join(b'"swordfish%d":1' % n for n in range(FOUR_MB // 19)),
    "a long name of a number out of range": b'{"%b":1e400}' % (b"swordfish" * (FOUR_MB // 9)),
    "a long word": b'{"logits":[0],"dtype":"%b"}' % (b"swordfish" * (FOUR_MB // 9)),
    "a long list for a number": b'{"logits":[0],"temperature":[%b1]}' % (b"271828," * (FOUR_MB // 7)),
    "many outputs": b'{"logits":[0],"outputs":[%b""]}' % (b'"swordfish",' * (FOUR_MB // 12)),
    "no JSON": b"swordfish" * (FOUR_MB // 9),
    "a wrong end": b'{"logits":[%b271828.]}' % (b"271828," * (FOUR_MB // 7)),
    "brackets": b"[" * FOUR_MB,
    "closing brackets": b'{"logits":[[1%b' % (b"]" * FOUR_MB),
    "empty arrays": b'{"logits":[[]%b]}' % (b",[]" * (FOUR_MB // 3)),
    "objects": b'{"logits":[{}%b]}' % (b",{}" * (FOUR_MB // 3)),
    "a comma at the end": b'{"logits":[%b]}' % (b"271828," * (FOUR_MB // 7)),
    "a cut": b'{"logits":[[%b' % (b"271828," * (FOUR_MB // 7)),
}
MALFORMED = {
    *("a long name", "many names", "a long name of a number out of range"),
    *("a long word", "no JSON", "a wrong end", "closing brackets", "a comma at the end", "a cut"),
}


@pytest.mark.parametrize(("target", "body", "status", "slug"), REFUSED)
async def test_a_problem_has_every_member_of_its_schema_and_no_other(
    client: httpx.AsyncClient, target: tuple[str, str], body: bytes, status: int, slug: str
) -> None:
    reply = await client.request(*target, content=body, headers={**JSON, "X-Request-ID": "7"})
    problem = Problem.model_validate_json(reply.content, strict=True, extra="forbid")
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.status_code == problem.status == status
    assert problem.type == f"/problems/{slug}"
    assert problem.instance == reply.headers["X-Request-ID"] == "7"
    assert problem.error == problem.detail
    assert re.fullmatch(r"\S.*\.", problem.detail)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
async def test_a_refusal_by_any_layer_is_a_problem(settings: dict[str, Any], method: str) -> None:
    refused = 0
    async with connect(**settings) as client:
        for path in PATHS:
            reply = await client.request(method, path, headers=PREFLIGHT | {"X-Request-ID": "7"})
            assert reply.headers.get_list("X-Request-ID") == ["7"]
            assert reply.status_code < 500
            if reply.status_code >= 400:
                refused += 1
                assert reply.headers["Content-Type"] == "application/problem+json"
                if method != "HEAD":
                    assert Problem.model_validate_json(reply.content).status == reply.status_code
            if reply.status_code == 405:
                assert method not in reply.headers["Allow"].split(", ")
        counted = re.findall(r'http_requests_total{.*status="4..".*} (\d+)', (await client.get("/metrics")).text)
    assert refused
    assert sum(map(int, counted)) == refused


async def test_a_problem_names_the_first_20_places_in_full(client: httpx.AsyncClient) -> None:
    request = {"logits": [[[0, 0]] * 15] * 2, "targets": [[0] * 14 + [2], [2] * 15]}
    problem = (await client.post("/loss", json=request)).json()
    assert [place["loc"] for place in problem["errors"]] == [
        ["targets", 0, 14],
        *(["targets", 1, n] for n in range(15)),
    ]
    request = {"logits": [[0, 0]] * 30, "targets": [0] * 5 + [2] * 25}
    problem = (await client.post("/loss", json=request)).json()
    assert [place["loc"] for place in problem["errors"]] == [["targets", n] for n in range(5, 25)]


async def test_outputs_that_are_wrong_are_named_by_their_place(client: httpx.AsyncClient) -> None:
    problem = (await client.post("/softmax", json={"logits": [0], "outputs": ["logits", "swordfish"]})).json()
    assert problem["errors"] == [{"loc": ["outputs", 1], "msg": "is not an output"}]
    problem = (await client.post("/softmax", json={"logits": [0], "outputs": ["swordfish"] * 30})).json()
    assert [place["loc"] for place in problem["errors"]] == [["outputs", n] for n in range(20)]


@pytest.mark.parametrize(
    ("outputs", "detail"),
    [
        (["logits", "probabilites"], 'outputs[1] is not an output of softmax; did you mean "probabilities"?'),
        (
            ["swordfish"],
            "outputs[0] is not an output of softmax; outputs must be a list of one or more of probabilities, ",
        ),
        ([""], "outputs[0] is not an output of softmax; outputs must be a list of one or more of probabilities, "),
        ([7], "outputs[0] is not an output of softmax; outputs must be a list of one or more of probabilities, "),
        ([["logits"]], "outputs[0] is not an output of softmax; outputs must be a list of one or more of "),
        ([], "outputs must be a list of one or more of probabilities, "),
        ("logits", "outputs must be a list of one or more of probabilities, "),
    ],
)
async def test_an_unknown_output_gets_a_hint(client: httpx.AsyncClient, outputs: object, detail: str) -> None:
    problem = (await client.post("/softmax", json={"logits": [0], "outputs": outputs})).json()
    assert problem["detail"].startswith(detail)


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/softmx", "No such path: /softmx; did you mean /softmax? GET / lists the paths."),
        ("/softmax/", "No such path: /softmax/; did you mean /softmax? GET / lists the paths."),
        ("/playground/", "No such path: /playground/; did you mean /playground? GET / lists the paths."),
        ("/static/weather.js", "No such path: /static/weather.js. GET / lists the paths."),
        ("/weather", "No such path: /weather. GET / lists the paths."),
        ("/" + "a" * 64, "No such path. GET / lists the paths."),
        ("/%3Cscript%3E", "No such path. GET / lists the paths."),
        (
            "/problems/unknown-fields",
            "No such path: /problems/unknown-fields; did you mean /problems/unknown-field? GET /problems lists the paths.",
        ),
    ],
)
async def test_an_unknown_path_gets_a_hint(client: httpx.AsyncClient, path: str, detail: str) -> None:
    assert (await client.get(path)).json()["detail"] == detail


async def test_a_slash_behind_a_path_gets_a_hint(client: httpx.AsyncClient) -> None:
    described = (await client.get("/openapi.json")).json()["paths"]
    for template in [*described, "/docs", "/problems", "/openapi/typed.json"]:
        path = template.format(model="loss", version="1")
        problem = (await client.get(f"{path}/")).json()
        # the first path of the protocol is defined with a slash and without
        if path != "/v2":
            assert problem["detail"] == f"No such path: {path}/; did you mean {path}? GET / lists the paths."


async def test_a_slip_in_any_listed_path_gets_a_hint(client: httpx.AsyncClient) -> None:
    for link in (await client.get("/")).json().values():
        path = link.split()[1]
        problem = (await client.get(f"{path}x")).json()
        assert f"did you mean {path}?" in problem["detail"]


async def test_an_unknown_path_is_named_without_the_root_path() -> None:
    async with connect(create_app(Settings(root_path="/ml"))) as client:
        problem = (await client.get("/ml/softmx")).json()
    assert problem["detail"] == "No such path: /softmx; did you mean /softmax? GET / lists the paths."


@pytest.mark.parametrize("name", LARGE)
async def test_refusal_of_4_mb_is_short_and_repeats_nothing(client: httpx.AsyncClient, name: str) -> None:
    body = LARGE[name]
    reply = await client.post("/loss" if b"targets" in body else "/softmax", content=body, headers=JSON)
    problem = Problem.model_validate_json(reply.content)
    assert reply.status_code == problem.status == (400 if name in MALFORMED else 422)
    assert len(reply.content) < 4096
    assert len(problem.errors) <= 20
    assert "swordfish" not in reply.text.lower()
    # the request id may contain any digits
    assert "271828" not in reply.text.replace(problem.instance, "")


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", LARGE)
async def test_a_refused_body_leaves_memory_at_once(
    client: httpx.AsyncClient, name: str, compress: Callable[[bytes], bytes]
) -> None:
    path = "/loss" if b"targets" in LARGE[name] else "/softmax"
    headers = JSON | ({"Content-Encoding": "gzip"} if compress is gzip.compress else {})
    content = compress(LARGE[name])
    gc.disable()
    # the collection below looks at the objects of this request only
    gc.freeze()
    try:
        reply = await client.post(path, content=content, headers=headers)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        held = [each for kept in gc.garbage for each in gc.get_referents(kept)]
        longest = max((len(each) for each in held if isinstance(each, (bytes, bytearray, str, list))), default=0)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.unfreeze()
        gc.enable()
    assert reply.status_code == (400 if name in MALFORMED else 422)
    assert longest < 100_000


async def test_a_405_names_the_methods_that_are_answered(client: httpx.AsyncClient) -> None:
    assert (await client.get("/softmax")).headers["Allow"] == "POST"
    for path in ("/livez", "/static/docs.js", "/docs", "/v2", "/openapi/typed.json"):
        assert (await client.post(path)).headers["Allow"] == "GET, HEAD"
        assert (await client.head(path)).status_code == 200


def crash(*_: object) -> NoReturn:
    """Raise an error that the service does not expect."""
    raise KeyError("swordfish")


async def test_a_crash_in_an_operation_is_answered_without_details(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Softmax, "probabilities", property(crash))
    async with connect() as client:
        reply = await client.post("/softmax", json={"logits": [0]})
    assert_an_apology(reply)


async def test_a_crash_elsewhere_is_answered_without_details(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.routes.pages.typed_document", crash)
    async with connect() as client:
        reply = await client.get("/openapi/typed.json")
    assert_an_apology(reply)


def assert_an_apology(reply: httpx.Response) -> None:
    """Assert that the response is a problem with a request id and no details of the failure."""
    problem = Problem.model_validate_json(reply.content, strict=True, extra="forbid")
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.status_code == problem.status == 500
    assert problem.type == "/problems/internal-error"
    assert problem.instance == reply.headers["X-Request-ID"]
    assert problem.error == problem.detail
    assert problem.errors == []
    assert not re.search("swordfish|KeyError|Traceback|service/", reply.text)
