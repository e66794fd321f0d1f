"""The playground for everybody: by rule (axe), light and dark, wide and narrow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.playground import open_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"


def violations(page: Page, *rules: str) -> list[str]:
    """What axe finds, by all its rules or by some, a line for each rule and place."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    page.wait_for_timeout(250)  # transitions of colours end
    found = page.evaluate("(rules) => axe.run(rules.length ? { runOnly: rules } : {})", rules)
    assert found["passes"]
    return [f"{each['id']}: {node['html'][:160]}" for each in found["violations"] for node in each["nodes"]]


def show_rows(page: Page, server: str) -> None:
    """The second view, with everything it can show."""
    open_page(page, server, "data")
    page.get_by_role("button", name="made-up").click()
    page.get_by_role("button", name="Fit the temperature").click()
    page.locator(".dot.after").first.wait_for()


def show_all_of_the_network(page: Page, server: str) -> None:
    """The first view, with everything it can show."""
    open_page(page, server)
    page.get_by_role("radio", name="Backward").check()
    page.get_by_role("checkbox", name="class 4 is masked").check()
    page.get_by_role("spinbutton", name="temperature T").fill("0")
    page.locator("#problem-temperature:not(:empty)").wait_for()
    page.get_by_text("All numbers as tables").click()


def test_axe_finds_nothing_in_the_network(page: Page, server: str, screenshots: Path) -> None:
    open_page(page, server)
    assert violations(page) == []
    show_all_of_the_network(page, server)
    assert violations(page) == []
    page.screenshot(path=screenshots / "playground-light.png", full_page=True)


def test_axe_finds_nothing_in_the_rows(page: Page, server: str, screenshots: Path) -> None:
    show_rows(page, server)
    assert violations(page) == []
    page.screenshot(path=screenshots / "playground-rows-light.png", full_page=True)


def test_the_dark_colours_have_contrast_too(page: Page, server: str, screenshots: Path) -> None:
    page.emulate_media(color_scheme="dark")
    show_all_of_the_network(page, server)
    assert violations(page, "color-contrast") == []
    page.screenshot(path=screenshots / "playground-dark.png", full_page=True)
    show_rows(page, server)
    assert violations(page, "color-contrast") == []
    page.screenshot(path=screenshots / "playground-rows-dark.png", full_page=True)


def test_a_phone_needs_no_sideways_scrolling(page: Page, server: str, screenshots: Path) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    open_page(page, server)
    page.get_by_text("All numbers as tables").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.screenshot(path=screenshots / "playground-phone.png", full_page=True)
    show_rows(page, server)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.screenshot(path=screenshots / "playground-rows-phone.png", full_page=True)
