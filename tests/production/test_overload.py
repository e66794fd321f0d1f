"""Test more requests than fit in memory: some get 503, the others are answered, and memory is bounded."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from typing import TYPE_CHECKING

import pytest

from service.settings import Settings
from tests.connections import ask_once, post
from tests.processes import running
from tests.production.looks import MIB, idle, memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.connections import Reply

CLIENTS = 200
LIVE_SECONDS = 1
MOST_MEMORY = 5
"""Peak of resident memory above that of an idle process, in units of max_bytes_in_flight, with JSON in and JSON out."""

LEAST_ANSWERED = 4
"""Least number of answered requests. 8 bodies of 5 MiB fit into max_bytes_in_flight."""

ROWS = 5 * MIB // 200
LARGE = post(
    "/gradient",
    b'{"logits":[%b],"targets":[%b]}'
    % (b",".join([b"[%b]" % b",".join([b"-0.1234567890123456"] * 10)] * ROWS), b",".join([b"1"] * ROWS)),
)


@pytest.fixture
def service() -> Iterator[tuple[str, int]]:
    """Start a server with default settings, except that a request waits 1 s, and return its address and process id."""
    with running("--max-wait-seconds", "1") as (address, process):
        yield address, process.pid


async def burst(address: str) -> tuple[list[Reply], list[float]]:
    """Return the responses to many large requests at once, and the times of /livez meanwhile."""
    live = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.production.live", address, stdin=PIPE, stdout=PIPE
    )
    assert live.stdout is not None
    await live.stdout.readline()
    replies = await asyncio.gather(*(ask_once(address, LARGE) for _ in range(CLIENTS)))
    seconds, _ = await live.communicate(b"")
    return replies, json.loads(seconds)


async def test_requests_over_limit_are_shed_process_stays_alive_small(
    service: tuple[str, int],
) -> None:
    address, pid = service
    assert len(LARGE) > 5 * MIB
    before = memory(pid, "VmRSS")
    bound = MOST_MEMORY * Settings().max_bytes_in_flight / MIB
    for _ in range(2):
        replies, live = await asyncio.wait_for(burst(address), 60)
        assert {reply.status for reply in replies} == {200, 503}
        assert sum(reply.status == 200 for reply in replies) >= LEAST_ANSWERED
        assert all(int(reply.headers["retry-after"]) in range(1, 6) for reply in replies if reply.status == 503)
        assert sorted(live)[int(len(live) * 0.99)] < LIVE_SECONDS
        assert memory(pid, "VmHWM") - before < bound
        assert await idle(address)


async def test_a_client_after_a_burst_is_served(service: tuple[str, int]) -> None:
    address, _ = service
    await asyncio.wait_for(burst(address), 60)
    assert await idle(address)
    assert (await ask_once(address, LARGE)).status == 200


async def test_bodies_that_are_refused_are_not_kept(service: tuple[str, int]) -> None:
    address, pid = service
    refused = post("/softmax", b'{"logits": [%b1]}' % (b'"swordfish",' * 100_000))
    for _ in range(5):
        assert (await ask_once(address, refused)).status == 422
    before = memory(pid, "VmRSS")
    for _ in range(60):
        assert (await ask_once(address, refused)).status == 422
    assert memory(pid, "VmRSS") - before < 60
