"""Test the health check of the image against real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from deploy.container.healthcheck import alive
from tests.certificates import certificate
from tests.processes import free_port, running

if TYPE_CHECKING:
    from pathlib import Path


def test_health_check_asks_the_port_of_metrics_if_there_is_one(tmp_path: Path) -> None:
    ours = certificate(tmp_path, "ours")
    port = str(free_port())
    tls = {"SOFTMAX_TLS_CERTIFICATE_FILE": str(ours.chain), "SOFTMAX_TLS_KEY_FILE": str(ours.key)}
    variables = {**tls, "SOFTMAX_TLS_CLIENT_CA_FILE": str(ours.chain), "SOFTMAX_METRICS_PORT": port}
    with running(**variables) as (address, _):
        assert alive(variables)
        # the service itself asks for a client certificate
        with pytest.raises(OSError, match=r"certificate required|reset|EOF|closed|Broken pipe"):
            alive(tls | {"SOFTMAX_PORT": str(urlsplit(address).port)})
    with pytest.raises(ConnectionRefusedError):
        alive(variables)


def test_health_check_uses_tls_when_the_service_does(tmp_path: Path) -> None:
    ours = certificate(tmp_path, "ours")
    tls = {"SOFTMAX_TLS_CERTIFICATE_FILE": str(ours.chain), "SOFTMAX_TLS_KEY_FILE": str(ours.key)}
    with running(**tls) as (address, _):
        assert alive(tls | {"SOFTMAX_PORT": str(urlsplit(address).port)})
