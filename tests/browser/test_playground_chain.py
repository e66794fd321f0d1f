"""Explanations: each formula with its numbers, and the chain rule from the loss to the scores."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.playground import as_number, open_page, settle, values

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Locator, Page

PRODUCTS = """() => Array.from(document.querySelectorAll("#explanation .formula"), (formula) => [
  formula.querySelector("span").textContent, formula.querySelector("strong").textContent
])"""
"""Return each formula of the explanation: its law and its result."""

PRODUCT = re.compile(r"∂L/∂(a.) · ∂\1/∂(z.)")


def explanation(page: Page, name: str, direction: str) -> Locator:
    """Choose a direction and a node or weight, and return its explanation."""
    page.get_by_role("radio", name=direction).check()
    page.locator(f"[data-name={name}]").focus()
    page.keyboard.press("Enter")
    return page.locator("#explanation")


def test_the_backward_picture_starts_with_the_loss(page: Page, server: str) -> None:
    open_page(page, server)
    page.get_by_role("radio", name="Backward").check()
    assert values(page, "a4", "a5", "a6") == ["0", "−4.0862", "0"]
    expect(page.locator("[data-name=a5]")).to_contain_text("∂L/∂a₅")
    expect(page.locator("[data-name=a5]")).to_contain_text("a₅ = 0.2447")


def test_each_product_of_the_chain_is_shown(page: Page, server: str) -> None:
    open_page(page, server)
    shown = explanation(page, "z5", "Backward")
    expect(shown).to_contain_text("∂L/∂a₅ = −1/a₅= −1/0.2447 = −4.0862")
    expect(shown).to_contain_text("∂a₅/∂z₅ = a₅(1 − a₅)= 0.2447 · (1 − 0.2447) = 0.1848")
    expect(shown).to_contain_text("∂L/∂a₅ · ∂a₅/∂z₅= (−4.0862) · 0.1848 = −0.7553")
    expect(shown).to_contain_text("−(1/a₅) · a₅(1 − a₅) = −(1 − a₅) = a₅ − 1")
    expect(shown).to_contain_text("∂L/∂z₅ = a₅ − y₅= 0.2447 − 1 = −0.7553")
    shown = explanation(page, "z4", "Backward")
    expect(shown).to_contain_text("∂L/∂a₅ · ∂a₅/∂z₄= (−4.0862) · (−0.0220) = 0.0900")
    expect(shown).to_contain_text("−(1/a₅) · (−a₅a₄) = a₄")


def test_a_probability_passes_its_slope_to_every_score(page: Page, server: str) -> None:
    open_page(page, server)
    shown = explanation(page, "a5", "Backward")
    expect(shown).to_contain_text("∂L/∂a₅ = −1/a₅= −1/0.2447 = −4.0862")
    for product in ("(−4.0862) · (−0.0220) = 0.0900", "(−4.0862) · 0.1848 = −0.7553", "(−4.0862) · (−0.1628) = 0.6652"):
        expect(shown).to_contain_text(product)
    expect(explanation(page, "a4", "Backward")).to_contain_text("∂L/∂a₄ = 0")


@pytest.mark.parametrize(
    "query", ["T=2", "smoothing=0.3", "smoothing=0.2&T=0.5&right=0", "scores=logits&z=0,40,0&right=0", "masked=2"]
)
def test_the_products_sum_to_the_services_gradient(page: Page, server: str, http: httpx.Client, query: str) -> None:
    open_page(page, server, f"#network?{query}&direction=backward&node=L")
    settle(page, http)
    formulas = page.evaluate(PRODUCTS)
    sums: dict[str, float] = {}
    for law, result in formulas:
        if found := PRODUCT.fullmatch(law):
            sums[found[2]] = sums.get(found[2], 0) + as_number(result)
    for score, total in sums.items():
        short = next(result for law, result in formulas if law.startswith(f"∂L/∂{score} = "))
        assert total == pytest.approx(as_number(short), abs=2e-4)
    assert len(sums) == (2 if "masked" in query else 3)


def test_a_probability_of_0_has_no_product(page: Page, server: str) -> None:
    open_page(page, server, "#network?scores=logits&z=0,2000,0&right=0&direction=backward&node=z4")
    shown = page.locator("#explanation")
    expect(shown).to_contain_text("−1/0 cannot be multiplied")
    expect(shown).to_contain_text("∂L/∂z₄ = a₄ − y₄= 0.0000 − 1 = −1.0000")


def test_a_gap_of_40_shows_no_false_arithmetic(page: Page, server: str) -> None:
    open_page(page, server)
    page.locator("#preset").select_option("confident")
    expect(page.locator("#loss")).to_have_text("8.50e−18")
    shown = explanation(page, "a5", "Forward")
    expect(shown).to_contain_text("∂a₅/∂z₅ = a₅(a₄ + a₆)= 1.0000 · (4.25e−18 + 4.25e−18) = 8.50e−18")
    shown = explanation(page, "L", "Forward")
    expect(shown).to_contain_text("∂L/∂z₅ = −(a₄ + a₆)= −(4.25e−18 + 4.25e−18) = −8.50e−18")
    expect(shown).to_contain_text("Four digits cannot tell this probability from 1.")


def test_a_node_shows_both_cases_of_the_derivative(page: Page, server: str) -> None:
    open_page(page, server)
    shown = explanation(page, "a5", "Forward")
    expect(shown).to_contain_text("∂a₅/∂z₅ = a₅(1 − a₅)= 0.2447 · (1 − 0.2447) = 0.1848")
    expect(shown).to_contain_text("∂a₅/∂z₆ = −a₅a₆= −0.2447 · 0.6652 = −0.1628")


def test_a_weight_shows_its_gradient_and_its_step(page: Page, server: str) -> None:
    open_page(page, server)
    shown = explanation(page, "w53", "Backward")
    expect(shown).to_contain_text("∂L/∂w₅₃ = ∂L/∂z₅ · o₃= (−0.7553) · 2 = −1.5105")
    expect(shown).to_contain_text("w₅₃ − η · ∂L/∂w₅₃= 1.2 − 0.1 · (−1.5105) = 1.3511")


def test_an_input_collects_the_gradient_of_every_score(page: Page, server: str) -> None:
    open_page(page, server)
    shown = explanation(page, "o2", "Backward")
    expect(shown).to_contain_text("0.0900 · 1.2 + (−0.7553) · (−0.8) + 0.6652 · 1 = 1.3775")
