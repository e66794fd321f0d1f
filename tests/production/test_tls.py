"""https, client certificates, and files that are read again without a restart."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from scipy.special import softmax

from tests.bodies import JSON, npy
from tests.certificates import Certificate, certificate
from tests.connections import connection, get, post
from tests.processes import logging_to, refused, running
from tests.production.looks import eventually

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.side_by_side

SECONDS = 30
"""Longest time until a changed file is in use."""

SMALL = post("/softmax", b'{"logits": [2, 3, 4]}', {**JSON, "Authorization": "Bearer swordfish"})


@pytest.fixture
def ours(tmp_path: Path) -> Certificate:
    """Return the certificate of the server."""
    return certificate(tmp_path, "ours")


def trusting(authority: Certificate, client: Certificate | None = None) -> ssl.SSLContext:
    """Return the context of a client that trusts a certificate, and may have one of its own."""
    context = ssl.create_default_context(cafile=authority.chain)
    if client is not None:
        context.load_cert_chain(client.chain, client.key)
    return context


def test_https_is_served_with_a_certificate(ours: Certificate) -> None:
    with running(*ours.flags()) as (address, _):
        assert address.startswith("https://")
        answer = httpx.post(f"{address}/softmax", json={"logits": [0, 0]}, verify=trusting(ours))
        assert answer.json()["probabilities"] == [0.5, 0.5]
        logits = np.random.default_rng(0).normal(size=(300, 100))
        long = httpx.post(
            f"{address}/softmax?outputs=probabilities",
            content=npy(logits),
            headers={"Content-Type": "application/x-npy"},
            verify=trusting(ours),
        )
        np.testing.assert_allclose(np.load(io.BytesIO(long.content)), softmax(logits, axis=1), rtol=1e-13)
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            httpx.get(f"{address}/livez")


def test_bad_file_stops_the_start_with_one_line(ours: Certificate, tmp_path: Path) -> None:
    other = certificate(tmp_path, "other")
    ended = refused(*Certificate(ours.chain, other.key).flags())
    assert ended.returncode != 0
    (line,) = ended.stderr.splitlines()
    assert line.startswith("softmax-service: tls_key_file: the key does not belong to the certificate")


def test_client_without_a_known_certificate_is_refused(ours: Certificate, tmp_path: Path) -> None:
    authority, unknown = certificate(tmp_path, "authority"), certificate(tmp_path, "unknown")
    known = certificate(tmp_path, "known", authority)
    with running(*ours.flags(), "--tls-client-ca-file", str(authority.chain)) as (address, _):
        assert httpx.get(f"{address}/livez", verify=trusting(ours, known)).json() == {"live": True}
        # in TLS 1.3 the client learns of the refusal when it reads the answer
        for client in (None, unknown):
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError, httpx.ConnectError)):
                httpx.get(f"{address}/livez", verify=trusting(ours, client))


async def shown(address: str) -> str:
    """Return the certificate that a new connection is shown."""
    url = urlsplit(address)
    return await asyncio.to_thread(ssl.get_server_certificate, (str(url.hostname), url.port or 0))


def levels(log: Path, level: str) -> list[str]:
    """Return the messages of a level in the log, without a line that is being written."""
    complete = log.read_text(encoding="utf-8").rpartition("\n")[0]
    lines = map(json.loads, complete.splitlines())
    return [line["message"] for line in lines if line["level"] == level]


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("by_signal", [False, True], ids=["watched", "SIGHUP"])
async def test_changed_files_are_used_without_a_restart(
    ours: Certificate, tmp_path: Path, workers: str, *, by_signal: bool
) -> None:
    keys, log = tmp_path / "keys", tmp_path / "log"
    keys.write_text("tuna", encoding="ascii")
    flags = (*ours.flags(), "--api-keys-file", str(keys), "--workers", workers)
    with logging_to(log, *flags) as (address, process):
        async with connection(address, trusting(ours)) as old:
            assert (await old.ask(SMALL)).status == 401
            expected = certificate(tmp_path, "ours").chain.read_text(encoding="ascii")
            keys.write_text("swordfish", encoding="ascii")
            if by_signal:
                process.send_signal(signal.SIGHUP)

            async def reads() -> int:
                return levels(log, "INFO").count("Certificates and keys were read again")

            assert await eventually(reads, int(workers), SECONDS)
            # any of the workers may answer
            assert {await shown(address) for _ in range(20)} == {expected}
            assert (await old.ask(SMALL)).status == 200
        assert process.poll() is None
    assert not levels(log, "ERROR")


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_bad_new_file_keeps_the_old_one_and_logs_one_error(
    ours: Certificate, tmp_path: Path, workers: str
) -> None:
    log, expected = tmp_path / "log", ours.chain.read_text(encoding="ascii")
    with logging_to(log, *ours.flags(), "--workers", workers) as (address, _):

        async def started() -> int:
            return levels(log, "INFO").count("Application startup complete.")

        assert await eventually(started, int(workers), SECONDS)
        ours.chain.write_text("not PEM", encoding="ascii")

        async def mistakes() -> list[str]:
            return levels(log, "ERROR")

        said = "tls_certificate_file: the file is not a readable PEM certificate; what was read before stays in use"
        assert await eventually(mistakes, [said], SECONDS)
        await asyncio.sleep(3)
        assert await mistakes() == [said]
        assert await shown(address) == expected


async def test_sigterm_with_an_idle_connection_logs_no_error(ours: Certificate, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with logging_to(log, *ours.flags()) as (address, process):
        async with connection(address, trusting(ours)) as idle:
            assert (await idle.ask(get("/livez"))).status == 200
            process.terminate()
            assert await asyncio.to_thread(process.wait, SECONDS) == 0
    assert {line["level"] for line in map(json.loads, log.read_text(encoding="utf-8").splitlines())} == {"INFO"}
