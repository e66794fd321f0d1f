"""https from certificate files."""

from __future__ import annotations

import io
import ssl
import subprocess
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
from scipy.special import softmax

from tests.bodies import npy
from tests.processes import refused, running

if TYPE_CHECKING:
    from pathlib import Path


def certificate(folder: Path, name: str) -> tuple[str, str]:
    """The files of a new certificate for 127.0.0.1 and of its key."""
    certificate, key = str(folder / f"{name}.crt"), str(folder / f"{name}.key")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "1", "-subj", "/CN=softmax-service"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def test_https_is_served_with_a_certificate(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path, "ours")
    with running("--tls-certificate-file", chain, "--tls-key-file", key) as (address, _):
        assert address.startswith("https://")
        answer = httpx.post(
            f"{address}/softmax", json={"logits": [0, 0]}, verify=ssl.create_default_context(cafile=chain)
        )
        assert answer.json()["probabilities"] == [0.5, 0.5]
        logits = np.random.default_rng(0).normal(size=(300, 100))
        long = httpx.post(
            f"{address}/softmax?outputs=probabilities",
            content=npy(logits),
            headers={"Content-Type": "application/x-npy"},
            verify=ssl.create_default_context(cafile=chain),
        )
        np.testing.assert_allclose(np.load(io.BytesIO(long.content)), softmax(logits, axis=1), rtol=1e-13)
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            httpx.get(f"{address}/livez")


def test_key_of_other_certificate_stops_the_start_with_one_line(tmp_path: Path) -> None:
    chain, _ = certificate(tmp_path, "ours")
    _, key = certificate(tmp_path, "another")
    assert_refused(chain, key)


def test_file_without_key_stops_the_start_with_one_line(tmp_path: Path) -> None:
    chain, _ = certificate(tmp_path, "ours")
    ended = refused("--tls-certificate-file", chain, "--tls-key-file", chain)
    (line,) = ended.stderr.splitlines()
    assert line.startswith("softmax-service: tls_key_file: the file is not a readable PEM private key")


def test_file_without_certificate_stops_the_start_with_one_line(tmp_path: Path) -> None:
    _, key = certificate(tmp_path, "ours")
    (tmp_path / "text").write_text("none", encoding="ascii")
    assert_refused(str(tmp_path / "text"), key)


def assert_refused(chain: str, key: str) -> None:
    """The start ends with one line that names the setting."""
    ended = refused("--tls-certificate-file", chain, "--tls-key-file", key)
    assert ended.returncode != 0
    (line,) = ended.stderr.splitlines()
    assert "tls_certificate_file" in line
