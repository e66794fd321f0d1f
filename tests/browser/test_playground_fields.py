"""Number fields and sliders, used with a real keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.playground import number_field, open_page, request, settle, type_into

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Page

TYPED = [
    ("w42", "-1", "weights.0.1", -1),
    ("w53", "-0.5", "weights.1.2", -0.5),
    ("o1", "1e-3", "inputs.0", 0.001),
    ("b6", "-.25", "bias.2", -0.25),
    ("temperature T", "0.05", "temperature", 0.05),
    ("label smoothing ε", "0.125", "label_smoothing", 0.125),
    ("learning rate η", "-1e-2", "learning_rate", -0.01),
]
STEPS = [
    ("w42", "1.3", "1.1"),
    ("o2", "0.6", "0.4"),
    ("temperature T", "1.1", "0.9"),
    ("learning rate η", "0.15", "0.05"),
]


@pytest.mark.parametrize(("name", "text", "path", "value"), TYPED)
def test_a_typed_number_is_sent(
    page: Page, server: str, http: httpx.Client, name: str, text: str, path: str, value: float
) -> None:
    open_page(page, server)
    field = number_field(page, name)
    type_into(field, text)
    expect(field).to_have_value(text)
    settle(page, http, **{path: value})


def test_negative_scores_can_be_typed_by_hand(page: Page, server: str, http: httpx.Client) -> None:
    open_page(page, server)
    page.get_by_role("radio", name="by hand").check()
    for name, text in (("z4", "-1"), ("z5", "-2.5"), ("z6", "1e-3")):
        type_into(number_field(page, name), text)
    settle(page, http, logits=[-1, -2.5, 0.001])


def test_a_comma_is_a_decimal_point(page: Page, server: str, http: httpx.Client) -> None:
    open_page(page, server)
    field = number_field(page, "temperature T")
    type_into(field, "0,5")
    expect(field).to_have_value("0.5")
    settle(page, http, temperature=0.5)


@pytest.mark.parametrize(
    ("text", "logits"),
    [
        ("-1, 2.5, 1e-3", [2, -1, 2.5]),
        ("[7\t8]", [2, 7, 8]),
        ("6", [2, 6, 4]),
        ("a, b", [2, 3, 4]),
    ],
)
def test_a_pasted_list_fills_the_fields_from_there(
    page: Page, server: str, http: httpx.Client, text: str, logits: list[float]
) -> None:
    open_page(page, server)
    page.get_by_role("radio", name="by hand").check()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("(text) => navigator.clipboard.writeText(text)", text)
    number_field(page, "z5").click()
    page.keyboard.press("Control+A")
    page.keyboard.press("Control+V")
    settle(page, http, logits=logits)


@pytest.mark.parametrize(("text", "whole"), [("-", "1.2"), ("1e", "1"), ("", "1.2"), (".", "1.2")])
def test_half_a_number_is_kept_until_the_field_is_left(
    page: Page, server: str, http: httpx.Client, text: str, whole: str
) -> None:
    open_page(page, server)
    field = number_field(page, "w42")
    type_into(field, text)
    page.get_by_role("slider", name="temperature T").evaluate("""(slider) => {
      slider.value = 2;
      slider.dispatchEvent(new Event("input"));
    }""")
    settle(page, http, temperature=2)  # the other change did not overwrite the field
    expect(field).to_have_attribute("aria-invalid", "true")
    field.press("Tab")
    expect(field).to_have_value(whole)
    expect(field).not_to_have_attribute("aria-invalid", "true")
    assert request(page)["weights"][0][1] == float(whole)


def test_half_a_number_can_be_completed(page: Page, server: str, http: httpx.Client) -> None:
    open_page(page, server)
    field = number_field(page, "w42")
    type_into(field, "-")
    settle(page, http)
    field.press_sequentially("2e-1")
    settle(page, http, **{"weights.0.1": -0.2})


@pytest.mark.parametrize(("name", "up", "down"), STEPS)
def test_arrow_keys_step_a_number(page: Page, server: str, name: str, up: str, down: str) -> None:
    open_page(page, server)
    field = number_field(page, name)
    field.press("ArrowUp")
    expect(field).to_have_value(up)
    field.press("ArrowDown")
    field.press("ArrowDown")
    expect(field).to_have_value(down)


def test_tab_reaches_every_field_and_slider(page: Page, server: str) -> None:
    open_page(page, server)
    page.get_by_role("radio", name="from the layer").focus()
    reached = set()
    for _ in range(45):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.ariaLabel"))
    names = [f"w{i}{k}" for i in (4, 5, 6) for k in (1, 2, 3)]
    names += ["o1", "o2", "o3", "b4", "b5", "b6", "temperature T", "label smoothing ε", "learning rate η"]
    assert reached >= {*names, *(f"{name}, slider" for name in names)}


def test_a_slider_moves_by_keyboard(page: Page, server: str, http: httpx.Client) -> None:
    open_page(page, server)
    page.get_by_role("slider", name="temperature T").press("ArrowRight")
    settle(page, http, temperature=1.1)
    expect(number_field(page, "temperature T")).to_have_value("1.1")


def test_a_slider_dragged_fast_ends_at_its_last_place(page: Page, server: str, http: httpx.Client) -> None:
    open_page(page, server)
    slider = page.get_by_role("slider", name="temperature T")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.2, middle)
    page.mouse.down()
    for share in (0.4, 0.6, 0.8, 1):
        page.mouse.move(box["x"] + box["width"] * share, middle)
    page.mouse.up()
    settle(page, http, temperature=5)
    expect(number_field(page, "temperature T")).to_have_value("5")


def test_descent_updates_a_field_that_has_the_focus(page: Page, server: str) -> None:
    open_page(page, server)
    field = number_field(page, "w53")
    field.focus()
    page.get_by_role("button", name="One step").evaluate("(button) => button.click()")
    expect(field).to_have_value("1.351")
