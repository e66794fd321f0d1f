"""Test the memory that one request takes, and that clients can take before their requests are checked."""

from __future__ import annotations

import asyncio
import io
import socket
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
import pytest

from bench.processes import reset_peaks
from service.settings import Settings
from tests.connections import ask_once, get, head, post
from tests.processes import running
from tests.production.looks import MIB, memory

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = 700
MAX_MIB = 64
"""Memory that all attackers together may take, above an idle process and what is reserved."""

CHUNKED = b"POST /softmax HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

LONG = {"Content-Type": "application/json", "X": "a" * 60_000}

ATTACKS = {
    "unfinished heads": [b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 60_000],
    "idle after a long head": [get("/livez").replace(b"test", b"test\r\nX: " + b"a" * 60_000)],
    "long heads of waiting requests": [head("/softmax", 20_000_000, LONG)],
    "unread bodies": [head("/softmax", 20_000_000) + b" " * 400_000],
    "unread bodies behind their heads": [head("/softmax", 20_000_000), b" " * 400_000],
    "trailers": [CHUNKED + b"0\r\n" + b"a:b\r\n" * 100_000],
    "chunks of one byte": [CHUNKED + b"1\r\n \r\n" * 5000],
    "requests ahead": [get("/livez") * 50],
}
"""The pieces that each client sends. All clients send the first before one sends the second."""

RESERVING = {
    "incomplete bodies": [head("/softmax", 262_000), b" " * 261_999],
    "long chunks": [CHUNKED, b"200000\r\n" + b" " * 400_000],
    "unread responses": [post("/softmax", b'{"logits":[%b0],"outputs":["jacobian"]}' % (b"0.123," * 179))],
}
"""Attacks whose memory is reserved: at most `max_bytes_in_flight`, and 2.5 times as much as text."""

MAX_BODIES = 2.6
"""Memory that a request takes above an idle process, in units of its body."""


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


@pytest.mark.parametrize("attack", ATTACKS | RESERVING)
async def test_many_attackers_take_little_memory(attack: str) -> None:
    max_mib = MAX_MIB + (attack in RESERVING) * 2.5 * Settings().max_bytes_in_flight / MIB
    with running() as (address, process), ExitStack() as stack:
        assert (await ask_once(address, get("/livez"))).status == 200
        before = memory(process.pid, "VmRSS")
        clients = [stack.enter_context(client_of(address, attack)) for _ in range(CLIENTS)]
        for piece in (ATTACKS | RESERVING)[attack]:
            for client in clients:
                # the server may read only some of it, or close the connection
                with suppress(BlockingIOError, ConnectionError):
                    client.send(piece)
        await asyncio.sleep(1)
        assert (await ask_once(address, get("/livez"))).status == 200
        assert memory(process.pid, "VmHWM") - before < max_mib


@contextmanager
def client_of(address: str, attack: str) -> Iterator[socket.socket]:
    """Yield a connection that does not block."""
    url = urlsplit(address)
    with socket.socket() as client:
        if attack == "unread responses":
            # the kernel of the server then holds little of them
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        client.connect((url.hostname, url.port))
        client.settimeout(0)
        yield client
