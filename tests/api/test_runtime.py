"""Test where requests are worked on, how long they wait, and which are dropped."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
import threading
import time
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from service import operations
from service.api import endpoint
from service.api.runtime import TURN_SECONDS
from service.api.wire_formats import PlainFormat
from service.compute import blocks
from service.compute.blocks import usable_cores
from service.operations.size import RequestSize
from tests.bodies import BODY, JSON, body_of, compress, npz
from tests.connections import LEFT, application, connect, converse, piece
from tests.processes import PATIENCE
from tests.server.sockets import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.api.app import Service

LARGE = body_of(300_000)

DEEP = """
import asyncio
import threading

from tests.bodies import JSON
from tests.connections import connect

threading.stack_size(2**17)  # as musl has it

async def main():
    async with connect() as client:
        for opening in (b"[", b'{"a":'):
            reply = await client.post("/softmax", content=opening * 300_000, headers=JSON)
            print(reply.json()["type"])

asyncio.run(main())
"""
"""Program that sends JSON that is nested too deeply, in a process whose threads have a short stack."""


@pytest.fixture
def computed_in(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the threads that computed, in order."""
    names: list[str] = []
    compute = operations.execute

    def execute(*args: Any) -> Any:
        names.append(threading.current_thread().name)
        return compute(*args)

    monkeypatch.setattr(endpoint, "execute", execute)
    return names


@contextmanager
def busy(app: Service) -> Iterator[threading.Event]:
    """Keep all threads of an application busy until the event is set or the block ends."""
    free = threading.Event()
    for _ in range(usable_cores()):
        app.runtime.threads.submit(free.wait)
    try:
        yield free
    finally:
        free.set()


CASES = [
    (BODY, {}, False),
    (body_of(2**18), {}, False),
    (body_of(2**18 + 1), {}, True),
    (gzip.compress(BODY), {"Content-Encoding": "gzip"}, True),
    (npz(logits=np.zeros(2)), {"Content-Type": "application/x-npz"}, True),
    (b'{"logits": [%b0], "outputs": ["jacobian"]}' % (b"0," * 180), {}, False),
    (b'{"logits": [%b0], "outputs": ["jacobian"]}' % (b"0," * 181), {}, True),
    (b'{"logits": [%b0], "outputs": ["jacobian"]}' % (b"0," * 1999), {}, True),
    (b'{"inputs": [%b[0]], "weights": [%b[0]], "outputs": ["predictions"]}' % (b"[0]," * 199, b"[0]," * 199), {}, True),
]


@pytest.mark.parametrize(
    ("body", "headers", "threaded"),
    CASES,
    ids=[
        "a small body",
        "the largest small body",
        "a large body",
        "a compressed body",
        "an archive",
        "a small body with a jacobian of 32,761 elements",
        "a small body with a jacobian of 33,124 elements",
        "a small body with a jacobian of 4 million elements",
        "a small layer with 40,000 logits",
    ],
)
async def test_large_bodies_and_outputs_are_worked_on_in_a_thread(
    computed_in: list[str], body: bytes, headers: dict[str, str], threaded: Any
) -> None:
    async with connect() as client:
        assert (await client.post("/softmax", content=body, headers={**JSON, **headers})).status_code == 200
    (name,) = computed_in
    assert name.startswith("softmax") is threaded
    assert (name == threading.current_thread().name) is not threaded


async def test_event_loop_answers_others_during_large_outputs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = threading.Event()
    compute = operations.execute

    def execute(*args: Any) -> Any:
        # on the event loop this would never end
        assert answered.wait(PATIENCE)
        return compute(*args)

    monkeypatch.setattr(endpoint, "execute", execute)
    async with connect() as client:
        request = {"logits": [0] * 200, "outputs": ["jacobian"]}
        working = asyncio.create_task(client.post("/softmax", json=request))
        assert (await client.get("/livez")).status_code == 200
        assert not working.done()
        answered.set()
        assert (await working).status_code == 200


async def test_a_request_waits_for_a_thread(computed_in: list[str]) -> None:
    app = application()
    with busy(app) as free:
        waiting = asyncio.create_task(converse(app, "/softmax", [piece(LARGE)]))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        free.set()
        start, *_ = await asyncio.wait_for(waiting, PATIENCE)
    assert start["status"] == 200
    assert len(computed_in) == 1


async def test_a_request_waits_no_longer_than_the_longest_time(computed_in: list[str]) -> None:
    app = application(max_wait_seconds=0.05)
    with busy(app):
        start, body = await asyncio.wait_for(converse(app, "/softmax", [piece(LARGE)]), PATIENCE)
        assert start["status"] == 503
        assert b"/problems/overloaded" in body["body"]
        assert b"retry-after" in dict(start["headers"])
        assert app.runtime.admission.bytes == 0
    app.runtime.threads.shutdown()
    assert computed_in == []


