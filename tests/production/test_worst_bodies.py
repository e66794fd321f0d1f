"""Test the worst bodies below the limit: they take bounded time and memory, and hold nobody up."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import zlib
from functools import cache
from http import HTTPStatus
from urllib.parse import urlsplit

import pytest

from bench import processes
from bench.bodies import BODIES, JSON, VALID, filled
from bench.worst_bodies import Outcome, request, send
from deploy.capacity import memory_bytes
from service.settings import Settings
from tests.connections import ask_once, post
from tests.processes import running

CLIENTS = 8

MAX_RATIO = 1.5
"""CPU time of a refused body, in units of the valid body that costs the most; about 1.0 on an idle machine."""

MAX_MIB = memory_bytes(Settings().max_bytes_in_flight) / 2**20
"""The memory of a process, as docs/sizing.md states it."""

LIVE_SECONDS, SLOWEST_LIVE_SECONDS = 0.25, 0.6

PROGRAM = """
import re, sys, time
from pathlib import Path
from service.errors import ServiceError
from service.formats.json_decode import decode
from service.operations import OPERATIONS
from service.settings import Settings
body = bytearray(sys.stdin.buffer.read())
start = time.process_time()
try:
    decode(body, OPERATIONS[1], max_elements=Settings().max_elements)
except ServiceError as error:
    pass
seconds = time.process_time() - start
print(seconds, int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""
"""Decode the body on stdin, and print the seconds and the memory that it took."""


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_worst_bodies_are_answered_in_bounded_time_and_memory(*, compressed: bool) -> None:
    live, broken = [], {}
    with running() as (address, process):

        def outcome(name: str) -> Outcome:
            return send(process.pid, urlsplit(address).port or 0, request(BODIES[name], compressed=compressed))

        def slowest_valid_seconds() -> float:
            return max(outcome(name).cpu_seconds for name in VALID)

        seconds = slowest_valid_seconds()
        for name, case in BODIES.items():
            found, ratio = outcome(name), MAX_RATIO if case.status != HTTPStatus.OK else math.inf
            if found.cpu_seconds > ratio * seconds or max(found.live, default=0) > SLOWEST_LIVE_SECONDS:
                # the machine may have become slower, or may have paused
                seconds, found = slowest_valid_seconds(), outcome(name)
            live += found.live
            if found.status != case.status or found.cpu_seconds > ratio * seconds or found.peak_mib > MAX_MIB:
                broken[name] = (found.status, round(found.cpu_seconds / seconds, 2), round(found.peak_mib))
    assert not broken
    live.sort()
    assert live[int(len(live) * 0.99)] < LIVE_SECONDS
    assert live[-1] < SLOWEST_LIVE_SECONDS


async def test_raw_deflate_bombs_wait_for_the_memory_of_their_text() -> None:
    text = filled(b'{"logits":[1', b" ", b"]}")
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = compressor.compress(text) + compressor.flush()
    assert len(bomb) < len(text) / 1000
    sent = post("/softmax", bomb, {"Content-Type": JSON, "Content-Encoding": "deflate"})
    with running() as (address, process):
        replies = await asyncio.gather(*(ask_once(address, sent) for _ in range(CLIENTS)))
        assert [reply.status for reply in replies] == [200] * CLIENTS
        assert processes.peak_bytes(process.pid) / 2**20 < MAX_MIB


def decoding(name: str) -> tuple[float, float]:
    """Return the CPU seconds and the MiB that the portable codec takes to decode a body."""
    environment = {"SOFTMAX_JSON_CODEC": "portable", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, input=BODIES[name].make(), capture_output=True, check=True, env=environment)
    seconds, mebibytes = map(float, done.stdout.split())
    return seconds, mebibytes


@cache
def slowest_valid_seconds() -> float:
    return max(decoding(name)[0] for name in VALID)


@pytest.mark.parametrize("name", [name for name, case in BODIES.items() if (case.path, case.type) == ("/loss", JSON)])
def test_portable_codec_decodes_the_worst_body_within_bounds(name: str) -> None:
    seconds, mebibytes = decoding(name)
    if seconds > MAX_RATIO * slowest_valid_seconds():
        # the machine may have become slower since
        slowest_valid_seconds.cache_clear()
        seconds, mebibytes = decoding(name)
    assert seconds < MAX_RATIO * slowest_valid_seconds()
    assert mebibytes < MAX_MIB
