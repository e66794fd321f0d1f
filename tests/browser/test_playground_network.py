"""The network of the article: what is typed goes to the service, and what it answers is what is shown."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.playground import SHOWN, at, open_page, reply, request, written
from tests.integration.serving import running

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    from playwright.sync_api import Page, Route

ARTICLE = ["0.0900", "0.2447", "0.6652"]
GRADIENT = ["0.0900", "−0.7553", "0.6652"]


def values(page: Page, names: list[str]) -> list[str]:
    """The numbers in nodes of the picture."""
    return [page.locator(f"[data-name={name}] .value").text_content() or "" for name in names]


def settle(page: Page) -> None:
    """Waits until the reply on the page is that to the request on the page."""
    page.wait_for_load_state("networkidle")


def assert_all_as_the_service_says(page: Page, http: httpx.Client) -> None:
    """Every number of a reply on the page is the one that the service answers to the request on the page."""
    answer = http.post("/gradient", json=request(page)).raise_for_status().json()
    assert reply(page) == answer
    shown = [(output, value, text) for output, value, text in page.evaluate(SHOWN) if value]
    assert len(shown) > 20
    for output, value, text in shown:
        assert float(value) == float(at(answer, output)), output
        assert text == written(value), output


def test_the_first_view_is_the_example_of_the_article(page: Page, server: str, screenshots: Path) -> None:
    open_page(page, server)
    assert values(page, ["z4", "z5", "z6"]) == ["2.0000", "3.0000", "4.0000"]
    assert values(page, ["a4", "a5", "a6"]) == ARTICLE
    expect(page.locator("#loss")).to_have_text("1.4076")
    page.screenshot(path=screenshots / "playground.png")


def test_the_example_entered_by_hand_shows_its_probabilities_and_its_gradient(page: Page, server: str) -> None:
    open_page(page, server)
    page.locator("#preset").select_option("small")
    page.get_by_role("radio", name="by hand").check()
    for name, score in (("z4", "2"), ("z5", "3"), ("z6", "4")):
        page.get_by_role("spinbutton", name=name).fill(score)
    page.get_by_role("radio", name="class 5 is right").check()
    expect(page.locator("[data-name=a6] .value")).to_have_text("0.6652")
    expect(page.locator("#loss")).to_have_text("1.4076")
    assert values(page, ["a4", "a5", "a6"]) == ARTICLE
    page.get_by_role("radio", name="Backward").check()
    assert values(page, ["z4", "z5", "z6"]) == GRADIENT


def test_every_number_on_the_page_is_the_services(page: Page, server: str, http: httpx.Client) -> None:
    open_page(page, server)
    for direction in ("Forward", "Backward"):
        page.get_by_role("radio", name=direction).check()
        for name in ("o1", "w52", "z5", "a6", "L"):
            page.locator(f"[data-name={name}]").focus()
            page.keyboard.press("Enter")
            assert_all_as_the_service_says(page, http)


def test_fifty_steps_lower_the_loss_and_every_number_stays_the_services(
    page: Page, server: str, http: httpx.Client
) -> None:
    open_page(page, server)
    before = reply(page)["loss"]
    page.get_by_role("button", name="Fifty steps").click()
    expect(page.locator("#curve")).to_have_attribute("aria-label", re.compile(r"in 50 steps"))
    assert reply(page)["loss"] < before / 10
    assert (page.locator("#curve polyline").get_attribute("points") or "").count(" ") == 50
    assert_all_as_the_service_says(page, http)


def test_a_step_takes_over_the_weights_that_the_service_worked_out(page: Page, server: str) -> None:
    open_page(page, server)
    updated = reply(page)
    page.get_by_role("button", name="One step").click()
    expect(page.locator("#curve")).to_have_attribute("aria-label", re.compile(r"in 1 steps"))
    assert request(page)["weights"] == updated["updated_weights"]
    assert request(page)["bias"] == updated["updated_bias"]


def test_a_run_stops_when_it_is_told_to_and_when_a_number_is_changed(page: Page, server: str) -> None:
    open_page(page, server)
    for stop in ("a click", "a change"):
        page.get_by_role("button", name="Fifty steps").click()
        if stop == "a click":
            page.get_by_role("button", name="Stop").click()
        else:
            page.get_by_role("spinbutton", name="temperature T").fill("2")
        expect(page.get_by_role("button", name="Stop")).to_be_disabled()
        settle(page)
        sent = request(page)
        page.wait_for_timeout(200)
        assert request(page) == sent
    assert request(page)["temperature"] == 2


def test_a_selected_node_shows_both_cases_of_the_derivative_with_its_numbers(page: Page, server: str) -> None:
    open_page(page, server)
    page.locator("[data-name=a5]").click()
    explanation = page.locator("#explanation")
    expect(explanation).to_contain_text("∂a₅/∂z₅ = a₅(1 − a₅)= 0.2447 · (1 − 0.2447) = 0.1848")
    expect(explanation).to_contain_text("∂a₅/∂z₆ = −a₅a₆= −0.2447 · 0.6652 = −0.1628")
    page.locator("[data-name=w52]").focus()
    page.keyboard.press("Enter")
    expect(explanation).to_contain_text("∂L/∂w₅₂ = ∂L/∂z₅ · o₂= (−0.7553) · 0.5 = −0.3776")


def test_a_slider_moves_the_picture_and_the_last_place_wins(page: Page, server: str, http: httpx.Client) -> None:
    open_page(page, server)
    slider = page.locator("#temperature input[type=range]")
    slider.evaluate("""(slider) => {
      for (const value of [0.5, 1.5, 2.5, 4]) {
        slider.value = value;
        slider.dispatchEvent(new Event("input"));
      }
    }""")
    expect(page.get_by_role("spinbutton", name="temperature T")).to_have_value("4")
    settle(page)
    assert request(page)["temperature"] == 4
    assert_all_as_the_service_says(page, http)


def test_smoothing_gives_every_class_a_share_of_the_target(page: Page, server: str, http: httpx.Client) -> None:
    open_page(page, server)
    page.get_by_role("spinbutton", name="label smoothing").fill("0.3")
    expect(page.locator("[data-name=a4]")).to_contain_text("target 0.1")
    expect(page.locator("[data-name=a5]")).to_contain_text("target 0.8")
    assert_all_as_the_service_says(page, http)


@pytest.mark.parametrize("source", ["from the layer", "by hand"])
def test_a_masked_class_has_no_probability_and_the_others_share_it(page: Page, server: str, source: str) -> None:
    open_page(page, server)
    page.get_by_role("radio", name=source).check()
    page.get_by_role("checkbox", name="class 6 is masked").check()
    expect(page.locator("[data-name=a5] .value")).to_have_text("0.7311")
    expect(page.locator("[data-name=a6]")).to_contain_text("masked")
    sent = request(page)
    assert len(sent["weights"]) == 2 if source == "from the layer" else sent["logits"] == [2, 3, "-Infinity"]
    expect(page.get_by_role("radio", name="class 6 is right")).to_be_disabled()


def test_a_step_with_a_masked_class_leaves_its_weights_alone(page: Page, server: str) -> None:
    open_page(page, server)
    page.get_by_role("checkbox", name="class 4 is masked").check()
    expect(page.locator("[data-name=a4]")).to_contain_text("masked")
    settle(page)
    page.get_by_role("button", name="One step").click()
    expect(page.locator("#curve")).to_have_attribute("aria-label", re.compile(r"in 1 steps"))
    assert page.get_by_role("spinbutton", name="w41").input_value() == "0.4"
    assert page.get_by_role("spinbutton", name="w51").input_value() != "1"


@pytest.mark.parametrize(
    ("field", "typed", "place"),
    [("temperature T", "0", "temperature"), ("label smoothing", "1", "smoothing"), ("w42", "", "weights")],
)
def test_a_refusal_stands_beside_the_number_that_caused_it(
    page: Page, server: str, http: httpx.Client, field: str, typed: str, place: str
) -> None:
    open_page(page, server)
    number = page.get_by_role("spinbutton", name=field)
    right = number.input_value()
    number.fill(typed)
    problem = page.locator(f"#problem-{place}")
    expect(problem).to_be_visible()
    assert problem.inner_text() == http.post("/gradient", json=request(page)).json()["detail"]
    assert page.locator("#loss").inner_text() == "1.4076"
    number.fill(right)
    expect(problem).to_be_hidden()


def test_the_request_as_curl_python_and_javascript_gets_the_reply_that_is_shown(
    page: Page, server: str, http: httpx.Client
) -> None:
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
        exec(code.inner_text(), {})  # noqa: S102 - the code is ours
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


def test_the_picture_can_be_walked_with_the_keyboard_alone(page: Page, server: str) -> None:
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


def test_the_views_are_a_link_apart_and_skipping_to_the_content_stays_in_the_view(page: Page, server: str) -> None:
    open_page(page, server)
    page.get_by_role("link", name="Your data").click()
    expect(page.locator("#data-view")).to_be_visible()
    expect(page.locator("#network-view")).to_be_hidden()
    page.get_by_role("link", name="Skip to the content").press("Enter")
    expect(page.locator("#data-view")).to_be_visible()
    page.go_back()
    page.go_back()
    expect(page.locator("#network-view")).to_be_visible()


def test_what_changed_is_said_once_when_it_rests(page: Page, server: str) -> None:
    open_page(page, server)
    page.get_by_role("button", name="Fifty steps").click()
    said = page.locator("#spoken")
    expect(said).to_have_text(re.compile(r"The network chooses a₅ .* that is right\. The loss is 0\.0\d{3}\."))


def test_nothing_moves_for_those_who_want_no_motion(page: Page, server: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    open_page(page, server)
    page.get_by_role("radio", name="Backward").check()
    assert page.evaluate("document.getAnimations().length") == 0
    page.emulate_media(reduced_motion="no-preference")
    page.get_by_role("radio", name="Forward").check()
    assert page.evaluate("document.getAnimations().length") > 0


def test_the_page_works_below_a_root_path(page: Page) -> None:
    with running("--root-path", "/maths") as (server, _):
        open_page(page, f"{server}/maths")
        assert values(page, ["a4", "a5", "a6"]) == ARTICLE
        page.goto(f"{server}/maths/playground#data")
        page.get_by_role("button", name="made-up").click()
        expect(page.locator("#results")).to_contain_text("2,000 × 10")


def test_a_service_that_wants_a_key_is_shown_one(page: Page, server: str) -> None:
    problem = {"status": 401, "detail": "Show a key.", "errors": []}
    shown: list[str | None] = []

    def guarded(route: Route) -> None:
        shown.append(route.request.headers.get("authorization"))
        if shown[-1] == "Bearer secret":
            route.continue_()
        else:
            route.fulfill(status=401, json=problem)

    page.route("**/gradient", guarded)
    page.goto(f"{server}/playground")
    expect(page.locator("#problem-network")).to_have_text("Show a key.")
    page.get_by_label("Key of this service").fill("secret")
    page.keyboard.press("Enter")
    expect(page.locator("#loss")).to_have_text("1.4076")
    expect(page.locator("#problem-network")).to_be_hidden()
    expect(page.locator("#network-exchange-request")).to_contain_text("-H 'Authorization: Bearer YOUR_KEY'")
    assert shown == [None, "Bearer secret"]


def test_a_loss_too_small_for_four_digits_is_shown_all_the_same(page: Page, server: str, http: httpx.Client) -> None:
    open_page(page, server)
    page.locator("#preset").select_option("confident")
    expect(page.locator("#loss")).to_have_text("8.50e−18")
    page.get_by_role("radio", name="Backward").check()
    assert values(page, ["z4", "z5", "z6"]) == ["4.25e−18", "−8.50e−18", "4.25e−18"]
    assert_all_as_the_service_says(page, http)


def test_a_late_answer_does_not_cover_a_newer_one(page: Page, server: str) -> None:
    open_page(page, server)
    held: list[Route] = []
    page.route("**/gradient", lambda route: route.continue_() if held else held.append(route))
    page.get_by_role("button", name="One step").click()
    page.get_by_role("spinbutton", name="temperature T").fill("2")
    expect(page.locator("#loss")).not_to_have_text("1.4076")
    shown = reply(page)
    held[0].continue_()
    page.wait_for_timeout(300)
    assert reply(page) == shown
    assert request(page)["temperature"] == 2
