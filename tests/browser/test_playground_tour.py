"""The guided tour, by mouse and by keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.playground import open_page, request, values

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

TITLES = ["Scores", "Exponentials", "Shares", "Loss", "Backwards", "One step of descent", "Temperature"]
TITLES += ["Mask and smoothing"]


@pytest.fixture
def tour(page: Page, server: str) -> Locator:
    """Return a page with the first step of the tour."""
    open_page(page, server)
    page.get_by_role("button", name="Take the tour").press("Enter")
    return page.get_by_role("region", name="Guided tour")


def heading(tour: Locator) -> Locator:
    """Find the title of the current step."""
    return tour.get_by_role("heading")


def test_buttons_lead_through_all_steps(tour: Locator) -> None:
    expect(tour.get_by_role("button", name="Back")).to_be_disabled()
    for place, title in enumerate(TITLES):
        expect(heading(tour)).to_have_text(f"{place + 1}. {title}")
        expect(tour).to_contain_text(f"Step {place + 1} of 8")
        tour.get_by_role("button", name="Finish" if title == TITLES[-1] else "Next").click()
    expect(tour).to_be_hidden()


def test_arrow_keys_move_and_escape_leaves(page: Page, tour: Locator) -> None:
    expect(heading(tour)).to_be_focused()
    page.keyboard.press("ArrowLeft")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    expect(heading(tour)).to_have_text("3. Shares")
    page.keyboard.press("ArrowLeft")
    expect(heading(tour)).to_have_text("2. Exponentials")
    page.keyboard.press("Escape")
    expect(tour).to_be_hidden()
    expect(page.get_by_role("button", name="Take the tour")).to_be_focused()


def test_each_experiment_does_what_it_says(page: Page, tour: Locator) -> None:
    def experiment(title: str) -> None:
        expect(heading(tour)).to_contain_text(title)
        tour.get_by_role("button", name="Do it for me").click()

    def advance() -> None:
        tour.get_by_role("button", name="Next").click()

    value = {name: page.locator(f"[data-name={name}] .value") for name in ("z4", "z5", "a4", "a5", "a6")}
    loss = page.locator("#loss")
    experiment("Scores")
    expect(value["z5"]).to_have_text("0.6000")
    advance()
    experiment("Exponentials")
    expect(value["z5"]).to_have_text("103.000")
    assert values(page, "a4", "a5", "a6") == ["0.0900", "0.2447", "0.6652"]
    advance()
    experiment("Shares")
    expect(page.locator("#verdict")).to_contain_text("tie with 0.3333")
    advance()
    expect(loss).to_have_text("1.4076")
    experiment("Loss")
    expect(loss).to_have_text("0.4076")
    advance()
    expect(value["a5"]).to_have_text("−4.0862")
    experiment("Backwards")
    expect(page.locator("#explanation")).to_contain_text("(−4.0862) · (−0.0220) = 0.0900")
    advance()
    expect(page.locator("#explanation")).to_contain_text("1.3511")
    experiment("One step of descent")
    expect(loss).to_have_text("0.0215")
    advance()
    expect(value["a6"]).to_have_text("0.5065")
    experiment("Temperature")
    expect(value["a6"]).to_have_text("0.8668")
    advance()
    expect(value["a5"]).to_have_text("0.7311")
    experiment("Mask and smoothing")
    expect(page.locator("[data-name=a5]")).to_contain_text("y₅ = 0.8")
    expect(value["z4"]).to_have_text("−0.0100")


def test_the_tour_can_be_left_and_taken_again(page: Page, tour: Locator) -> None:
    tour.get_by_role("button", name="Next").click()
    tour.get_by_role("button", name="Leave the tour").click()
    expect(tour).to_be_hidden()
    page.get_by_role("button", name="Take the tour").click()
    expect(heading(tour)).to_have_text("1. Scores")
    assert request(page)["weights"][1] == [1, -0.8, 1.2]
