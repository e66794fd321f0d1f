"""Accessibility of the playground: axe in light and dark, on narrow and wide windows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.playground import number_field, open_page, rest, type_into

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
SCHEMES = ["light", "dark"]
WIDTHS = [320, 1400]

OVERLAPS = """() => {
  const boxes = Array.from(document.querySelectorAll(
    "main button, main select, main input:not([type=radio], [type=checkbox], [type=file]), main h3, main label.file"
  )).filter((element) => element.checkVisibility()).map((element) => [element, element.getBoundingClientRect()]);
  const found = [];
  for (const [first, a] of boxes) {
    if (a.left < 0 || a.right > innerWidth) found.push(`outside: ${first.outerHTML}`);
    for (const [second, b] of boxes) {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      const nested = first.contains(second) || second.contains(first) || first.closest(".scroller");
      if (first !== second && !nested && across > 1 && down > 1) found.push(`${first.outerHTML} on ${second.outerHTML}`);
    }
  }
  return found;
}"""
"""Return the controls and headings that cover each other or leave the window."""


def violations(page: Page) -> list[str]:
    """Return what axe finds, one line for each rule and place."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    rest(page)  # transitions change colours
    found = page.evaluate("() => axe.run()")
    assert found["passes"]
    return [f"{each['id']}: {node['html'][:160]}" for each in found["violations"] for node in each["nodes"]]


def check(page: Page, width: int) -> None:
    """Check the rules of axe, sideways scrolling and overlaps."""
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(OVERLAPS) == []


def show_rows(page: Page, server: str) -> None:
    """Open the data view with all its parts."""
    open_page(page, server, "#data")
    page.get_by_role("button", name="made-up").click()
    page.get_by_role("button", name="Fit the temperature").click()
    page.locator(".dot.after").first.wait_for()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_in_the_network(page: Page, server: str, screenshots: Path, scheme: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    open_page(page, server)
    check(page, width)
    page.screenshot(path=screenshots / f"playground-{scheme}-{width}.png", full_page=True)
    page.get_by_role("button", name="Take the tour").click()
    page.get_by_role("radio", name="Backward").check()
    page.get_by_role("checkbox", name="class 0 is masked").check()
    page.get_by_text("All numbers as tables").click()
    expect(page.locator("[data-name=a4]")).to_contain_text("masked")
    check(page, width)
    type_into(number_field(page, "temperature T"), "0")
    page.locator("#problem-temperature:not(:empty)").wait_for()
    check(page, width)
    page.screenshot(path=screenshots / f"playground-all-{scheme}-{width}.png", full_page=True)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_in_the_rows(page: Page, server: str, screenshots: Path, scheme: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    show_rows(page, server)
    check(page, width)
    page.screenshot(path=screenshots / f"playground-rows-{scheme}-{width}.png", full_page=True)
