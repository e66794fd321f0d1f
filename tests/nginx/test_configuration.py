"""Test the requests that nginx passes on, changes and refuses."""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest

from service.settings import Settings
from tests.nginx.proxy import CONFIGURATION, nginx
from tests.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Echo(BaseHTTPRequestHandler):
    """Handler that answers with the headers of the request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        said = str(self.headers).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Busy(Echo):
    """Handler that answers 503."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503)
        self.send_header("Retry-After", "7")
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Run a server for the block. Yield its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_the_request_id_and_the_trace_of_a_client_are_passed_on(tmp_path: Path) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with listening(Echo) as port, nginx(tmp_path, port, port) as address:
        sent = httpx.post(f"{address}/softmax", headers={"X-Request-ID": "mine", "traceparent": trace}, content=b"{}")
    said = sent.text.lower()
    assert re.findall(r"^x-request-id: (.*)$", said, re.MULTILINE) == ["mine"]
    assert re.findall(r"^traceparent: (.*)$", said, re.MULTILINE) == [trace]


@pytest.mark.parametrize("headers", [{}, {"X-Request-ID": '"},{"'}])
def test_a_request_without_a_proper_id_gets_one_that_is_logged(tmp_path: Path, headers: dict[str, str]) -> None:
    with listening(Echo) as port, nginx(tmp_path, port, port) as address:
        said = httpx.post(f"{address}/softmax", content=b"{}", headers=headers).text.lower()
    (made,) = re.findall(r"^x-request-id: ([0-9a-f]{32})$", said, re.MULTILINE)
    assert f'"id":"{made}"' in (tmp_path / "access.log").read_text("utf-8")


def test_a_log_line_has_the_client_and_no_key(tmp_path: Path) -> None:
    with listening(Echo) as port, nginx(tmp_path, port, port) as address:
        key = {"Authorization": "Bearer secret", "X-Request-ID": "mine"}
        httpx.post(f"{address}/softmax?temperature=2", content=b"{}", headers=key)
    text = (tmp_path / "access.log").read_text("utf-8")
    line = json.loads(text)
    assert datetime.fromisoformat(line.pop("time"))
    assert line.pop("bytes_in") > 2
    assert line.pop("bytes_out") > 2
    assert 0 <= line.pop("seconds") < 60
    assert line == {
        "client": "127.0.0.1",
        "id": "mine",
        "method": "POST",
        "path": "/softmax",
        "status": 200,
        "replicas": f"127.0.0.1:{port}",
        "statuses": "200",
    }
    assert "secret" not in text


def test_a_busy_replica_is_passed_over(tmp_path: Path) -> None:
    with listening(Busy) as busy, listening(Echo) as free, nginx(tmp_path, busy, free) as address:
        assert {httpx.post(f"{address}/softmax", content=b"{}").status_code for _ in range(20)} == {200}


def test_two_busy_replicas_are_heard_and_never_taken_for_dead(tmp_path: Path) -> None:
    with listening(Busy) as first, listening(Busy) as second, nginx(tmp_path, first, second) as address:
        for _ in range(20):
            answer = httpx.post(f"{address}/softmax", content=b"{}")
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")


def test_no_replica_is_a_503_with_retry_after(tmp_path: Path) -> None:
    with nginx(tmp_path, free_port(), free_port()) as address:
        answer = httpx.post(f"{address}/softmax", headers={"X-Request-ID": "mine"}, content=b"{}")
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Retry-After"] == "1"
    assert answer.json()["instance"] == "mine"


@pytest.mark.parametrize(("too_much", "status"), [(0, 200), (2 * 2**20, 413)])
def test_nginx_accepts_the_bodies_that_the_service_does(tmp_path: Path, too_much: int, status: int) -> None:
    body = b" " * (Settings.model_fields["max_body_bytes"].default + too_much)
    with listening(Echo) as port, nginx(tmp_path, port, port) as address:
        answer = httpx.post(f"{address}/softmax", content=body, timeout=60)
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["type"] == "/problems/body-too-large"


def test_it_is_as_patient_with_a_body_as_the_service() -> None:
    (seconds,) = re.findall(r"client_body_timeout (\d+)s;", CONFIGURATION.read_text("utf-8"))
    assert int(seconds) == Settings.model_fields["body_timeout_seconds"].default


def test_nginx_closes_an_idle_connection_first() -> None:
    (seconds,) = re.findall(r"keepalive_timeout (\d+)s;", CONFIGURATION.read_text("utf-8"))
    assert int(seconds) < Settings.model_fields["keep_alive_seconds"].default


def test_metrics_are_not_for_the_public(tmp_path: Path) -> None:
    with listening(Echo) as port, nginx(tmp_path, port, port) as address:
        assert httpx.get(f"{address}/metrics").status_code == 404
