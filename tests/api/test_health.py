"""Test health, readiness, the published limits, the root and the documentation page."""

from __future__ import annotations

import asyncio
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import pytest

from service import __version__
from service.api.app import create_app
from service.formats.codecs import active_codecs
from service.operations import OPERATIONS
from service.settings import Settings
from tests.connections import connect

if TYPE_CHECKING:
    import httpx


class Links(HTMLParser):
    """Paths that a page loads, and its inline scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self._script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record the paths that an element loads."""
        self.loaded += [value for name, value in attrs if name in ("src", "href") and value is not None]
        self.inline += [value for name, value in attrs if name.startswith("on") and value is not None]
        self._script = tag == "script"

    def handle_endtag(self, _: str) -> None:
        """End a script."""
        self._script = False

    def handle_data(self, data: str) -> None:
        """Record an inline script."""
        if self._script and data.strip():
            self.inline.append(data)


async def test_the_process_is_alive(client: httpx.AsyncClient) -> None:
    reply = await client.get("/livez")
    assert (reply.status_code, reply.json()) == (200, {"live": True})


async def test_the_process_is_ready(client: httpx.AsyncClient) -> None:
    reply = await client.get("/readyz")
    assert (reply.status_code, reply.json()) == (200, {"ready": True})


def paths_without_files() -> list[str]:
    """Return every path of the OpenAPI document that answers GET."""
    described = create_app(Settings()).openapi()["paths"]
    return [path.format(model="softmax", version="1") for path, methods in described.items() if "get" in methods]


@pytest.mark.parametrize("path", paths_without_files())
async def test_no_path_waits_for_a_thread(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    # threads compete with those of operations: a probe under load took 10 times as long
    monkeypatch.setattr("anyio.to_thread.run_sync", None)
    assert (await client.get(path)).status_code == 200


async def test_the_version_and_the_limits_in_force_are_published() -> None:
    async with connect(max_body_bytes=1234, max_elements=56) as client:
        info = (await client.get("/info")).json()
    assert info["version"] == __version__
    assert info["limits"]["max_body_bytes"] == 1234
    assert info["limits"]["max_elements"] == 56


async def test_info_names_the_json_codecs(client: httpx.AsyncClient) -> None:
    published = (await client.get("/info")).json()["json_codecs"]
    assert published == active_codecs()
    assert set(published) == {"reader", "writer"}


async def test_every_operation_is_published_with_its_names(client: httpx.AsyncClient) -> None:
    published = (await client.get("/info")).json()["operations"]
    for operation, each in zip(OPERATIONS, published, strict=True):
        assert each["name"] == operation.name
        assert each["inputs"] + each["parameters"] == list(operation.names)
        assert each["outputs"] == [output.name for output in operation.outputs]
        assert each["defaults"] == list(operation.default_outputs)


async def test_the_root_names_existing_paths(client: httpx.AsyncClient) -> None:
    links = (await client.get("/")).json()
    assert {operation.name for operation in OPERATIONS} <= set(links)
    for link in links.values():
        method, path = link.split()
        assert (await client.request(method, path)).status_code == (415 if method == "POST" else 200)


async def test_the_root_sends_a_browser_to_the_documentation(client: httpx.AsyncClient) -> None:
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    reply = await client.get("/", headers={"Accept": accept})
    assert reply.is_redirect
    assert (await client.get(urljoin("/", reply.headers["Location"]))).headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    "accept", ["*/*", "application/json", "application/json, */*;q=0.5", "application/json, text/html;q=0"]
)
async def test_the_root_answers_a_program_in_json(client: httpx.AsyncClient, accept: str) -> None:
    reply = await client.get("/", headers={"Accept": accept})
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "application/json")


async def test_the_documentation_loads_only_from_the_service(client: httpx.AsyncClient) -> None:
    page = Links((await client.get("/docs")).text)
    assert any(path.endswith(".js") for path in page.loaded)
    assert any(path.endswith(".css") for path in page.loaded)
    for path in page.loaded:
        # relative paths work below any root path
        assert not urlsplit(path).scheme
        assert not path.startswith("/")
        reply = await client.get(urljoin("/docs", path))
        assert reply.status_code == 200
        assert reply.content


async def test_docs_page_loads_the_document_of_the_service(client: httpx.AsyncClient) -> None:
    script = (await client.get("/static/docs.js")).text
    assert 'url: "openapi.json"' in script
    assert "://" not in script
    assert (await client.get("/openapi.json")).json()["openapi"].startswith("3.1")


async def test_the_policy_of_the_documentation_allows_only_itself(client: httpx.AsyncClient) -> None:
    reply = await client.get("/docs")
    policy = {
        name: sources
        for name, *sources in (directive.split() for directive in reply.headers["Content-Security-Policy"].split(";"))
    }
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == ["'none'"]
    assert policy["frame-ancestors"] == ["'none'"]
    assert policy["script-src"] == policy["connect-src"] == ["'self'"]
    assert {source for sources in policy.values() for source in sources} <= {
        "'none'",
        "'self'",
        "'unsafe-inline'",
        "data:",
    }
    assert [name for name, sources in policy.items() if "'unsafe-inline'" in sources] == ["style-src"]
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_docs_page_has_no_script_against_its_policy(client: httpx.AsyncClient) -> None:
    assert Links((await client.get("/docs")).text).inline == []


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/swagger-ui",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2f%2e%2e%2fpyproject.toml",
        "/static/..%5capp.py",
        "/static//etc/hostname",
        "/static/%2fetc/hostname",
        "/static/docs.html%00.js",
        "/static/nowhere",
        "/static/" + "a" * 5000,
    ],
)
async def test_only_files_of_the_documentation_are_served(server: str, path: str) -> None:
    host, port = urlsplit(server).hostname, urlsplit(server).port
    reader, writer = await asyncio.open_connection(host, port)
    # an HTTP client would normalize the path
    writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
    status = (await reader.readline()).split()[1]
    writer.close()
    await writer.wait_closed()
    assert status == b"404"