async def test_work_that_has_begun_outlasts_the_longest_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, compute = threading.Event(), operations.execute

    def execute(*args: Any) -> Any:
        slow.wait(0.2)
        return compute(*args)

    monkeypatch.setattr(endpoint, "execute", execute)
    start, *_ = await converse(application(max_wait_seconds=0.05), "/softmax", [piece(LARGE)])
    assert start["status"] == 200


async def test_nothing_is_computed_for_a_client_that_left_waiting(computed_in: list[str]) -> None:
    app = application()
    with busy(app):
        assert await asyncio.wait_for(converse(app, "/softmax", [piece(LARGE), LEFT]), PATIENCE) == []
        assert app.runtime.admission.bytes == 0
    app.runtime.threads.shutdown()
    assert computed_in == []


async def test_nothing_is_computed_for_a_client_that_left_decoding(
    computed_in: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, reading, left = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def slowly(*_: object) -> None:
        loop.call_soon_threadsafe(reading.set)
        assert left.wait(PATIENCE)

    monkeypatch.setattr(RequestSize, "check", slowly)
    app = application()
    async with asyncio.timeout(PATIENCE):
        conversation = asyncio.create_task(converse(app, "/softmax", [piece(LARGE), LEFT]))
        await reading.wait()
        left.set()
        assert await conversation == []
    assert computed_in == []
    assert app.runtime.admission.bytes == 0


async def test_a_refusal_in_a_thread_is_an_answer_like_any_other() -> None:
    start, body = await converse(application(), "/softmax", [piece(b'{"logits": []}'.ljust(100_000))])
    assert start["status"] == 422
    assert b"/problems/empty-axis" in body["body"]


async def test_probes_are_answered_between_requests_that_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []
    probed: list[int] = []

    def execute(*args: Any) -> Any:
        time.sleep(2 * TURN_SECONDS)
        computed.append(len(probed))
        return operations.execute(*args)

    monkeypatch.setattr(endpoint, "execute", execute)
    async with connect() as client:
        asked = asyncio.gather(*(client.post("/softmax", content=BODY, headers=JSON) for _ in range(20)))
        while not asked.done():
            await asyncio.sleep(0)
            assert (await client.get("/livez")).status_code == 200
            probed.append(len(computed))
        assert {reply.status_code for reply in asked.result()} == {200}
    assert len(set(computed)) > 5


NUMBERS = 150_000
DENSE = b'{"logits": [0%b]}' % (b",0" * (NUMBERS - 1))
ARCHIVE = npz(compressed=True, logits=np.zeros(NUMBERS))


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (DENSE, JSON),
        (DENSE[:200_001] + b"]}", JSON),
        (compress(DENSE, "gzip"), {**JSON, "Content-Encoding": "gzip"}),
        (ARCHIVE, {"Content-Type": "application/x-npz", "Accept": "application/json"}),
    ],
    ids=["json", "short", "gzip", "npz"],
)
async def test_request_that_waits_for_memory_holds_no_tensors(
    monkeypatch: pytest.MonkeyPatch, body: bytes, headers: dict[str, str]
) -> None:
    app = application(max_bytes_in_flight=2**24, max_body_bytes=2**21)
    decoded: list[weakref.ref[Any]] = []
    negotiate = PlainFormat.negotiate

    def negotiate_and_note(*args: Any) -> Any:
        formats = negotiate(*args)

        def decode_and_note(*args: Any) -> Any:
            fields, write = formats.decode(*args)
            decoded.append(weakref.ref(fields["logits"]))
            return fields, write

        return formats._replace(decode=decode_and_note)

    monkeypatch.setattr(PlainFormat, "negotiate", negotiate_and_note)
    memory = app.runtime.admission
    memory.try_take(memory.max_bytes - 400_000)
    async with connect(app) as client:
        asked = asyncio.create_task(client.post("/softmax?outputs=predictions", content=body, headers=headers))
        await until(lambda: memory.waiting > 0 and bool(decoded))
        assert decoded[0]() is None
        memory.give_back(memory.max_bytes - 400_000)
        reply = await asked
    assert (reply.status_code, reply.json()) == (200, {"predictions": 0})
    assert memory.bytes == 0


def test_deep_json_is_refused_where_a_stack_is_short() -> None:
    ended = subprocess.run([sys.executable, "-c", DEEP], capture_output=True, text=True, check=False)
    assert ended.stdout.split() == ["/problems/not-an-object", "/problems/malformed-body"], ended


def test_there_is_no_thread_beyond_the_limit_of_the_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limit = tmp_path / "cpu.max"
    limit.write_text("100000 100000\n", encoding="ascii")
    monkeypatch.setattr(blocks, "CPU_LIMIT", limit)
    threads, free, started = application().runtime.threads, threading.Event(), threading.Event()
    threads.submit(free.wait, 10)
    second = threads.submit(started.set)
    assert not started.wait(0.05)
    free.set()
    second.result(10)
