"""A Unix socket in place of a port, and metrics on a port of their own."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.connections import connection, get, post
from tests.processes import command, environment, free_port, running
from tests.production.looks import eventually, metric

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.side_by_side

SECONDS = 20

SMALL = post("/softmax", b'{"logits": [2, 3, 4]}')


async def status(address: str, path: str) -> int:
    """Return the status of a GET."""
    async with connection(address) as peer:
        return (await peer.ask(get(path))).status


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_unix_socket_is_served_and_removed_at_the_end(tmp_path: Path, workers: str) -> None:
    path = tmp_path / "socket"
    with running("--uds", str(path), "--workers", workers) as (address, process):
        assert address == f"unix:{path}"
        async with connection(address) as peer:
            for _ in range(3):
                assert (await peer.ask(SMALL)).status == 200
        process.terminate()
        assert await asyncio.to_thread(process.wait, SECONDS) == 0
    assert not path.exists()


async def test_unix_socket_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with running("--uds", str(path)) as (_, process):
        process.kill()
        process.wait()
    assert path.is_socket()
    with running("--uds", str(path)) as (address, _):
        assert await status(address, "/livez") == 200


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_metrics_port_has_metrics_and_probes_alone(workers: str) -> None:
    port = str(free_port())
    metrics = f"http://127.0.0.1:{port}"
    with running("--metrics-port", port, "--workers", workers, "--api-keys", "swordfish") as (address, _):
        for path, on_port, on_metrics_port in (
            ("/metrics", 404, 200),
            ("/livez", 200, 200),
            ("/readyz", 200, 200),
            ("/", 200, 200),
            ("/info", 200, 404),
            ("/softmax", 405, 404),
        ):
            assert (await status(address, path), await status(metrics, path)) == (on_port, on_metrics_port)
        before = await metric(metrics, "http_requests_total", route="/softmax", status="401")
        for _ in range(10):
            async with connection(address) as peer:
                assert (await peer.ask(SMALL)).status == 401
        # a request is counted after its response
        assert await eventually(
            lambda: metric(metrics, "http_requests_total", route="/softmax", status="401"), before + 10, 5
        )


async def test_metrics_port_answers_while_the_process_drains() -> None:
    port = str(free_port())
    metrics = f"http://127.0.0.1:{port}"
    with running("--metrics-port", port, "--drain-seconds", "3") as (_, process):
        assert await status(metrics, "/readyz") == 200
        process.terminate()
        assert await eventually(lambda: status(metrics, "/readyz"), 503, 2)
        assert await status(metrics, "/metrics") == 200
        assert await asyncio.to_thread(process.wait, SECONDS) == 0


async def test_metrics_port_bounds_the_head_of_a_request() -> None:
    port = str(free_port())
    with running("--metrics-port", port):
        async with connection(f"http://127.0.0.1:{port}") as peer:
            await peer.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000)
            assert (await peer.receive()).status == 400


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_process_leaves_when_its_terminal_closes(tmp_path: Path, workers: str) -> None:
    ours, theirs = pty.openpty()
    log = tmp_path / "log"
    with (
        log.open("w") as stderr,
        subprocess.Popen(  # noqa: ASYNC220  it only starts
            command("--workers", workers),
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=environment({}),
        ) as process,
    ):
        os.close(theirs)

        async def started() -> int:
            return log.read_text(encoding="utf-8").count("Application startup complete")

        assert await eventually(started, int(workers), SECONDS)
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        assert await asyncio.to_thread(process.wait, SECONDS) == 0
