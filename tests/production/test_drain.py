"""Test SIGTERM: no accepted request is lost, and the process ends in time."""

from __future__ import annotations

import asyncio
import gzip
import signal
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.bodies import JSON
from tests.connections import Reply, connection, get, head, post
from tests.processes import logging_to, running
from tests.production.looks import eventually, metric

if TYPE_CHECKING:
    from pathlib import Path

CLIENTS = 40
SMALL = post("/softmax", b'{"logits": [[2, 3, 4]]}')
LARGE = post("/gradient", b'{"logits": [%b[2, 3]], "targets": [%b1]}' % (b"[2, 3]," * 20_000, b"0," * 20_000))
SLACK_SECONDS = 3
"""Seconds that a busy machine, and a supervisor that polls signals twice a second, may add."""

LOST = "lost"
NOT_ACCEPTED = "not accepted"


async def hammer(address: str, sent: bytes, outcomes: Counter[str]) -> None:
    """Send requests until one is refused, on one connection as long as the server keeps it open."""
    while True:
        try:
            async with connection(address) as peer:
                closing = False
                while not closing:
                    reply = await peer.ask(sent)
                    outcomes[str(reply.status)] += 1
                    if reply.status == 503:
                        assert int(reply.headers["retry-after"]) > 0
                        return
                    closing = reply.headers.get("connection") == "close"
        except ConnectionRefusedError:
            outcomes[NOT_ACCEPTED] += 1
            return
        except (ConnectionError, asyncio.IncompleteReadError):
            outcomes[LOST] += 1
            return


async def left(process: subprocess.Popen[str], seconds: float) -> int:
    """Wait for the end of a process, and return its exit code."""
    return await asyncio.to_thread(process.wait, seconds)


async def more_than(count: int, outcomes: Counter[str]) -> bool:
    """Return whether more requests than that were answered 200."""
    return outcomes["200"] > count


async def readiness(address: str) -> int:
    """Return the status of /readyz on a new connection."""
    async with connection(address) as peer:
        return (await peer.ask(get("/readyz"))).status


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_process_leaving_under_load_loses_no_accepted_request(workers: str) -> None:
    with running("--workers", workers, "--drain-seconds", "2", "--graceful-shutdown-seconds", "20") as (address, it):
        outcomes = Counter[str]()
        async with asyncio.timeout(60), asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(hammer(address, LARGE if number % 4 == 0 else SMALL, outcomes))
            await asyncio.sleep(2)
            assert await eventually(lambda: more_than(CLIENTS, outcomes), wanted=True, seconds=20)
            assert await readiness(address) == 200
            answered = outcomes["200"]
            it.send_signal(signal.SIGTERM)
            assert await eventually(lambda: readiness(address), 503, 5)
        assert outcomes["200"] > answered
        assert outcomes[LOST] == 0
        assert outcomes.keys() <= {"200", "503", NOT_ACCEPTED, LOST}
        assert await left(it, 20) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_the_process_leaves_in_time_though_a_client_is_stuck(workers: str) -> None:
    with running("--workers", workers, "--graceful-shutdown-seconds", "3") as (address, it):
        async with connection(address) as sends_half, connection(address) as reads_nothing:
            await sends_half.send(head("/softmax", 1000) + b'{"logits": [')
            await reads_nothing.send(LARGE * 20)
            assert await eventually(lambda: asked(address), 2, 10)
            start = time.monotonic()
            it.send_signal(signal.SIGTERM)
            assert await left(it, 20) == 0
            assert 1 < time.monotonic() - start < 3 + SLACK_SECONDS


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_second_signal_ends_the_process_at_once(workers: str) -> None:
    with running("--workers", workers, "--graceful-shutdown-seconds", "60") as (address, it):
        async with connection(address) as stuck:
            await stuck.send(head("/softmax", 1000))
            assert await eventually(lambda: asked(address), 1, 10)
            it.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                await left(it, 3)
            it.send_signal(signal.SIGTERM)
            await left(it, 10)
            assert await asyncio.wait_for(stuck.ended(), 10) == b""


async def asked(address: str) -> int:
    """Return the number of requests in flight."""
    return int(await metric(address, "http_requests_in_flight"))


def slow_request() -> bytes:
    """Return a short request that keeps a thread busy: 30 MB of text, compressed, with a short answer."""
    row = b"[%b]" % b",".join([b"0.12345678901234567"] * 1000)
    text = b'{"logits":[%b],"outputs":["predictions"]}' % b",".join([row] * 1500)
    return post("/softmax", gzip.compress(text, 1), {**JSON, "Content-Encoding": "gzip"})


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_requests_at_work_are_answered_503_at_the_limit(tmp_path: Path, workers: str) -> None:
    slow = slow_request()
    log = tmp_path / "log"
    flags = ("--graceful-shutdown-seconds", "3", "--max-bytes-in-flight", "2000000000", "--max-wait-seconds", "60")
    with logging_to(log, "--workers", workers, *flags) as (address, it):

        async def ask() -> Reply:
            async with connection(address) as peer:
                return await peer.ask(slow)

        asking = [asyncio.create_task(ask()) for _ in range(60)]

        async def most_are_asked() -> bool:
            return await asked(address) > 40

        assert await eventually(most_are_asked, wanted=True, seconds=20)
        start = time.monotonic()
        it.send_signal(signal.SIGTERM)
        replies = await asyncio.wait_for(asyncio.gather(*asking), 20)
        assert await left(it, 10) == 0
        assert time.monotonic() - start < 3 + SLACK_SECONDS
    shed = [reply for reply in replies if reply.status == 503]
    assert shed
    assert all(b"/problems/draining" in reply.body and int(reply.headers["retry-after"]) > 0 for reply in shed)
    assert "Traceback" not in log.read_text(encoding="utf-8")
