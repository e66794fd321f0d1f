"""Swagger UI in a browser that reaches only the service: every example can be run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.playground import type_into
from tests.contract.document import COMMITTED, same
from tests.processes import running

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
    """Yield the address of a server below a root path."""
    with running("--root-path", "/api") as (address, _):
        yield f"{address}/api"


def unfold(page: Page, path: str, method: str = "post") -> Locator:
    """Open the part of the page that runs an operation, and return it."""
    described = DOCUMENT["paths"][path][method]
    block = page.locator(f"#operations-{described['tags'][0]}-{described['operationId']}")
    block.locator(".opblock-summary-control").click()
    block.locator(".execute").wait_for()
    return block


def execute(page: Page, block: Locator) -> tuple[str, Any]:
    """Press the button, and return the status and the body that the page shows."""
    if block.locator(".btn-clear").count():  # an earlier request left its reply
        block.locator(".btn-clear").click()
        expect(block.locator(".live-responses-table")).to_have_count(0)
    with page.expect_response(lambda reply: "/docs" not in reply.url) as received:
        block.locator(".execute").click()
    received.value.finished()
    live = block.locator(".live-responses-table .response")
    live.wait_for()
    # The page adds a word to a status that the document does not list.
    status = live.locator(".response-col_status").inner_text().split()[0]
    return status, json.loads(live.locator(".highlight-code code").first.inner_text())


def check_examples(page: Page, path: str) -> None:
    """Run every named example, and compare the reply on the page with the one in the document."""
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
    """Return a JSON value with every number as a float, because JavaScript writes 0.0 as 0."""
    if isinstance(value, list):
        return [floats(each) for each in value]
    if isinstance(value, dict):
        return {name: floats(each) for name, each in value.items()}
    return float(value) if isinstance(value, int) else value


@pytest.mark.parametrize("path", PATHS)
def test_a_named_example_shows_its_numbers(page: Page, server: str, path: str) -> None:
    page.goto(f"{server}/docs")
    check_examples(page, path)


def test_examples_run_below_a_root_path(page: Page, below: str) -> None:
    page.goto(f"{below}/docs")
    check_examples(page, "/gradient")


def test_a_probe_is_asked_with_one_click(page: Page, server: str) -> None:
    page.goto(f"{server}/docs")
    for path in PROBES:
        block = unfold(page, path, "get")
        status, body = execute(page, block)
        assert status == "200", path
        assert body, path


def test_a_refused_body_shows_its_problem(page: Page, server: str, screenshots: Path) -> None:
    page.goto(f"{server}/docs#/operations/softmax")
    block = page.locator(".opblock.is-open")
    type_into(block.locator("textarea"), '{"logits": [[1, 2], [3]]}')
    status, problem = execute(page, block)
    assert status == "422"
    assert problem["type"] == "/problems/ragged-tensor"
    assert "rectangle" in problem["detail"]
    block.locator(".live-responses-table").screenshot(path=screenshots / "docs-problem.png")


@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
def test_a_window_shows_every_control(page: Page, server: str, screenshots: Path, width: int, scheme: Any) -> None:
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


def test_the_page_follows_the_dark_scheme(page: Page, server: str) -> None:
    page.goto(f"{server}/docs")
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html.dark-mode")).to_have_count(1)
    page.emulate_media(color_scheme="light")
    expect(page.locator("html.dark-mode")).to_have_count(0)


def test_the_policy_keeps_the_page_to_this_server(page: Page, below: str) -> None:
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
