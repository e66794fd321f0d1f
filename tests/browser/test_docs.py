"""Swagger UI in a browser that reaches nobody but the service: everything it shows can be tried."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.contract.document import COMMITTED, same
from tests.integration.serving import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Locator, Page

DOCUMENT: dict[str, Any] = json.loads(COMMITTED.read_text(encoding="utf-8"))

PATHS = ["/softmax", "/loss", "/gradient", "/v2/models/{model}/infer"]
PROBES = ["/livez", "/readyz", "/info", "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models"]
WINDOWS = [(1280, "light"), (1280, "dark"), (390, "light")]


@pytest.fixture(scope="module")
def below() -> Iterator[str]:
    """The address of a server below a root path."""
    with running("--root-path", "/api") as (address, _):
        yield f"{address}/api"


def unfold(page: Page, path: str, method: str = "post") -> Locator:
    """The part of the page that tries an operation, opened with a click."""
    described = DOCUMENT["paths"][path][method]
    block = page.locator(f"#operations-{described['tags'][0]}-{described['operationId']}")
    block.locator(".opblock-summary-control").click()
    block.locator(".execute").wait_for()
    return block


def execute(page: Page, block: Locator) -> tuple[str, Any]:
    """The status and the body that the page shows once the button was pressed."""
    if block.locator(".btn-clear").count():  # what an earlier request left
        block.locator(".btn-clear").click()
        expect(block.locator(".live-responses-table")).to_have_count(0)
    with page.expect_response(lambda reply: "/docs" not in reply.url) as received:
        block.locator(".execute").click()
    received.value.finished()
    live = block.locator(".live-responses-table .response")
    live.wait_for()
    # to the status, the page adds a word where the document does not know it
    status = live.locator(".response-col_status").inner_text().split()[0]
    return status, json.loads(live.locator(".highlight-code code").first.inner_text())


def check_examples(page: Page, path: str) -> None:
    """Runs every named example, and compares what the page shows with the reply in the document."""
    replies = DOCUMENT["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["examples"]
    block = unfold(page, path)
    options = block.locator(".opblock-section-request-body .examples-select-element")
    shown = options.locator("option").evaluate_all("each => each.map(option => option.value)")
    assert shown == list(replies)
    for name in shown:
        options.select_option(name)
        if "{model}" in path:
            block.locator("[data-param-name=model] select").select_option(name)
        status, body = execute(page, block)
        assert status == "200", name
        assert same(floats(body), floats(replies[name]["value"])), name


def floats(value: Any) -> Any:
    """A JSON value with every number a float: JavaScript writes 0.0 as 0."""
    if isinstance(value, list):
        return [floats(each) for each in value]
    if isinstance(value, dict):
        return {name: floats(each) for name, each in value.items()}
    return float(value) if isinstance(value, int) else value


@pytest.mark.parametrize("path", PATHS)
def test_every_named_example_shows_its_numbers(page: Page, server: str, path: str) -> None:
    page.goto(f"{server}/docs")
    check_examples(page, path)


def test_below_a_root_path_the_page_does_the_same(page: Page, below: str) -> None:
    page.goto(f"{below}/docs")
    check_examples(page, "/gradient")


def test_what_takes_no_body_is_asked_with_one_click(page: Page, server: str) -> None:
    page.goto(f"{server}/docs")
    for path in PROBES:
        block = unfold(page, path, "get")
        status, body = execute(page, block)
        assert status == "200", path
        assert body, path


def test_a_body_that_is_refused_shows_its_problem(page: Page, server: str, screenshots: Path) -> None:
    page.goto(f"{server}/docs#/operations/softmax")
    block = page.locator(".opblock.is-open")
    block.locator("textarea").fill('{"logits": [[1, 2], [3]]}')
    status, problem = execute(page, block)
    assert status == "422"
    assert problem["type"] == "/problems/ragged-tensor"
    assert "rectangle" in problem["detail"]
    block.locator(".live-responses-table").screenshot(path=screenshots / "docs-problem.png")


@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
def test_every_window_is_usable(page: Page, server: str, screenshots: Path, width: int, scheme: Any) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{server}/docs")
    page.locator(".opblock").first.wait_for()
    page.screenshot(path=screenshots / f"docs-{width}-{scheme}.png")
    block = unfold(page, "/gradient")
    assert execute(page, block)[0] == "200"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert ground == {"dark": "rgb(28, 32, 34)", "light": "rgba(0, 0, 0, 0)"}[scheme]
    for label in ("Execute", "Clear"):
        box = block.get_by_role("button", name=label, exact=True).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    block.locator(".examples-select").first.scroll_into_view_if_needed()
    page.screenshot(path=screenshots / f"docs-{width}-{scheme}-request.png")
    block.locator(".live-responses-table").scroll_into_view_if_needed()
    page.screenshot(path=screenshots / f"docs-{width}-{scheme}-reply.png")


def test_the_dark_page_follows_the_system(page: Page, server: str) -> None:
    page.goto(f"{server}/docs")
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html.dark-mode")).to_have_count(1)
    page.emulate_media(color_scheme="light")
    expect(page.locator("html.dark-mode")).to_have_count(0)


def test_the_page_is_served_with_a_policy_that_keeps_it_to_this_server(page: Page, below: str) -> None:
    reply = page.goto(f"{below}/docs")
    assert reply is not None
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    page.locator(".opblock").first.wait_for()
    asked = page.evaluate("performance.getEntriesByType('resource').map(each => each.name)")
    assert f"{below}/openapi.json" in asked
    assert all(each.startswith((f"{below}/", "data:")) for each in asked)
    icon = page.locator("link[rel=icon]").get_attribute("href")
    assert page.request.get(f"{below}/{icon}").ok
