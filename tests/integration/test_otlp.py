"""Test the export of traces and metrics to a collector, which decodes what it receives."""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from service import __version__
from tests.processes import running

if TYPE_CHECKING:
    from collections.abc import Iterator

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

MESSAGES: dict[str, Any] = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}
"""Kind of message by path."""

REQUESTS = [
    ("POST", "/softmax", {"logits": [2, 3, 4]}, 200),
    ("POST", "/v2/models/softmax/infer", {}, 400),
    ("GET", "/info", None, 200),
]
"""Requests that are made: method, path, body and status."""


class Collector(ThreadingHTTPServer):
    """A collector of OTLP over HTTP. received: the decoded messages, by path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.received: defaultdict[str, list[Any]] = defaultdict(list)


class Receiver(BaseHTTPRequestHandler):
    """Decodes a message and keeps it."""

    def do_POST(self) -> None:
        """Answer as a collector does."""
        message = MESSAGES[self.path].FromString(self.rfile.read(int(self.headers["Content-Length"])))
        assert isinstance(self.server, Collector)
        self.server.received[self.path].append(message)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def collecting() -> Iterator[tuple[str, dict[str, list[Any]]]]:
    """Yield the address of a collector, and what it has received."""
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", server.received
        finally:
            server.shutdown()
            thread.join()


def plain(attributes: Any) -> dict[str, Any]:
    """Return attributes as a dictionary."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def exported(*flags: str, **variables: str) -> dict[str, list[Any]]:
    """Return what a server exports for REQUESTS until it has ended."""
    with collecting() as (collector, received):
        with running(*flags, OTEL_EXPORTER_OTLP_ENDPOINT=collector, **variables) as (address, _):
            for method, path, body, status in REQUESTS:
                reply = httpx.request(
                    method, f"{address}{path}", json=body, headers={"traceparent": f"00-{TRACE}-{CALLER}-01"}
                )
                assert reply.status_code == status
        return dict(received)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_spans_reach_a_collector_with_their_names(workers: str) -> None:
    received = exported("--tracing", "--workers", workers)
    assert received.keys() == {"/v1/traces"}
    groups = [group for message in received["/v1/traces"] for group in message.resource_spans]
    for group in groups:
        resource = plain(group.resource.attributes)
        assert (resource["service.name"], resource["service.version"]) == ("softmax-service", __version__)
        assert len(resource["service.instance.id"]) == 36
    spans = [span for group in groups for scope in group.scope_spans for span in scope.spans]
    routes = ["/softmax", "/v2/models/softmax/infer", "/info"]
    expected = [(f"{method} {route}", status) for (method, _, _, status), route in zip(REQUESTS, routes, strict=True)]
    found = [(span.name, plain(span.attributes)["http.response.status_code"]) for span in spans]
    assert sorted(found) == sorted(expected)
    for span in spans:
        assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, CALLER)
        assert span.kind == span.SPAN_KIND_SERVER


def test_metrics_reach_a_collector_with_their_routes() -> None:
    received = exported("--otlp-metrics")
    assert received.keys() == {"/v1/metrics"}
    (group, *_) = received["/v1/metrics"][-1].resource_metrics
    assert plain(group.resource.attributes)["service.name"] == "softmax-service"
    metrics = {metric.name: metric for scope in group.scope_metrics for metric in scope.metrics}
    counts = {
        plain(point.attributes)["http.route"]: point.count
        for point in metrics["http.server.request.duration"].histogram.data_points
    }
    assert counts == {"/softmax": 1, "/v2/models/softmax/infer": 1, "/info": 1}


def test_names_of_the_environment_are_kept() -> None:
    received = exported(
        "--tracing", OTEL_SERVICE_NAME="classifier", OTEL_RESOURCE_ATTRIBUTES="service.instance.id=7,team=vision"
    )
    resource = plain(received["/v1/traces"][0].resource_spans[0].resource.attributes)
    assert (resource["service.name"], resource["service.instance.id"]) == ("classifier", "7")
    assert resource["team"] == "vision"
