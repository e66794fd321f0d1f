"""Test a server under mixed and hostile traffic: every honest client is answered, and nothing is kept."""

from __future__ import annotations

from urllib.parse import urlsplit

from bench.soak import soak
from tests.processes import running

SECONDS = 15


async def test_honest_clients_beside_attackers_are_answered() -> None:
    with running() as (address, process):
        assert await soak(process.pid, urlsplit(address).port or 0, SECONDS) == ""
