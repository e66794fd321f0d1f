"""Test the pages, and the setting that turns them off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.connections import connect

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


async def test_root_lists_only_what_is_served() -> None:
    async with connect(pages=False) as client:
        reply = await client.get("/", headers={"Accept": "text/html"})
        links = reply.json()
        assert "docs" not in links
        for link in links.values():
            method, path = link.split()
            status = (await client.request(method, path)).status_code
            assert status == (415 if method == "POST" else 200)


async def test_a_deep_path_of_a_file_is_not_found_at_once() -> None:
    async with connect() as client:
        assert (await client.get("/static/" + "a/" * 5000)).status_code == 404
