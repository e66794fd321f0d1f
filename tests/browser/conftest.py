"""A headless Chromium that may reach only the service."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.browser.playground import open_page

if TYPE_CHECKING:
    from collections.abc import Iterator

FLAGS = [
    "--no-sandbox",  # a container runs it as root, and it opens only pages of this project
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ELSEWHERE = re.compile(r"^(?!https?://(127\.0\.0\.1|localhost|\[::1\])[:/]|data:|blob:)")
SCREENSHOTS = Path(".screenshots")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Yield the headless Chromium of Debian. A complete Chromium takes twice the time, because its window is a page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium-headless-shell"), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Yield a page that reaches only loopback. Another request, or an error in its console, fails the test."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.set_default_timeout(20_000)
        complaints: list[str] = []

        def guard(route: Route) -> None:
            complaints.append(f"asked for {route.request.url}")
            route.abort()

        page.route(ELSEWHERE, guard)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        yield page
        # Chromium reports error responses of the API in the console; tests cause them on purpose.
        assert [said for said in complaints if not said.startswith("Failed to load resource")] == []


@pytest.fixture
def data(page: Page, server: str) -> Page:
    """Return a page with the data view of the playground."""
    open_page(page, server, "#data")
    return page


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Return the folder for screenshots of the pages."""
    SCREENSHOTS.mkdir(exist_ok=True)
    return SCREENSHOTS
