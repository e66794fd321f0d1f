"""Test GET /problems: every problem type has an HTML page and a JSON description."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.api.problems import INTERNAL, PROBLEM_TYPES

if TYPE_CHECKING:
    import httpx

    from service.api.problems import ProblemType

TYPES = [*PROBLEM_TYPES.values(), INTERNAL]

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.slug)
async def test_every_type_is_described(client: httpx.AsyncClient, kind: ProblemType) -> None:
    described = (await client.get(f"/problems/{kind.slug}")).json()
    assert described == {
        "type": f"/problems/{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "v2_status": 400 if kind.status == 422 else kind.status,
        "description": kind.description,
    }


async def test_the_list_has_every_type(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/problems")).json()
    assert list(listed) == [kind.slug for kind in TYPES]
    assert listed["overloaded"]["status"] == 503


@pytest.mark.parametrize("path", ["/problems", "/problems/ragged-tensor"])
async def test_a_browser_gets_a_page(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(path, headers={"Accept": BROWSER})
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert reply.headers["Vary"] == "Accept"
    assert "ragged-tensor" in reply.text
    assert "The rows of a tensor differ in length or depth." in reply.text


@pytest.mark.parametrize(
    "accept", ["*/*", "application/json", "text/html;q=0, */*", "application/json, text/html;q=0.1"]
)
async def test_another_client_gets_json(client: httpx.AsyncClient, accept: str) -> None:
    for path in ("/problems", "/problems/draining"):
        reply = await client.get(path, headers={"Accept": accept})
        assert reply.headers["Content-Type"] == "application/json"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Vary"] == "Accept"


async def test_an_unknown_type_is_not_found(client: httpx.AsyncClient) -> None:
    reply = await client.get("/problems/swordfish")
    assert (reply.status_code, reply.json()["type"]) == (404, "/problems/unknown-path")


async def test_the_type_of_a_problem_can_be_followed(client: httpx.AsyncClient) -> None:
    problem = (await client.post("/softmax", json=[])).json()
    assert (await client.get(problem["type"])).json()["title"] == problem["title"]
