"""Test the files of the playground: served by the service, and allowed by its content security policy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import pytest

from service.api.routes.pages import PLAYGROUND
from tests.api.test_health import Links
from tests.connections import connect

if TYPE_CHECKING:
    import httpx

LARGEST = 250_000
ROOT = Path(__file__).parents[2]
PAGE = "/playground"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
NAMES = sorted(str(path.relative_to(PLAYGROUND)) for path in PLAYGROUND.rglob("*") if path.is_file())
MODULES = [name for name in NAMES if name.endswith(".js")]
IMPORT = re.compile(r"""(?:from|new URL\()\s*"(\.[^"]+|worker\.js)\"""")


def policy(reply: httpx.Response) -> dict[str, list[str]]:
    """Return the content security policy: sources by directive."""
    directives = (directive.split() for directive in reply.headers["Content-Security-Policy"].split(";"))
    return {name: sources for name, *sources in directives}


async def test_the_page_and_all_its_files_weigh_less_than_250_kb(client: httpx.AsyncClient) -> None:
    page = await client.get(PAGE)
    assert page.headers["Content-Type"].startswith("text/html")
    sizes = [len((await client.get(f"{PAGE}/{name}")).content) for name in NAMES]
    assert len(page.content) + sum(sizes) < LARGEST


async def test_the_page_loads_only_from_the_service(client: httpx.AsyncClient) -> None:
    page = Links((await client.get(PAGE)).text)
    loaded = [path for path in page.loaded if not path.startswith("#") and path != "docs"]
    assert any(path.endswith(".js") for path in loaded)
    assert any(path.endswith(".css") for path in loaded)
    for path in loaded:
        # relative paths work below any root path
        assert not urlsplit(path).scheme
        assert not path.startswith("/")
        assert (await client.get(urljoin(PAGE, path))).status_code == 200


def test_imported_modules_are_the_modules_that_exist() -> None:
    imported = {"main.js"}
    for name in MODULES:
        text = (PLAYGROUND / name).read_text(encoding="utf-8")
        imported |= {urljoin(f"/{name}", path).removeprefix("/") for path in IMPORT.findall(text)}
    assert imported == set(MODULES)


async def test_every_file_has_its_type_and_the_policy_of_the_page(client: httpx.AsyncClient) -> None:
    page = await client.get(PAGE)
    for name in NAMES:
        reply = await client.get(f"{PAGE}/{name}")
        assert reply.headers["Content-Type"].startswith(TYPES[Path(name).suffix])
        assert policy(reply) == policy(page)
        assert reply.headers["X-Content-Type-Options"] == page.headers["X-Content-Type-Options"] == "nosniff"


async def test_playground_policy_allows_only_its_own_files(client: httpx.AsyncClient) -> None:
    sources = policy(await client.get(PAGE))
    assert sources["default-src"] == sources["base-uri"] == sources["form-action"] == ["'none'"]
    assert sources["frame-ancestors"] == ["'none'"]
    assert {source for each in sources.values() for source in each} == {"'none'", "'self'"}


async def test_playground_has_no_script_or_style_against_its_policy(client: httpx.AsyncClient) -> None:
    text = (await client.get(PAGE)).text
    assert Links(text).inline == []
    assert "<style" not in text
    assert not re.search(r"\sstyle=", text)


@pytest.mark.parametrize("name", MODULES)
def test_no_text_becomes_markup_or_code(name: str) -> None:
    text = (PLAYGROUND / name).read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text)


async def test_browser_that_asks_again_gets_304(client: httpx.AsyncClient) -> None:
    first = await client.get(f"{PAGE}/main.js")
    assert first.headers["Cache-Control"] == "no-cache"
    again = await client.get(f"{PAGE}/main.js", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert policy(again) == policy(first)


@pytest.mark.parametrize("prefix", ["", "/maths"], ids=["stripped by the proxy", "left by the proxy"])
async def test_the_page_is_served_below_a_root_path(prefix: str) -> None:
    async with connect(root_path="/maths") as client:
        page = await client.get(f"{prefix}{PAGE}")
        assert page.status_code == 200
        for path in Links(page.text).loaded:
            assert (await client.get(urljoin(f"{prefix}{PAGE}", path))).status_code == 200, path


async def test_the_page_is_not_in_the_openapi_document(client: httpx.AsyncClient) -> None:
    assert PAGE not in (await client.get("/openapi.json")).json()["paths"]


@pytest.mark.parametrize(
    "path", ["/playground/", "/playground/nowhere.js", "/playground/../app.py", "/playground/data"]
)
async def test_only_files_of_the_page_are_served(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


def test_the_readme_shows_the_page_and_its_address() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    picture = re.search(r"!\[The playground[^]]+\]\(([^)]+)\)", text)
    assert "http://localhost:8000/playground" in text
    assert picture
    assert (ROOT / picture[1]).stat().st_size < LARGEST
