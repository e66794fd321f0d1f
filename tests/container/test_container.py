"""Test a locked-down container: it answers, stays within its memory, and ends on SIGTERM."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

from deploy.capacity import memory_bytes
from service.formats import json_encode
from service.settings import Settings
from tests.certificates import certificate
from tests.container.containers import Container, run, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL = 256 * 2**20
"""Memory in bytes that is enough for default settings under everyday load."""


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    """Run a container for the tests of this file."""
    with running(SMALL) as container:
        yield container


def test_softmax_is_right(container: Container) -> None:
    answer = httpx.post(f"{container.address}/softmax", json={"logits": [3, 1, -3]}).json()
    exponentials = np.exp([3, 1, -3])
    np.testing.assert_allclose(answer["probabilities"], exponentials / exponentials.sum(), rtol=1e-15)
    assert answer["predictions"] == 0


def test_the_gradient_is_right(container: Container) -> None:
    answer = httpx.post(f"{container.address}/gradient", json={"logits": [[2, 3, 4]], "targets": [1]}).json()
    np.testing.assert_allclose(answer["logits_gradient"], [[0.0900306, 0.2447285 - 1, 0.6652410]], atol=1e-7)
    np.testing.assert_allclose(answer["loss"], np.log(np.exp([2, 3, 4]).sum()) - 3, rtol=1e-15)


def test_it_runs_as_nobody_without_privileges(container: Container) -> None:
    assert container.status("Uid").split() == ["65532"] * 4
    assert container.status("NoNewPrivs") == "1"
    assert {int(container.status(f"Cap{each}"), 16) for each in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {0}


def test_nothing_can_be_written(container: Container) -> None:
    for folder in ("/", "/opt/softmax/app", "/home"):
        written = container.execute("touch", f"{folder}/file")
        assert "Read-only file system" in written.stderr, folder


def test_one_process_keeps_to_one_core(container: Container) -> None:
    # BLAS starts its threads on import
    threads = container.execute("python", "-c", "import numpy, os; print(len(os.listdir('/proc/self/task')))")
    assert threads.stdout.strip() == "1"


def test_the_health_check_finds_the_port_and_a_hang(container: Container) -> None:
    kind, *check = container.inspect()["Config"]["Healthcheck"]["Test"]
    assert kind == "CMD"
    assert container.execute(*check).returncode == 0
    container.signal("STOP")
    try:
        assert container.execute(*check).returncode != 0
    finally:
        container.signal("CONT")
    assert container.execute(*check).returncode == 0


def test_the_health_check_uses_tls_when_the_service_does(tmp_path: Path) -> None:
    # the container has another user
    certificate(tmp_path, "tls").key.chmod(0o644)
    tmp_path.chmod(0o755)
    variables = ["--env", "SOFTMAX_TLS_CERTIFICATE_FILE=/tls/tls.crt", "--env", "SOFTMAX_TLS_KEY_FILE=/tls/tls.key"]
    with running(SMALL, *variables, "--volume", f"{tmp_path}:/tls:ro") as container:
        _, *check = container.inspect()["Config"]["Healthcheck"]["Test"]
        assert container.execute(*check).returncode == 0


def test_everyday_load_fits_into_256_megabytes(container: Container) -> None:
    statuses = load(container, clients=8, requests=5, rows=50)
    assert statuses == {200}
    assert survived(container)
    assert int(container.status("VmHWM").split()[0]) * 1024 < SMALL


def test_the_most_work_fits_into_the_documented_memory() -> None:
    in_flight = Settings.model_fields["max_bytes_in_flight"].default
    limit = memory_bytes(in_flight)
    rows = 1000
    clients = 2 * -(-in_flight // len(body(rows)))
    with running(limit) as container:
        # only requests above the limit are refused
        assert {200} <= load(container, clients=clients, requests=2, rows=rows) <= {200, 503}
        assert survived(container)
        assert int(container.status("VmHWM").split()[0]) * 1024 < limit


def body(rows: int) -> bytes:
    """Return a batch of 1,000 classes as JSON, about 20 kB a row."""
    logits = np.random.default_rng(0).normal(size=(rows, 1000)).tolist()
    return json_encode.dumps({"logits": logits, "targets": [0] * rows})


def load(container: Container, clients: int, requests: int, rows: int) -> set[int]:
    """Send gradient requests of several clients at once, and return the statuses."""
    content = body(rows)

    def send(client: httpx.Client) -> int:
        try:
            return client.post("/gradient", content=content).status_code
        except httpx.TransportError:
            # refused while it was still sending
            return 503

    def send_all(_: int) -> set[int]:
        headers = {"Content-Type": "application/json"}
        with httpx.Client(base_url=container.address, headers=headers, timeout=60) as client:
            return {send(client) for _ in range(requests)}

    with ThreadPoolExecutor(clients) as pool:
        return set().union(*pool.map(send_all, range(clients)))


def survived(container: Container) -> bool:
    """Return whether a container still runs and was never out of memory."""
    state = container.inspect()["State"]
    return bool(state["Running"]) and not state["OOMKilled"] and httpx.get(f"{container.address}/livez").is_success


def test_it_ends_in_time_and_in_good_order_when_told_to() -> None:
    with running(SMALL) as container:
        httpx.get(f"{container.address}/livez").raise_for_status()
        start = time.monotonic()
        container.signal("TERM")
        assert run("wait", container.name).stdout.strip() == "0"
        assert time.monotonic() - start < 10


def test_what_it_has_begun_to_read_when_told_to_end_is_answered() -> None:
    content = b'{"logits": [2, 3, 4]}'
    head = f"POST /softmax HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    with running(SMALL) as container, socket.create_connection(container.where, timeout=10) as connection:
        connection.sendall(head.encode() + content[:10])
        # a request that is answered after that one was read is proof that it was
        httpx.get(f"{container.address}/livez").raise_for_status()
        container.signal("TERM")
        time.sleep(0.5)
        connection.sendall(content[10:])
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        connection.close()
        assert run("wait", container.name).stdout.strip() == "0"
