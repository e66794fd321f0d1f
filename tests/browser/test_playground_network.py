"""Test the network view: it sends the values of the controls, and shows the answer of the service."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.playground import (
    ARTICLE,
    SHOWN,
    at,
    number_field,
    open_page,
    reply,
    request,
    rest,
    settle,
    type_into,
    values,
    written,
)

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    from playwright.sync_api import Page

GRADIENT = ["0.0900", "−0.7553", "0.6652"]

MISPLACED = """() => Array.from(document.querySelectorAll("#picture .node"), (node) => {
  const box = (element) => element.getBoundingClientRect();
  const [shape, value] = [box(node.querySelector(".shape")), box(node.querySelector(".value"))];
  const isInside = value.left >= shape.left + 1 && value.right <= shape.right - 1;
  const covers = (other) => Math.min(value.right, other.right) > Math.max(value.left, other.left) &&
    Math.min(value.bottom, other.bottom) > Math.max(value.top, other.top);
  const isFree = !Array.from(node.querySelectorAll(".badge"), box).some(covers);
  return isInside && isFree ? "" : `${node.dataset.name}: ${node.textContent}`;
}).filter(Boolean)"""
"""Return the nodes whose number leaves its shape or covers a note beside it."""


def check_all_numbers(page: Page, http: httpx.Client) -> None:
    """Check that every number of a reply on the page is the one that the service answers."""
    answer = settle(page, http)
    shown = [(output, value, text) for output, value, text in page.evaluate(SHOWN) if value]
    assert len(shown) > 10
    for output, value, text in shown:
        assert value == str(at(answer, output)) or float(value) == float(at(answer, output)), output
        assert text == written(value), output


def test_the_first_view_is_the_example_of_the_article(page: Page, server: str, screenshots: Path) -> None:
    open_page(page, server)
    assert values(page, "z4", "z5", "z6") == ["2.0000", "3.0000", "4.0000"]
    assert values(page, "a4", "a5", "a6") == ARTICLE
    expect(page.locator("#loss")).to_have_text("1.4076")
    page.get_by_role("radio", name="Backward").check()
    rest(page)
    page.screenshot(path=screenshots / "playground.png")


def test_the_example_typed_by_hand_shows_its_gradient(page: Page, server: str) -> None:
    open_page(page, server)
    page.locator("#preset").select_option("small")
    for name, score in (("z4", "2"), ("z5", "3"), ("z6", "4")):
        type_into(number_field(page, name), score)
    page.get_by_role("radio", name="class 1 is right").check()
    expect(page.locator("[data-name=a6] .value")).to_have_text("0.6652")
    expect(page.locator("#loss")).to_have_text("1.4076")
    assert values(page, "a4", "a5", "a6") == ARTICLE
    page.get_by_role("radio", name="Backward").check()
    assert values(page, "z4", "z5", "z6") == GRADIENT


@pytest.mark.parametrize("query", ["", "T=2&smoothing=0.2", "scores=logits&z=300,-1,2e-5", "masked=2"])
def test_every_number_on_the_page_is_the_services(page: Page, server: str, http: httpx.Client, query: str) -> None:
    open_page(page, server, f"#network?{query}")
    for direction in ("Forward", "Backward"):
        page.get_by_role("radio", name=direction).check()
        for name in ("o1", "w52", "z5", "a4", "L"):
            page.locator(f"[data-name={name}]").focus()
            page.keyboard.press("Enter")
            check_all_numbers(page, http)


def test_fifty_steps_lower_the_loss(page: Page, server: str, http: httpx.Client) -> None:
    open_page(page, server)
    before = reply(page)["loss"]
    page.get_by_role("button", name="Fifty steps").click()
    expect(page.locator("#curve")).to_have_attribute("aria-label", re.compile(r"in 50 steps"))
    assert reply(page)["loss"] < before / 10
    assert (page.locator("#curve polyline").get_attribute("points") or "").count(" ") == 50
    check_all_numbers(page, http)


def test_a_step_takes_over_the_services_weights(page: Page, server: str) -> None:
    open_page(page, server)
    updated = reply(page)
    page.get_by_role("button", name="One step").click()
    expect(page.locator("#curve")).to_have_attribute("aria-label", re.compile(r"in 1 steps"))
    assert request(page)["weights"] == updated["updated_weights"]
    assert request(page)["bias"] == updated["updated_bias"]


@pytest.mark.parametrize("stop", ["a click", "a change"])
def test_a_run_can_be_stopped(page: Page, server: str, http: httpx.Client, stop: str) -> None:
    open_page(page, server)
    page.get_by_role("button", name="Fifty steps").click()
    if stop == "a click":
        page.get_by_role("button", name="Stop").click()
    else:
        type_into(number_field(page, "temperature T"), "2")
    expect(page.get_by_role("button", name="Stop")).to_be_disabled()
    settle(page, http)
    sent = request(page)
    page.wait_for_timeout(200)
    assert request(page) == sent


def test_smoothing_gives_every_class_a_share_of_the_target(page: Page, server: str, http: httpx.Client) -> None:
    open_page(page, server)
    type_into(number_field(page, "label smoothing ε"), "0.3")
    expect(page.locator("[data-name=a4]")).to_contain_text("y₄ = 0.1")
    expect(page.locator("[data-name=a5]")).to_contain_text("y₅ = 0.8")
    check_all_numbers(page, http)


@pytest.mark.parametrize("source", ["from the layer", "by hand"])
def test_a_masked_class_has_score_minus_infinity(page: Page, server: str, source: str) -> None:
    open_page(page, server)
    page.get_by_role("radio", name=source).check()
    page.get_by_role("checkbox", name="class 2 is masked").check()
    expect(page.locator("[data-name=a5] .value")).to_have_text("0.7311")
    assert values(page, "z6", "a6") == ["−∞", "0.0000"]
    expect(page.locator("[data-name=a6]")).to_contain_text("masked")
    expect(page.get_by_role("radio", name="class 2 is right")).to_be_disabled()
    expect(page.get_by_role("checkbox", name="class 1 is masked")).to_be_disabled()


def test_a_step_leaves_a_masked_class_alone(page: Page, server: str, http: httpx.Client) -> None:
    open_page(page, server)
    page.get_by_role("checkbox", name="class 0 is masked").check()
    expect(page.locator("[data-name=a4]")).to_contain_text("masked")
    settle(page, http)
    page.get_by_role("button", name="One step").click()
    expect(page.locator("#curve")).to_have_attribute("aria-label", re.compile(r"in 1 steps"))
    assert number_field(page, "w41").input_value() == "0.4"
    assert number_field(page, "w51").input_value() != "1"


@pytest.mark.parametrize(
    ("field", "typed", "place", "path"),
    [
        ("temperature T", "0", "temperature", "temperature"),
        ("label smoothing ε", "1.5", "smoothing", "label_smoothing"),
        ("w42", "1e308", "weights", "weights.0.1"),
    ],
)
def test_a_refusal_is_shown_beside_its_number(
    page: Page, server: str, http: httpx.Client, field: str, typed: str, place: str, path: str
) -> None:
    open_page(page, server)
    if place == "weights":
        type_into(number_field(page, "o2"), "1e308")
    type_into(number_field(page, field), typed)
    problem = page.locator(f"#problem-{place}")
    expect(problem).to_be_visible()
    settle(page, http, **{path: float(typed)})
    assert problem.inner_text() == reply(page)["detail"]
    expect(page.locator("#loss")).to_have_text("–")
    expect(page.locator("#verdict")).to_have_text(
        "There is no result for these numbers. The picture shows the last result."
    )
    assert page.locator("#picture").evaluate("(picture) => getComputedStyle(picture).opacity") == "0.35"
    page.get_by_role("button", name="Start again").click()
    expect(problem).to_be_hidden()
    expect(page.locator("#loss")).to_have_text("1.4076")
    assert page.locator("#picture").evaluate("(picture) => getComputedStyle(picture).opacity") == "1"


def test_a_change_makes_the_numbers_your_own(page: Page, server: str) -> None:
    open_page(page, server)
    preset = page.locator("#preset")
    expect(preset).to_have_value("article")
    preset.select_option("wrong")
    field = number_field(page, "w42")
    field.press("ArrowUp")
    expect(preset).to_have_value("own")
    expect(preset.locator("option:checked")).to_have_text("Your own numbers")
    field.press("ArrowDown")
    expect(preset).to_have_value("wrong")
    field.press("ArrowUp")
    page.get_by_role("button", name="Start again").click()
    expect(preset).to_have_value("wrong")
    expect(field).to_have_value("2")


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ("1,1,1", "a₄ (class 0), a₅ (class 1) and a₆ (class 2) tie with 0.3333"),
        ("0,2,2", "a₅ (class 1) and a₆ (class 2) tie with 0.4683"),
    ],
)
def test_a_tie_is_reported(page: Page, server: str, scores: str, said: str) -> None:
    open_page(page, server, f"#network?scores=logits&z={scores}")
    expect(page.locator("#verdict")).to_contain_text(f"{said}. The lowest class counts as the choice")


def test_the_legend_follows_the_direction(page: Page, server: str) -> None:
    open_page(page, server)
    expect(page.get_by_text("From o to z: the weights w.")).to_be_visible()
    page.get_by_role("radio", name="Backward").check()
    expect(page.get_by_text("From o to z: the gradients of the weights")).to_be_visible()
    expect(page.get_by_text("From o to z: the weights w.")).to_be_hidden()
    expect(page.get_by_text("the way from the right class to the loss")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 320])
@pytest.mark.parametrize("z", ["-99999.5,1234.56,1000", "0,40,0", "-0.00001,1e9,-2e-5", "0,-300,0"])
def test_texts_stay_inside_their_nodes(page: Page, server: str, width: int, z: str) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for direction in ("forward", "backward"):
        open_page(page, server, f"#network?scores=logits&z={z}&direction={direction}")
        assert page.evaluate(MISPLACED) == []


def test_the_curve_shows_its_whole_axis(page: Page, server: str) -> None:
    open_page(page, server, "#network?scores=logits&z=0,40,0")
    text = page.locator("#curve text").first
    assert text.text_content() == "8.50e−18"
    box, frame = text.bounding_box(), page.locator("#curve").bounding_box()
    assert box
    assert frame
    assert box["x"] >= frame["x"]


def test_the_picture_can_be_walked_by_keyboard(page: Page, server: str) -> None:
    open_page(page, server)
    page.get_by_role("radio", name="Forward").focus()
    page.keyboard.press("Tab")
    for key, name in [
        ("ArrowDown", "o2"), ("ArrowRight", "w51"), ("ArrowDown", "w52"), ("ArrowLeft", "o2"), ("ArrowRight", "w51"),
        ("ArrowRight", "z5"), ("ArrowRight", "a5"), ("ArrowUp", "a4"), ("ArrowRight", "L"), ("ArrowRight", "L"),
    ]:  # fmt: skip
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.dataset.name") == name
    page.keyboard.press("Enter")
    expect(page.locator("#explanation h3")).to_contain_text("the cross-entropy loss")
    assert page.locator("[data-name=L]").get_attribute("aria-pressed") == "true"


def test_a_change_is_spoken_once_it_rests(page: Page, server: str) -> None:
    open_page(page, server)
    page.get_by_role("button", name="Fifty steps").click()
    said = page.locator("#spoken")
    expect(said).to_have_text(re.compile(r"The network chooses a₅ .* that is right\. The loss is 0\.0215\."))


def test_nothing_moves_if_motion_is_unwanted(page: Page, server: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    open_page(page, server)
    page.get_by_role("radio", name="Backward").check()
    assert page.evaluate("document.getAnimations().length") == 0
    page.emulate_media(reduced_motion="no-preference")
    page.get_by_role("radio", name="Forward").check()
    assert page.evaluate("document.getAnimations().length") > 0
