"""Test API keys: accepted keys, open paths, and the refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api import security
from service.api.security import Keys
from service.errors import Unauthenticated
from tests.bodies import BODY, JSON
from tests.connections import Upload, application, connect

if TYPE_CHECKING:
    from pathlib import Path

OPERATIONS = ["/softmax", "/loss", "/gradient", "/v2/models/softmax/infer", "/v2/models/loss/versions/1/infer"]
OPEN = [
    "/livez",
    "/readyz",
    "/metrics",
    "/docs",
    "/info",
    "/openapi.json",
    "/",
    "/v2",
    "/v2/health/ready",
    "/v2/models",
]

TOKENS = st.text(min_size=1).filter(lambda text: text.strip(" ") == text)


def header(key: str) -> str:
    """Return a header value as servers pass it on: one character for each byte."""
    return f"Bearer {key.encode().decode('latin-1')}"


async def ask(authorization: bytes | None, *known: str, path: str = "/softmax") -> int:
    """Return the status of an operation with this Authorization header."""
    headers = {b"Content-Type": b"application/json"}
    if authorization is not None:
        headers[b"Authorization"] = authorization
    async with connect(api_keys=known) as client:
        return (await client.post(path, content=BODY, headers=headers)).status_code


@pytest.mark.parametrize("path", OPERATIONS)
async def test_an_operation_asks_for_a_key(path: str) -> None:
    assert await ask(None, "swordfish", path=path) == 401
    assert await ask(b"Bearer swordfish", "swordfish", path=path) != 401


@pytest.mark.parametrize("path", OPEN)
async def test_what_is_no_operation_is_open_to_all(path: str) -> None:
    async with connect(api_keys=("swordfish",)) as client:
        assert (await client.get(path)).status_code == 200


async def test_without_keys_everything_is_open_with_any_header() -> None:
    assert await ask(None) == await ask(b"Bearer swordfish") == await ask(b"Basic eA==") == 200


@pytest.mark.parametrize("key", [b"old", b"new"])
async def test_any_one_of_several_keys_will_do(key: bytes) -> None:
    assert await ask(b"Bearer " + key, "old", "new") == 200


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER"])
async def test_the_case_of_the_scheme_does_not_matter(scheme: bytes) -> None:
    assert await ask(scheme + b" swordfish", "swordfish") == 200


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"swordfish",
        b"Bearer Swordfish",
        b"Bearer swordfis",
        b"Bearer swordfishes",
        b"Bearer swordfish, swordfish",
        b"Basic swordfish",
        b"Bearer\tswordfish",
        b"Bearer \xff\xfe",
    ],
)
async def test_anything_else_is_refused(wrong: bytes) -> None:
    assert await ask(wrong, "swordfish") == 401


@given(TOKENS, TOKENS)
def test_a_key_is_taken_if_it_is_the_one_that_is_known(known: str, shown: str) -> None:
    Keys([known]).check(header(known))
    if shown != known:
        with pytest.raises(Unauthenticated):
            Keys([known]).check(header(shown))


def test_a_key_may_end_in_any_character() -> None:
    # in UTF-8 the last byte of each is white space in Latin-1
    for key in ("voilà", "Å"):
        Keys([key]).check(header(key))


@pytest.mark.parametrize(
    ("sent", "challenge"),
    [
        ({}, 'Bearer realm="softmax-service"'),
        ({"Authorization": "Basic perch"}, 'Bearer realm="softmax-service"'),
        ({"Authorization": "Bearer perch"}, 'Bearer realm="softmax-service", error="invalid_token"'),
    ],
    ids=["no key", "another scheme", "a wrong key"],
)
@pytest.mark.parametrize("path", OPERATIONS)
async def test_a_client_without_a_key_learns_the_header(sent: dict[str, str], challenge: str, path: str) -> None:
    async with connect(api_keys=("swordfish",)) as client:
        reply = await client.post(path, content=BODY, headers={**JSON, **sent})
    assert reply.headers["WWW-Authenticate"] == challenge
    assert reply.json()["type"] == "/problems/unauthenticated"
    assert "perch" not in reply.text
    assert "swordfish" not in reply.text


async def test_a_body_without_a_key_is_not_read() -> None:
    upload = Upload(b" ", count=5)
    async with connect(api_keys=("swordfish",)) as client:
        assert (await client.post("/softmax", content=upload, headers=JSON)).status_code == 401
    assert upload.read == 0


def test_all_keys_are_compared_in_full_whichever_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append((len(left), len(right)))
        return left == right

    monkeypatch.setattr(security, "compare_digest", compare)
    Keys(["a", "bb" * 100, "c"]).check("Bearer a")
    # comparing digests hides length and first difference
    assert compared == [(32, 32)] * 3


async def test_keys_come_from_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("first\n\n  second  \n", encoding="utf-8")
    async with connect(api_keys=("third",), api_keys_file=file) as client:
        for key, status in [("first", 200), ("second", 200), ("third", 200), ("first\n\n  second", 401)]:
            headers = {b"Content-Type": b"application/json", b"Authorization": b"Bearer " + key.encode()}
            assert (await client.post("/softmax", content=BODY, headers=headers)).status_code == status


def test_document_describes_the_key(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("swordfish", encoding="utf-8")
    cases: list[tuple[dict[str, Any], Any]] = [
        ({}, [{}, {"bearer": []}]),
        ({"api_keys": ("swordfish",)}, [{"bearer": []}]),
        ({"api_keys_file": file}, [{"bearer": []}]),
    ]
    for keys, expected in cases:
        document = application(**keys).openapi()
        scheme = document["components"]["securitySchemes"]["bearer"]
        assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
        for path, methods in document["paths"].items():
            for method, described in methods.items():
                needs_key = method == "post" and path != "/v2/repository/index"
                assert described.get("security") == (expected if needs_key else None), path
