"""Test a server in this process, from its start to its end."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import ssl
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from service.api.app import create_app
from service.api.observability import logs
from service.server.files import read_secrets
from service.server.listen import listening
from service.server.server import HEARTBEAT, Server
from service.settings import Settings
from tests.bodies import JSON
from tests.certificates import certificate
from tests.connections import ask_once, connection, get, post
from tests.processes import PATIENCE
from tests.production.looks import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from multiprocessing.connection import Connection
    from pathlib import Path


SMALL = post("/softmax", b'{"logits": [0, 0]}', {**JSON, "Authorization": "Bearer swordfish"})


@pytest.fixture(autouse=True)
def _logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the logging of the test run."""
    monkeypatch.setattr(logs, "configuration", lambda _: None)


@asynccontextmanager
async def serving(supervisor: Connection | None = None, **settings: Any) -> AsyncIterator[list[int]]:
    """Yield the ports of a server, which SIGTERM ends."""
    built = Settings(port=0, drain_seconds=0, **settings)
    kept = signal.getsignal(signal.SIGHUP)
    with listening(built) as listeners:
        server = Server(create_app(built), listeners, read_secrets(built).tls, supervisor)
        running = asyncio.create_task(server.serve(listeners.all))
        try:
            async with asyncio.timeout(PATIENCE):
                while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
                    await asyncio.sleep(0.01)
            yield [each.getsockname()[1] for each in listeners.all]
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(running, PATIENCE)
            signal.signal(signal.SIGHUP, kept)


async def test_supervisor_that_is_stopped_holds_no_worker_up() -> None:
    ours, theirs = multiprocessing.Pipe()
    os.set_blocking(theirs.fileno(), False)
    with ours, theirs:
        with suppress(BlockingIOError):
            while True:
                theirs.send_bytes(HEARTBEAT)
        os.set_blocking(theirs.fileno(), True)
        async with serving(supervisor=theirs) as (port,):
            # a worker gives a sign of life once a second
            await asyncio.sleep(1.2)
            assert (await ask_once(port, get("/livez"))).status == 200


async def test_responses_have_these_headers_and_no_other() -> None:
    async with serving(metrics_port=0) as ports:
        # the server makes the date once a second
        await asyncio.sleep(1.2)
        for port in ports:
            reply = await ask_once(port, get("/livez"))
            assert sorted(reply.headers) == ["content-length", "content-type", "date", "server-timing", "x-request-id"]


async def test_metrics_port_has_metrics_and_the_other_port_has_not() -> None:
    async with serving(metrics_port=0) as (port, metrics_port):
        assert (await ask_once(port, SMALL)).status == 200
        assert (await ask_once(port, get("/metrics"))).status == 404
        reply = await ask_once(metrics_port, get("/metrics"))
        assert b'http_requests_total{method="POST",route="/softmax",status="200"} 1.0' in reply.body
        assert (await ask_once(metrics_port, SMALL)).status == 404


@pytest.mark.parametrize("is_signalled", [False, True], ids=["watched", "SIGHUP"])
async def test_changed_keys_are_used_on_open_connections(tmp_path: Path, *, is_signalled: bool) -> None:
    file = tmp_path / "keys"
    file.write_text("tuna", encoding="ascii")
    async with serving(api_keys_file=file) as (port,), connection(port) as peer:
        assert (await peer.ask(SMALL)).status == 401
        file.write_text("swordfish", encoding="ascii")
        if is_signalled:
            os.kill(os.getpid(), signal.SIGHUP)

        async def status() -> int:
            return (await peer.ask(SMALL)).status

        assert await eventually(status, 200, PATIENCE)


async def test_changed_certificate_is_shown_to_new_connections(tmp_path: Path) -> None:
    old = certificate(tmp_path, "ours")
    before = ssl.create_default_context(cafile=old.chain)
    async with (
        serving(tls_certificate_file=old.chain, tls_key_file=old.key) as (port,),
        connection(f"https://127.0.0.1:{port}", before) as peer,
    ):
        new = certificate(tmp_path, "ours")
        after = ssl.create_default_context(cafile=new.chain)
        os.kill(os.getpid(), signal.SIGHUP)
        assert await eventually(lambda: is_accepted(port, after), wanted=True, seconds=PATIENCE)
        assert not await is_accepted(port, before)
        assert (await peer.ask(SMALL)).status == 200


async def is_accepted(port: int, context: ssl.SSLContext) -> bool:
    """Return whether a client that trusts one certificate alone can connect."""
    try:
        async with connection(f"https://127.0.0.1:{port}", context):
            return True
    except ssl.SSLCertVerificationError:
        return False
