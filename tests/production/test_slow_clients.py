"""Test clients that send slowly, read nothing or leave: they delay no other client and keep no memory."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import ExitStack, suppress
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.connections import ask_once, connection, get, head, post
from tests.processes import running
from tests.production.looks import MIB, eventually, idle, in_flight, metric

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOW = 50
READ_NOTHING = 3
BODY_SECONDS = 4
KEEP_ALIVE_SECONDS = 3
SLACK_SECONDS = 4
"""Seconds that a busy machine may add."""

SMALL = post("/softmax", b'{"logits": [[2, 3, 4]]}')
BODY = b'{"logits": [%b[2, 3]]}' % (b"[2, 3]," * 150_000)
LARGE = post("/softmax", BODY)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Yield the address of a server with short timeouts."""
    with running(
        *("--body-timeout-seconds", str(BODY_SECONDS)), *("--keep-alive-seconds", str(KEEP_ALIVE_SECONDS))
    ) as (address, _):
        yield address


async def seconds_of_a_request(address: str, times: int = 150) -> float:
    """Return the median time of a small request."""
    seconds = []
    async with connection(address) as peer:
        for _ in range(times):
            start = time.perf_counter()
            assert (await peer.ask(SMALL)).status == 200
            seconds.append(time.perf_counter() - start)
    return median(seconds)


async def trickle(address: str, sent: bytes) -> bytes:
    """Return the last bytes for a client that sends a byte at a time."""
    async with connection(address) as peer:
        with suppress(ConnectionError):
            for byte in sent:
                await peer.send(bytes([byte]))
                await asyncio.sleep(0.5)
        return await peer.ended()


async def stall(address: str, sent: bytes) -> bytes:
    """Return the last bytes for a client that sends the beginning of a request and no more."""
    async with connection(address) as peer:
        await peer.send(sent)
        return await peer.ended()


async def test_slow_senders_delay_no_client_and_are_refused(address: str) -> None:
    quiet = await seconds_of_a_request(address)
    start = time.monotonic()
    sent = len(b'{"logits": [')
    clients = {
        "bytes of a head": [trickle(address, LARGE[:100]) for _ in range(SLOW // 5)],
        "half a head": [stall(address, LARGE[:30]) for _ in range(SLOW // 5)],
        "nothing": [stall(address, b"") for _ in range(SLOW // 5)],
        "a head": [stall(address, head("/softmax", 5 * MIB)) for _ in range(SLOW // 5)],
        "half a body": [stall(address, head("/softmax", 5 * MIB) + b'{"logits": [') for _ in range(SLOW // 5)],
    }
    waiting = {name: asyncio.gather(*each) for name, each in clients.items()}
    # the clients announce 100 MiB, twice the limit
    assert await eventually(lambda: in_flight(address), (2 * SLOW // 5, sent * SLOW // 5), BODY_SECONDS)
    assert await seconds_of_a_request(address) < 5 * quiet + 0.005
    ends = {name: await asyncio.wait_for(each, 60) for name, each in waiting.items()}
    assert time.monotonic() - start < BODY_SECONDS + KEEP_ALIVE_SECONDS + SLACK_SECONDS
    for name in ("bytes of a head", "half a head", "nothing"):
        assert set(ends[name]) == {b""}
    for name in ("a head", "half a body"):
        assert all(end.startswith(b"HTTP/1.1 408 ") and b"/problems/slow-body" in end for end in ends[name])
    assert await idle(address)


async def test_a_body_that_arrives_slowly_but_in_time_is_answered(address: str) -> None:
    async with connection(address) as peer:
        for piece in (SMALL[:40], SMALL[40:-5], SMALL[-5:-1], SMALL[-1:]):
            await peer.send(piece)
            await asyncio.sleep(0.3)
        assert (await peer.receive()).status == 200


async def leave(address: str, sent: bytes, seconds: float) -> None:
    """Send bytes, wait some seconds, and abort the connection."""
    async with connection(address) as peer:
        await peer.send(sent)
        await asyncio.sleep(seconds)
        peer.writer.transport.abort()


@pytest.mark.parametrize("seconds", [0, 0.02, 0.1, 0.3])
async def test_client_leaving_at_any_moment_leaves_nothing_in_flight(address: str, seconds: float) -> None:
    for sent in (LARGE[: len(LARGE) // 2], LARGE):
        await asyncio.gather(*(leave(address, sent, seconds) for _ in range(10)))
        assert await idle(address)
    assert (await ask_once(address, SMALL)).status == 200


async def test_client_not_reading_its_answer_is_dropped_holds_nothing(address: str) -> None:
    url = urlsplit(address)
    with ExitStack() as stack:
        # plain sockets, because an asyncio stream reads in the background
        for _ in range(READ_NOTHING):
            peer = stack.enter_context(socket.create_connection((url.hostname, url.port)))
            await asyncio.to_thread(peer.sendall, LARGE)
        assert await eventually(lambda: metric(address, "http_requests_in_flight"), READ_NOTHING, SLACK_SECONDS)
        assert await idle(address, KEEP_ALIVE_SECONDS + SLACK_SECONDS)


async def test_a_connection_without_a_request_is_closed(address: str) -> None:
    async with connection(address) as peer:
        assert (await peer.ask(get("/livez"))).status == 200
        start = time.monotonic()
        assert await asyncio.wait_for(peer.ended(), KEEP_ALIVE_SECONDS + SLACK_SECONDS) == b""
        assert time.monotonic() - start > KEEP_ALIVE_SECONDS / 2
