"""Test several workers: one that dies or hangs is replaced, and /metrics adds up all."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from service.server.supervisor import HUNG_SECONDS
from tests.connections import ask_once, connection, get, head, post
from tests.processes import running
from tests.production.looks import eventually, idle, maps, metric, workers

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.side_by_side

CLIENTS = 8
FULL_SERVICE_SECONDS = 30
ANSWER_SECONDS = 10
"""Longest time of a response of a healthy worker beside one that hangs."""

FIRST_SIGN_SECONDS = 2
"""Longest time from a worker's files for gauges to its first sign of life, on a busy machine."""

SMALL = post("/softmax", b'{"logits": [[2, 3, 4]]}')


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[str, int]]:
    """Yield the address and the process id of a supervisor of two workers."""
    with running("--workers", "2") as (address, supervisor):
        yield address, supervisor.pid


@pytest.fixture(autouse=True)
async def full(service: tuple[str, int]) -> None:
    """Wait for both workers."""
    _, supervisor = service
    assert await eventually(lambda: count(supervisor), 2, FULL_SERVICE_SECONDS)


async def count(supervisor: int) -> int:
    """Return the number of workers."""
    return len(workers(supervisor))


async def ask_until(stop: asyncio.Event, address: str, outcomes: Counter[str]) -> None:
    """Send requests until stopped, and connect again when cut off."""
    while not stop.is_set():
        try:
            async with connection(address) as peer:
                while not stop.is_set():
                    outcomes[str((await peer.ask(SMALL)).status)] += 1
        except (ConnectionError, asyncio.IncompleteReadError):
            outcomes["cut off"] += 1


async def others(supervisor: int, lost: int) -> int:
    """Return the number of workers besides a lost one."""
    return len(workers(supervisor) - {lost})


async def test_metrics_add_up_what_all_workers_have_answered(service: tuple[str, int]) -> None:
    address, _ = service
    before = await metric(address, "http_requests_total", route="/softmax", status="200")

    async def ask(times: int) -> None:
        async with connection(address) as peer:
            for _ in range(times):
                assert (await peer.ask(SMALL)).status == 200

    await asyncio.gather(*(ask(10) for _ in range(30)))
    # a request is counted after its response
    assert await eventually(
        lambda: metric(address, "http_requests_total", route="/softmax", status="200"), before + 300, 5
    )


async def test_killed_worker_loses_only_what_it_had_in_flight(service: tuple[str, int]) -> None:
    address, supervisor = service
    killed, stays = workers(supervisor)
    outcomes, stop = Counter[str](), asyncio.Event()
    async with asyncio.TaskGroup() as clients:
        for _ in range(CLIENTS):
            clients.create_task(ask_until(stop, address, outcomes))
        await asyncio.sleep(1)
        os.kill(killed, signal.SIGKILL)
        assert await eventually(lambda: others(supervisor, killed), 2, FULL_SERVICE_SECONDS)
        await asyncio.sleep(1)
        stop.set()
    assert outcomes["200"] > CLIENTS
    assert outcomes["cut off"] <= CLIENTS
    assert outcomes.keys() <= {"200", "cut off"}
    assert await idle(address)
    # with the other one stopped, the new one answers
    os.kill(stays, signal.SIGSTOP)
    assert (await asyncio.wait_for(ask_once(address, get("/livez")), ANSWER_SECONDS)).status == 200
    os.kill(stays, signal.SIGCONT)


async def test_requests_of_a_killed_worker_are_no_longer_in_flight(service: tuple[str, int]) -> None:
    address, supervisor = service
    async with asyncio.TaskGroup() as clients, asyncio.timeout(30):

        async def wait_for_the_end() -> None:
            async with connection(address) as peer:
                await peer.send(head("/softmax", 1000) + b'{"logits": [')
                await peer.ended()

        for _ in range(CLIENTS):
            clients.create_task(wait_for_the_end())
        assert await eventually(lambda: metric(address, "http_requests_in_flight"), CLIENTS, 5)
        for pid in workers(supervisor):
            os.kill(pid, signal.SIGKILL)
    assert await idle(address)


async def test_a_worker_that_hangs_is_replaced(service: tuple[str, int]) -> None:
    address, supervisor = service
    stopped, _ = workers(supervisor)
    # a worker that stops before its first sign of life counts as one that starts, which has a minute
    await asyncio.sleep(FIRST_SIGN_SECONDS)
    os.kill(stopped, signal.SIGSTOP)
    assert (await asyncio.wait_for(ask_once(address, get("/livez")), ANSWER_SECONDS)).status == 200
    seconds = HUNG_SECONDS + FULL_SERVICE_SECONDS
    assert await eventually(lambda: others(supervisor, stopped), 2, seconds)


async def test_workers_leave_when_their_supervisor_is_killed() -> None:
    with running("--workers", "2") as (_, supervisor):
        assert await eventually(lambda: count(supervisor.pid), 2, FULL_SERVICE_SECONDS)
        orphans = workers(supervisor.pid)
        supervisor.kill()
        assert await eventually(lambda: alive(orphans), 0, FULL_SERVICE_SECONDS)


async def alive(pids: set[int]) -> int:
    """Return how many of these processes still run."""
    return sum(bool(maps(str(pid))) for pid in pids)


async def test_a_leaving_worker_refuses_nothing_beside_a_healthy_one(service: tuple[str, int]) -> None:
    address, supervisor = service
    leaving, _ = workers(supervisor)
    outcomes, stop = Counter[str](), asyncio.Event()

    async def ask_once_a_connection() -> None:
        while not stop.is_set():
            async with connection(address) as peer:
                outcomes[str((await peer.ask(SMALL)).status)] += 1

    async with asyncio.TaskGroup() as clients:
        for _ in range(CLIENTS):
            clients.create_task(ask_once_a_connection())
        async with connection(address) as stuck:
            await stuck.send(head("/softmax", 1000) + b"{")
            os.kill(leaving, signal.SIGTERM)
            await asyncio.sleep(3)
        assert await eventually(lambda: others(supervisor, leaving), 2, FULL_SERVICE_SECONDS)
        stop.set()
    assert outcomes.keys() == {"200"}


async def test_stopped_worker_keeps_no_other_from_leaving() -> None:
    with running("--workers", "2", "--graceful-shutdown-seconds", "3") as (_, supervisor):
        assert await eventually(lambda: count(supervisor.pid), 2, FULL_SERVICE_SECONDS)
        os.kill(workers(supervisor.pid).pop(), signal.SIGSTOP)
        supervisor.terminate()
        assert await asyncio.to_thread(supervisor.wait, 15) == 0
