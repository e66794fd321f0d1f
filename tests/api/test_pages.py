"""Test the pages, and the setting that turns them off."""

from __future__ import annotations

import asyncio
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from tests.connections import connect
from tests.processes import PATIENCE

if TYPE_CHECKING:
    import httpx

PAGES = ["/docs", "/playground", "/static/docs.js", "/playground/code.js"]


@pytest.mark.parametrize(("pages", "status"), [(True, 200), (False, 404)])
@pytest.mark.parametrize("path", PAGES)
async def test_pages_are_served_if_they_are_on(path: str, *, pages: bool, status: int) -> None:
    async with connect(pages=pages) as client:
        assert (await client.get(path)).status_code == status


async def test_docs_and_playground_link_to_each_other(client: httpx.AsyncClient) -> None:
    for path, other in (("/docs", "playground"), ("/playground", "docs")):
        assert f'href="{other}"' in (await client.get(path)).text


@pytest.mark.parametrize("path", ["/openapi.json", "/openapi/typed.json", "/problems", "/info"])
async def test_documents_are_served_without_pages(path: str) -> None:
    async with connect(pages=False) as client:
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/openapi.json", "/openapi/typed.json", *PAGES])
async def test_a_page_that_the_client_has_is_not_sent_again(path: str) -> None:
    async with connect() as client:
        first = await client.get(path)
        etag = first.headers["ETag"]
        for sent in (etag, f'"other", W/{etag}', "*"):
            again = await client.get(path, headers={"If-None-Match": sent})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["ETag"] == etag
        changed = await client.get(path, headers={"If-None-Match": '"other"'})
        assert (changed.status_code, changed.content) == (200, first.content)
        assert (await client.head(path)).headers["ETag"] == etag


async def test_an_etag_of_a_document_depends_on_its_content() -> None:
    etags = set()
    for root_path in ("", "/api"):
        async with connect(root_path=root_path) as client:
            etags |= {(await client.get(path)).headers["ETag"] for path in ("/openapi.json", "/openapi/typed.json")}
    assert len(etags) == 4


async def test_root_lists_only_what_is_served() -> None:
    async with connect(pages=False) as client:
        reply = await client.get("/", headers={"Accept": "text/html"})
        links = reply.json()
        assert "docs" not in links
        for link in links.values():
            method, path = link.split()
            status = (await client.request(method, path)).status_code
            assert status == (415 if method == "POST" else 200)


@pytest.mark.parametrize(("settings", "listed"), [({}, True), ({"metrics_port": 9000}, False)])
async def test_root_lists_metrics_where_they_are_served(settings: dict[str, Any], *, listed: bool) -> None:
    async with connect(**settings) as client:
        assert ("metrics" in (await client.get("/")).json()) is listed
        assert ((await client.get("/metrics")).status_code == 200) is listed


@pytest.mark.parametrize("sent", ["bytes=0-1", "bytes=0-1,3-4", "bytes=999999999-", "bytes=-", "lines=1-2"])
@pytest.mark.parametrize("path", ["/openapi.json", *PAGES])
async def test_a_page_is_sent_whole_whatever_the_range(client: httpx.AsyncClient, path: str, sent: str) -> None:
    whole = await client.get(path)
    reply = await client.get(path, headers={"Range": sent})
    assert (reply.status_code, reply.content) == (200, whole.content)
    assert reply.headers.get("Accept-Ranges", "none") == "none"


async def test_others_are_answered_while_a_document_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = Event()

    def build(_: object) -> dict[str, bool]:
        return {"built last": answered.wait(PATIENCE)}

    monkeypatch.setattr("service.api.routes.pages.typed_document", build)
    async with connect() as client:
        document = asyncio.create_task(client.get("/openapi/typed.json"))
        await asyncio.sleep(0)
        await client.get("/livez")
        answered.set()
        assert (await document).json() == {"built last": True}


async def test_a_deep_path_of_a_file_is_not_found_at_once() -> None:
    async with connect() as client:
        assert (await client.get("/static/" + "a/" * 5000)).status_code == 404
