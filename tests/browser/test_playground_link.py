"""The address: views, the state in a link, and the history of the browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.playground import number_field, open_page, request, settle, type_into, values

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Page

BROKEN = ["w=1,2,3", "T=warm", "T=", "right=3", "masked=5", "masked=1", "node=z9", "unknown=1", "T=Infinity", "o=1,,2"]


def test_a_copied_link_shows_another_person_the_same(page: Page, server: str, http: httpx.Client) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_page(page, server)
    page.get_by_role("radio", name="class 2 is right").check()
    page.get_by_role("checkbox", name="class 0 is masked").check()
    for name, text in (
        ("w52", "-1e-7"),
        ("o1", "1.25"),
        ("b6", "-3"),
        ("temperature T", "2.5"),
        ("label smoothing ε", "0.1"),
    ):
        type_into(number_field(page, name), text)
    page.get_by_role("radio", name="Backward").check()
    page.locator("[data-name=a6]").click()
    answer = settle(page, http, temperature=2.5, label_smoothing=0.1)
    sent = request(page)
    explained = page.locator("#explanation").inner_text()
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")

    other = page.context.new_page()
    other.goto(link)
    assert settle(other, http, temperature=2.5) == answer
    assert request(other) == sent
    assert other.locator("#explanation").inner_text() == explained
    assert other.get_by_role("radio", name="Backward").is_checked()


def test_the_address_keeps_the_state_across_a_reload(page: Page, server: str, http: httpx.Client) -> None:
    open_page(page, server)
    page.get_by_role("button", name="One step").click()
    expect(page.locator("#loss")).to_have_text("0.8483")
    expect(page).to_have_url(re.compile(r"#network\?w="))
    sent = request(page)
    page.reload()
    settle(page, http)
    assert request(page) == sent


def test_without_a_clipboard_the_link_is_selected(page: Page, server: str) -> None:
    page.add_init_script("delete Navigator.prototype.clipboard")
    open_page(page, server)
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_label("Link to these numbers")).to_have_value(page.url)
    assert page.evaluate("getSelection().toString()") == page.url


@pytest.mark.parametrize("query", BROKEN)
def test_a_broken_link_shows_the_example_and_its_fault(page: Page, server: str, query: str) -> None:
    open_page(page, server, f"#network?{query}")
    expect(page.locator("#problem-link")).to_contain_text(f'cannot be read at "{query.split("=", maxsplit=1)[0]}"')
    assert values(page, "a4", "a5", "a6") == ["0.0900", "0.2447", "0.6652"]
    type_into(number_field(page, "w42"), "-1")
    expect(page.locator("#problem-link")).to_be_hidden()


@pytest.mark.parametrize("start", ["", "#network"])
def test_back_from_the_data_leads_to_the_network(page: Page, server: str, start: str) -> None:
    open_page(page, server, start)
    page.get_by_role("link", name="Your data").click()
    expect(page.locator("#data-view")).to_be_visible()
    expect(page.locator("#network-view")).to_be_hidden()
    page.go_back()
    expect(page.locator("#network-view")).to_be_visible()
    expect(page.locator("#data-view")).to_be_hidden()
    page.go_forward()
    expect(page.locator("#data-view")).to_be_visible()


def test_the_links_between_views_keep_the_numbers(page: Page, server: str, http: httpx.Client) -> None:
    open_page(page, server)
    type_into(number_field(page, "temperature T"), "2")
    expect(page).to_have_url(re.compile(r"#network\?T=2$"))
    page.get_by_role("link", name="Your data").click()
    page.get_by_role("link", name="The network").click()
    settle(page, http, temperature=2)
    assert page.url.endswith("#network?T=2")


def test_an_address_typed_in_the_open_page_is_shown(page: Page, server: str, http: httpx.Client) -> None:
    open_page(page, server)
    page.evaluate("location.hash = '#network?T=3&direction=backward'")
    settle(page, http, temperature=3)
    assert page.get_by_role("radio", name="Backward").is_checked()


def test_skipping_to_the_content_stays_in_the_view(page: Page, server: str) -> None:
    open_page(page, server, "#data")
    page.get_by_role("link", name="Skip to the content").press("Enter")
    expect(page.locator("#data-view")).to_be_visible()
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.url.endswith("#data")
