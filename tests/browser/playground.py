"""What the tests of the playground do with the page."""

from __future__ import annotations

import base64
import io
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from playwright.sync_api import expect

if TYPE_CHECKING:
    import numpy.typing as npt
    from playwright.sync_api import Page

DROP = """([selector, name, content]) => {
  const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name));
  document.querySelector(selector).dispatchEvent(new DragEvent("drop", { dataTransfer, cancelable: true }));
}"""
"""Drops a file on an element, as a hand would."""

SHOWN = """() => Array.from(document.querySelectorAll("[data-output]"), (element) => [
  element.dataset.output, element.dataset.value, element.textContent
])"""
"""Every number of a reply that is on the page: which, with all its digits, and as it is written."""

DIGITS = re.compile(r"−?\d+\.\d{4}|−?\d\.\d\de[+−]\d+|∞|–")


def open_page(page: Page, server: str, view: str = "network") -> None:
    """The page, once it shows the answer to its first request."""
    page.goto(f"{server}/playground#{view}")
    expect(page.locator("#loss")).not_to_have_text("–")


def drop(page: Page, field: str, name: str, content: bytes) -> None:
    """A file dropped on the field for logits or labels."""
    page.evaluate(DROP, [f"#{field}-drop", name, base64.b64encode(content).decode()])


def show(page: Page) -> None:
    """Shows the data that was given, and waits until it is on the page."""
    page.get_by_role("button", name="Show", exact=True).click()
    page.locator("#results:not([hidden])").wait_for()


def npy(array: npt.NDArray[Any]) -> bytes:
    """An array as a .npy file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def request(page: Page) -> dict[str, Any]:
    """The request that the page shows."""
    command = page.locator("#network-exchange-request").inner_text()
    found: dict[str, Any] = json.loads(command.split("-d '")[1].removesuffix("'"))
    return found


def reply(page: Page) -> dict[str, Any]:
    """The reply that the page shows."""
    found: dict[str, Any] = json.loads(page.locator("#network-exchange-reply").inner_text())
    return found


def at(answer: dict[str, Any], path: str) -> Any:
    """A number of an answer: weights_gradient.0.2, say."""
    found: Any = answer
    for part in path.split("."):
        found = found[int(part)] if isinstance(found, list) else found[part]
    return found


def written(value: Any) -> str:
    """A number as the page writes it."""
    number = float(value)
    text = f"{number:.2e}" if number and (abs(number) < 1e-4 or abs(number) >= 1e5) else f"{number:.4f}"
    return re.sub(r"e([+-])0*(\d)", r"e\1\2", text).replace("-", "−")
