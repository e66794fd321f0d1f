"""Test the logs, the trace and the metrics of one request with a key through nginx, field by field."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.collector import collecting, plain, spans_of
from tests.nginx.proxy import Replica, nginx

if TYPE_CHECKING:
    from pathlib import Path

KEY = "swordfish"

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

BODY = b'{"logits": [[2, 3, 4], [1, 2, 3]]}'

HEADERS = {
    "Content-Type": "application/json",
    "Authorization": f"Bearer {KEY}",
    "X-Request-ID": "demo",
    "X-Forwarded-For": "198.51.100.7",
    "traceparent": f"00-{TRACE}-{CALLER}-01",
}


def test_one_request_is_the_same_in_logs_trace_and_metrics(tmp_path: Path) -> None:
    log, keys = tmp_path / "service.log", tmp_path / "keys"
    keys.write_text(KEY, encoding="ascii")
    flags = ("--api-keys-file", str(keys), "--trusted-proxies", "127.0.0.1", "--tracing")
    with collecting() as (collector, received):
        replica = Replica(*flags, log=log, OTEL_EXPORTER_OTLP_ENDPOINT=collector)
        try:
            with nginx(tmp_path, replica.port, replica.port) as address:
                reply = httpx.post(f"{address}/softmax?temperature=2", content=BODY, headers=HEADERS)
                metrics = httpx.get(f"http://127.0.0.1:{replica.port}/metrics").text
                assert httpx.get(f"{address}/metrics").status_code == 404
            assert replica.stop() == 0
        finally:
            replica.kill()
    assert (reply.status_code, reply.headers["X-Request-ID"]) == (200, "demo")
    key_id = hashlib.sha256(KEY.encode()).hexdigest()[:8]

    (line,) = map(json.loads, log.read_text("utf-8").splitlines())
    assert 0 < line.pop("duration_ms") < 60_000
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "message": "POST /softmax 200",
        "method": "POST",
        "route": "/softmax",
        "status": 200,
        "bytes_in": len(BODY),
        "bytes_out": len(reply.content),
        "rows": 2,
        "client": "198.51.100.7",
        "key_id": key_id,
        "request_id": "demo",
        "trace_id": TRACE,
    }

    (access, _) = map(json.loads, (tmp_path / "access.log").read_text("utf-8").splitlines())
    assert {name: access[name] for name in ("client", "id", "method", "path", "status", "replicas", "statuses")} == {
        "client": "127.0.0.1",
        "id": line["request_id"],
        "method": line["method"],
        "path": line["route"],
        "status": line["status"],
        "replicas": f"127.0.0.1:{replica.port}",
        "statuses": "200",
    }

    (span,) = [span for span in spans_of(received) if span.name == "POST /softmax"]
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, CALLER)
    attributes = plain(span.attributes)
    assert {name: attributes[name] for name in ATTRIBUTES} == ATTRIBUTES

    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
    }
    route, operation = ("route", "/softmax"), ("operation", "softmax")
    assert samples["http_requests_total", ("method", "POST"), route, ("status", "200")] == 1
    assert samples["http_request_duration_seconds_count", route, ("status_class", "2xx")] == 1
    assert samples["http_body_bytes_total", ("direction", "in"), route] == len(BODY)
    assert samples["http_body_bytes_total", ("direction", "out"), route] == len(reply.content)
    assert samples["softmax_elements_total", operation] == 6

    told = log.read_text("utf-8") + (tmp_path / "access.log").read_text("utf-8") + metrics + str(spans_of(received))
    assert KEY not in told


ATTRIBUTES = {
    "http.request.method": "POST",
    "http.route": "/softmax",
    "http.response.status_code": 200,
    "url.path": "/softmax",
    "url.query": "temperature=2",
    "url.scheme": "http",
}
"""Attributes of the span."""
