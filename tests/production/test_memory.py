"""Test the memory that one request takes, and that clients can take before their requests are checked."""

from __future__ import annotations

import asyncio
import io
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.processes import reset_peaks
from tests.connections import ask_once, connection, get, head, post
from tests.processes import running
from tests.production.looks import MIB, memory

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = 300
MAX_MIB = 64
"""Memory that all attackers together may take, above an idle process."""

CHUNKED = b"POST /softmax HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

ATTACKS = {
    "unfinished heads": b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 60_000,
    "unread bodies": head("/softmax", 20_000_000) + b" " * 400_000,
    "trailers": CHUNKED + b"0\r\n" + b"a:b\r\n" * 100_000,
    "chunks of one byte": CHUNKED + b"1\r\n \r\n" * 5000,
    "requests ahead": get("/livez") * 50,
}


MAX_BODIES = 2.6
"""Memory that a request takes above an idle process, in units of its body."""


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[str, int]]:
    """Yield the address of a server and its process id."""
    with running() as (address, process):
        yield address, process.pid


@pytest.mark.parametrize("path", ["/softmax", "/softmax?outputs=probabilities"])
async def test_npy_request_takes_little_more_than_body_and_answer(path: str) -> None:
    stream = io.BytesIO()
    np.save(stream, np.ones((2500, 1000)))
    body = stream.getvalue()
    with running() as (address, process):
        assert (await ask_once(address, get("/livez"))).status == 200
        idle = memory(process.pid, "VmRSS")
        for _ in range(3):
            reset_peaks(process.pid)
            assert (await ask_once(address, post(path, body, {"Content-Type": "application/x-npy"}))).status == 200
            assert memory(process.pid, "VmHWM") - idle < MAX_BODIES * len(body) / MIB


@pytest.mark.parametrize("attack", ATTACKS)
async def test_many_attackers_take_little_memory(service: tuple[str, int], attack: str) -> None:
    address, pid = service
    before = memory(pid, "VmRSS")
    async with AsyncExitStack() as clients:
        for _ in range(CLIENTS):
            peer = await clients.enter_async_context(connection(address))
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            peer.writer.write(ATTACKS[attack])
        await asyncio.sleep(1)
        assert memory(pid, "VmRSS") - before < MAX_MIB
        async with asyncio.timeout(30), connection(address) as honest:
            assert (await honest.ask(get("/livez"))).status == 200
    assert memory(pid, "VmRSS") - before < MAX_MIB
