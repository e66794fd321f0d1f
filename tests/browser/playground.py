"""Helpers of the playground tests: opening views, typing, and reading what the page shows."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from playwright.sync_api import expect

if TYPE_CHECKING:
    import httpx
    import numpy.typing as npt
    from playwright.sync_api import Locator, Page

expect.set_options(timeout=20_000)  # a busy machine is slow, and a passing test never waits that long

DROP = """([selector, files]) => {
  const dataTransfer = new DataTransfer();
  for (const [name, content] of files) {
    const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
    dataTransfer.items.add(new File([bytes], name));
  }
  const options = { dataTransfer, cancelable: true, bubbles: true };
  document.querySelector(selector).dispatchEvent(new DragEvent("drop", options));
}"""

SHOWN = """() => Array.from(document.querySelectorAll("#network-view [data-output]"), (element) => [
  element.dataset.output, element.dataset.value, element.textContent
])"""
"""Return each number of a reply on the page: its field, all its digits, and its text."""

SECONDS_TO_SETTLE = 20

ARTICLE = ["0.0900", "0.2447", "0.6652"]
"""Probabilities of the example of the article, as the page writes them."""


def open_page(page: Page, server: str, address: str = "") -> None:
    """Open the playground at a fragment, and wait for the answer to its first request."""
    page.goto(f"{server}/playground{address}")
    expect(page.locator("#loss")).not_to_have_text("–")


def type_into(field: Locator, text: str) -> None:
    """Replace the text of a field with the keyboard, as a person does."""
    field.click()
    field.press("Control+A")
    field.press("Delete")
    field.press_sequentially(text)


def number_field(page: Page, name: str) -> Locator:
    """Find the field for a number of the network."""
    return page.get_by_role("spinbutton", name=name, exact=True)


def drop(page: Page, selector: str, files: dict[str, bytes]) -> None:
    """Drop files on an element."""
    encoded = [[name, base64.b64encode(content).decode()] for name, content in files.items()]
    page.evaluate(DROP, [selector, encoded])


def show(page: Page) -> None:
    """Show the given data, and wait for the result."""
    page.get_by_role("button", name="Show", exact=True).click()
    page.locator("#results:not([hidden])").wait_for()


def evaluate(
    http: httpx.Client, logits: npt.NDArray[Any], labels: npt.NDArray[Any], **parameters: Any
) -> dict[str, Any]:
    """Return the answer of the service for rows with labels."""
    outputs = ["loss", "row_losses", "accuracy", "probabilities", "predictions"]
    request = {"logits": logits.tolist(), "targets": labels.tolist(), "outputs": outputs, **parameters}
    answer: dict[str, Any] = http.post("/loss", json=request).raise_for_status().json()
    return answer


def output(page: Page, name: str) -> float:
    """Return a number of the reply in the data view."""
    return float(page.locator(f"#results [data-output={name}]").get_attribute("data-value") or "nan")


def request(page: Page) -> dict[str, Any]:
    """Return the request that the network view shows."""
    command = page.locator("#network-exchange-request").inner_text()
    found: dict[str, Any] = json.loads(command.split("-d '")[1].removesuffix("'"))
    return found


def reply(page: Page) -> dict[str, Any]:
    """Return the reply that the network view shows."""
    found: dict[str, Any] = json.loads(page.locator("#network-exchange-reply").inner_text() or "{}")
    return found


def settle(page: Page, http: httpx.Client, **numbers: Any) -> dict[str, Any]:
    """Wait until the page shows the service's reply to a request with these numbers, by their paths. Return the reply."""
    deadline = time.monotonic() + SECONDS_TO_SETTLE
    while time.monotonic() < deadline:
        sent = request(page)
        answer: dict[str, Any] = http.post("/gradient", json=sent).json()
        shown = reply(page)
        if has(sent, numbers) and same(shown, answer):
            return shown
        page.wait_for_timeout(50)
    raise AssertionError(f"the page did not settle: {request(page)}, {reply(page)}")


def has(sent: dict[str, Any], numbers: dict[str, Any]) -> bool:
    """Return whether a request has these numbers, by their paths."""
    return all(path.split(".")[0] in sent and at(sent, path) == value for path, value in numbers.items())


def same(shown: dict[str, Any], answer: dict[str, Any]) -> bool:
    """Return whether two answers are equal, apart from the request id of an error."""
    return {**shown, "instance": None} == {**answer, "instance": None}


def rest(page: Page) -> None:
    """Wait until the animations and transitions of the page have ended."""
    page.evaluate("() => Promise.allSettled(document.getAnimations().map((animation) => animation.finished))")


def values(page: Page, *names: str) -> list[str]:
    """Return the numbers in nodes of the picture."""
    return [page.locator(f"[data-name={name}] .value").text_content() or "" for name in names]


def at(message: dict[str, Any], path: str) -> Any:
    """Return a number of a message by its path, such as weights_gradient.0.2."""
    found: Any = message
    for part in path.split("."):
        found = found[int(part)] if isinstance(found, list) else found[part]
    return found


def written(value: Any) -> str:
    """Return a number as the page writes it."""
    number = float(value)
    size = abs(number)
    if np.isinf(number):
        text = "∞" if number > 0 else "-∞"
    elif number and (size < 1e-4 or size >= 1e5):
        text = re.sub(r"e([+-])0*(\d)", r"e\1\2", f"{number:.2e}")
    else:
        text = f"{number:.4f}" if size < 100 else f"{number:#.6g}"
    return text.replace("-", "−")


def as_number(text: str) -> float:
    """Return the number that the page wrote."""
    return float(text.replace("−", "-").replace("∞", "inf"))
