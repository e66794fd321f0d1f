"""The network view and its service: requests as code, keys, root paths, and answers that fail or come late."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.playground import ARTICLE, number_field, open_page, reply, request, type_into, values
from tests.processes import running

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Page, Route


def test_a_service_that_is_gone_is_reported(page: Page, server: str) -> None:
    open_page(page, server)
    page.route("**/gradient", lambda route: route.abort())
    number_field(page, "w42").press("ArrowUp")
    expect(page.locator("#problem-network")).to_have_text("The service does not answer. Check that it is running.")
    expect(page.locator("#verdict")).to_contain_text("There is no result for these numbers.")
    page.unroute("**/gradient")
    number_field(page, "w42").press("ArrowDown")
    expect(page.locator("#problem-network")).to_be_hidden()
    expect(page.locator("#loss")).to_have_text("1.4076")


def test_the_code_gets_the_reply_that_is_shown(page: Page, server: str, http: httpx.Client) -> None:
    open_page(page, server)
    shown, code = reply(page), page.locator("#network-exchange-request")

    words = shlex.split(code.inner_text().replace("\\\n", " "))
    assert words[:2] == ["curl", "-s"]
    assert words[2] == f"{server}/gradient"
    assert words[3:5] == ["-H", "Content-Type: application/json"]
    headers = {"Content-Type": "application/json"}
    assert http.post(words[2], content=words[words.index("-d") + 1], headers=headers).json() == shown

    page.get_by_role("radio", name="Python").check()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code.inner_text(), {})  # noqa: S102 - the page of this project wrote the code
    assert json.loads(printed.getvalue().replace("'", '"')) == shown

    page.get_by_role("radio", name="JavaScript").check()
    script = code.inner_text().replace("console.log(await reply.json())", "return await reply.json()")
    assert page.evaluate(f"async () => {{ {script} }}") == shown


def test_the_copy_button_copies_the_request(page: Page, server: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_page(page, server)
    page.get_by_role("button", name="Copy request").first.click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#network-exchange-request").inner_text()


def test_the_page_works_below_a_root_path(page: Page) -> None:
    with running("--root-path", "/maths") as (server, _):
        open_page(page, f"{server}/maths")
        assert values(page, "a4", "a5", "a6") == ARTICLE
        page.goto(f"{server}/maths/playground#data")
        page.get_by_role("button", name="made-up").click()
        expect(page.locator("#results")).to_contain_text("2,000 × 10")


def test_a_service_with_keys_asks_for_one(page: Page, server: str) -> None:
    problem = {"status": 401, "detail": "Show a key.", "errors": []}
    sent: list[str | None] = []

    def guarded(route: Route) -> None:
        sent.append(route.request.headers.get("authorization"))
        if sent[-1] == "Bearer secret":
            route.continue_()
        else:
            route.fulfill(status=401, json=problem)

    page.route("**/gradient", guarded)
    page.goto(f"{server}/playground")
    expect(page.locator("#problem-network")).to_have_text("Show a key.")
    type_into(page.get_by_label("API key of this service"), "secret")
    page.keyboard.press("Enter")
    expect(page.locator("#loss")).to_have_text("1.4076")
    expect(page.locator("#problem-network")).to_be_hidden()
    expect(page.locator("#network-exchange-request")).to_contain_text("-H 'Authorization: Bearer YOUR_KEY'")
    assert sent == [None, "Bearer secret"]


def test_a_late_answer_does_not_cover_a_newer_one(page: Page, server: str) -> None:
    open_page(page, server)
    held: list[Route] = []
    page.route("**/gradient", lambda route: route.continue_() if held else held.append(route))
    page.get_by_role("button", name="One step").click()
    type_into(number_field(page, "temperature T"), "2")
    expect(page.locator("#loss")).to_have_text("0.9256")
    shown = reply(page)
    held[0].continue_()
    page.wait_for_timeout(300)
    assert reply(page) == shown
    assert request(page)["temperature"] == 2
