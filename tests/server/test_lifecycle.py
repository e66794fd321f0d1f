"""From the signal to leave until the process has left."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from service.api.app import create_app
from service.api.lifecycle import Lifecycle
from service.errors import Draining
from service.server.lifecycle import lifespan
from service.settings import Settings
from tests.api.clients import BODY, JSON, application, connect, converse, piece

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def server() -> Iterator[None]:
    """Signals are a server's, which does nothing at them, while the block runs."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def test_a_process_that_leaves_says_so_and_still_takes_requests() -> None:
    app = application(drain_seconds=0.1)
    draining = asyncio.create_task(app.runtime.lifecycle.drain(0.1))
    await asyncio.sleep(0)
    async with connect(app) as client:
        for path in ("/readyz", "/v2/health/ready", "/v2/models/softmax/ready"):
            reply = await client.get(path)
            assert (reply.status_code, reply.json()) == (503, {"ready": False})
        assert (await client.get("/livez")).status_code == 200
        assert (await client.post("/softmax", content=BODY, headers=JSON)).status_code == 200
        await draining
        reply = await client.post("/softmax", content=BODY, headers=JSON)
        assert (reply.status_code, reply.json()["type"]) == (503, "/problems/draining")
        assert 1 <= int(reply.headers["Retry-After"]) <= 5
        assert (await client.get("/livez")).status_code == 200


async def test_a_request_that_is_taken_is_answered_before_the_process_leaves() -> None:
    app = application()
    sent = asyncio.Event()

    async def slow() -> int:
        async with connect(app) as client:

            async def body() -> Any:
                yield BODY[:5]
                await sent.wait()
                yield BODY[5:]

            return (await client.post("/softmax", content=body(), headers=JSON)).status_code

    asking = asyncio.create_task(slow())
    await asyncio.sleep(0.01)
    draining = asyncio.create_task(app.runtime.lifecycle.drain(0))
    await asyncio.sleep(0.05)
    assert not draining.done()
    sent.set()
    assert await asking == 200
    await asyncio.wait_for(draining, 5)


async def test_a_process_with_nothing_to_answer_leaves_at_once() -> None:
    lifecycle = Lifecycle(Settings())
    await asyncio.wait_for(lifecycle.drain(0), 1)
    with pytest.raises(Draining):
        lifecycle.check()


async def test_a_process_leaves_in_time_whoever_is_still_waiting() -> None:
    lifecycle = Lifecycle(Settings(graceful_shutdown_seconds=2, drain_seconds=0))
    lifecycle.begin()
    start = time.monotonic()
    await lifecycle.drain(0)
    assert 0.4 < time.monotonic() - start < 2


async def test_the_last_of_several_requests_lets_the_process_leave() -> None:
    lifecycle = Lifecycle(Settings())
    lifecycle.begin()
    lifecycle.begin()
    draining = asyncio.create_task(lifecycle.drain(0))
    await asyncio.sleep(0.01)
    lifecycle.end()
    await asyncio.sleep(0.01)
    assert not draining.done()
    lifecycle.end()
    await asyncio.wait_for(draining, 1)


@pytest.mark.parametrize(("number", "waits"), [(signal.SIGTERM, True), (signal.SIGINT, False)])
async def test_a_signal_reaches_the_server_once_the_process_is_drained(number: signal.Signals, waits: object) -> None:
    arrived = asyncio.Event()
    with server():
        signal.signal(number, lambda *_: arrived.set())
        app = create_app(Settings(drain_seconds=0.2))
        lifecycle = app.runtime.lifecycle
        async with asyncio.timeout(5), lifespan(app):
            start = time.monotonic()
            os.kill(os.getpid(), number)
            await asyncio.sleep(0)
            assert lifecycle.leaving
            await arrived.wait()
        # whoever is at the keyboard is no balancer
        assert (time.monotonic() - start >= 0.2) is waits


async def test_a_second_signal_ends_the_process_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    with server():
        async with lifespan(create_app(Settings(drain_seconds=0.05))):
            os.kill(os.getpid(), signal.SIGTERM)
            assert ended == []
            os.kill(os.getpid(), signal.SIGINT)
            assert ended == [128 + signal.SIGINT]


async def test_the_handlers_of_signals_are_put_back() -> None:
    with server():
        before = [signal.getsignal(number) for number in SIGNALS]
        async with lifespan(create_app(Settings())):
            assert [signal.getsignal(number) for number in SIGNALS] != before
        assert [signal.getsignal(number) for number in SIGNALS] == before


async def test_a_worker_leaves_the_interruption_of_a_terminal_to_its_supervisor() -> None:
    with server():
        async with lifespan(create_app(Settings(workers=2))):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


async def test_a_worker_whose_event_loop_stands_still_is_to_end_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    put_off: list[tuple[float, bool]] = []
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda after, exit: put_off.append((after, exit)))  # noqa: A006
    monkeypatch.setattr("service.server.lifecycle.HUNG_SECONDS", 0.1)
    monkeypatch.setattr("service.server.lifecycle.WATCH_SECONDS", 0.01)
    with server():
        async with lifespan(create_app(Settings(workers=2))):
            await asyncio.sleep(0.1)
    assert len(put_off) > 2
    assert set(put_off) == {(0.1, True)}


def test_the_signals_of_a_program_that_runs_the_application_in_a_thread_are_its_own() -> None:
    seen: list[object] = []

    async def start() -> None:
        async with lifespan(create_app(Settings())):
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=asyncio.run, args=(start(),))
    thread.start()
    thread.join(10)
    assert seen == [before]


async def test_a_refusal_of_a_process_that_leaves_comes_before_the_body_is_read() -> None:
    app = application()
    app.runtime.lifecycle.refusing = True
    start, _ = await converse(app, "/softmax", [piece(b"", more=True)])
    assert start["status"] == 503
