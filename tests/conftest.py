"""Fixtures shared by several folders."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from service.api.app import Service, create_app
from service.settings import Settings
from tests.processes import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# some test environments have no Hypothesis; the time of an example depends on the machine
with suppress(ImportError):
    from hypothesis import settings

    # CI does not fail by chance; elsewhere each run tries other examples
    repeats = "CI" in os.environ
    settings.register_profile("quick", deadline=None, max_examples=30, derandomize=repeats)
    settings.register_profile("thorough", deadline=None, max_examples=150, derandomize=repeats)
    settings.load_profile("quick")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one worker more than there are cores, since many tests wait for a server."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture
def anyio_backend() -> str:
    """Return the event loop that the service runs on."""
    return "asyncio"


@pytest.fixture(scope="module")
def app() -> Service:
    """Return the application with default settings; the tests of a module share it."""
    return create_app(Settings())


@pytest.fixture
async def client(app: Service) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the application in this process, without a socket."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Yield the address of a real server process, which ends with the session."""
    with running() as (address, _):
        yield address


@pytest.fixture(scope="session")
def http(server: str) -> Iterator[httpx.Client]:
    """Yield a client of the real server process."""
    with httpx.Client(base_url=server, timeout=60) as client:
        yield client
