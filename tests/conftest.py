"""What tests of several folders share."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from service.api.app import create_app
from service.settings import Settings
from tests.integration.serving import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# how long an example takes says more of the machine than of the code; some environments of the tests do without examples
with suppress(ImportError):
    from hypothesis import settings

    settings.register_profile("patient", deadline=None)
    settings.load_profile("patient")


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that the service runs on."""
    return "asyncio"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """The application in this process, without a socket."""
    transport = httpx.ASGITransport(create_app(Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Address of a real server process on a free port of loopback. It ends with the session."""
    with running() as (address, _):
        yield address


@pytest.fixture(scope="session")
def http(server: str) -> Iterator[httpx.Client]:
    """A client of the real server."""
    with httpx.Client(base_url=server, timeout=60) as client:
        yield client
