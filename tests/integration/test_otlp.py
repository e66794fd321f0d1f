"""Test the export of traces and metrics to a collector."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from service import __version__
from tests.collector import collecting, plain, spans_of
from tests.processes import running

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

REQUESTS = [
    ("POST", "/softmax", {"logits": [2, 3, 4]}, 200),
    ("POST", "/v2/models/softmax/infer", {}, 400),
    ("GET", "/info", None, 200),
]
"""Requests that are made: method, path, body and status."""


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
    spans = spans_of(received)
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
