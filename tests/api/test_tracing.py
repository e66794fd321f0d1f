"""Test OpenTelemetry: with tracing on, each request has one span, which continues the trace of the client."""

from __future__ import annotations

import logging
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from service.__main__ import check_telemetry
from tests.bodies import BODY, JSON
from tests.connections import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01"}

REQUESTS = [
    ("POST", "/softmax", "/softmax", 200),
    ("POST", "/v2/models/softmax/infer", "/v2/models/softmax/infer", 400),
    ("GET", "/livez", "/livez", 200),
    ("GET", "/v2/models/softmax", "/v2/models/{model}", 200),
    ("GET", "/docs", "/docs", 200),
]


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """Yield an exporter that keeps the spans of this process."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture(autouse=True)
def _nothing_before(exporter: InMemorySpanExporter) -> Iterator[None]:
    exporter.clear()
    yield
    exporter.clear()


@pytest.mark.parametrize(("method", "path", "route", "status"), REQUESTS)
async def test_a_request_is_one_span_of_the_trace_of_its_client(
    exporter: InMemorySpanExporter, method: str, path: str, route: str, status: int
) -> None:
    async with connect(tracing=True) as client:
        await client.request(method, path, content=BODY, headers={**JSON, **TRACEPARENT})
    (span,) = exporter.get_finished_spans()
    assert span.name == f"{method} {route}"
    assert span.kind is SpanKind.SERVER
    assert span.context is not None
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == CALLER
    assert span.attributes is not None
    assert span.attributes["http.route"] == route
    assert span.attributes["http.response.status_code"] == status


@pytest.mark.parametrize(("method", "path", "route", "status"), REQUESTS)
async def test_traced_request_is_answered_counted_and_logged_once(
    caplog: pytest.LogCaptureFixture, method: str, path: str, route: str, status: int
) -> None:
    for tracing in (False, True):
        caplog.clear()
        with caplog.at_level(logging.DEBUG, "service.requests"):
            async with connect(tracing=tracing) as client:
                reply = await client.request(method, path, content=BODY, headers={**JSON, "X-Request-ID": "7"})
        lines = [record.getMessage() for record in caplog.records if record.name == "service.requests"]
        async with connect(tracing=tracing) as client:
            await client.request(method, path, content=BODY, headers=JSON)
            counted = (await client.get("/metrics")).text
        assert reply.status_code == status
        assert reply.headers.get_list("X-Request-ID") == ["7"]
        assert len(lines) == 1
        assert f'http_requests_total{{method="{method}",route="{route}",status="{status}"}} 1.0' in counted


@pytest.mark.parametrize(("method", "path", "route", "status"), REQUESTS)
async def test_log_has_the_trace_of_a_span_that_starts_here(
    exporter: InMemorySpanExporter, caplog: pytest.LogCaptureFixture, method: str, path: str, route: str, status: int
) -> None:
    del route, status
    with caplog.at_level(logging.DEBUG, "service.requests"):
        async with connect(tracing=True) as client:
            await client.request(method, path, content=BODY, headers=JSON)
    (span,) = exporter.get_finished_spans()
    (line,) = (record.msg for record in caplog.records if record.name == "service.requests")
    assert span.context is not None
    assert isinstance(line, dict)
    assert line["trace_id"] == f"{span.context.trace_id:032x}"


@pytest.mark.parametrize(("method", "path", "route", "status"), REQUESTS)
async def test_there_is_no_span_unless_tracing_is_turned_on(
    exporter: InMemorySpanExporter, method: str, path: str, route: str, status: int
) -> None:
    del route
    async with connect() as client:
        reply = await client.request(method, path, content=BODY, headers={**JSON, **TRACEPARENT})
    assert reply.status_code == status
    assert exporter.get_finished_spans() == ()


async def test_a_span_holds_no_key(exporter: InMemorySpanExporter) -> None:
    async with connect(tracing=True, api_keys=("swordfish",)) as client:
        await client.post("/softmax", content=BODY, headers={**JSON, "Authorization": "Bearer swordfish"})
    (span,) = exporter.get_finished_spans()
    assert "swordfish" not in span.to_json()


EXPORTER = "opentelemetry.exporter.otlp.proto.http"


def test_tracing_without_exporter_ends_the_start_with_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, EXPORTER, None)
    with pytest.raises(
        SystemExit, match=r"^softmax-service: tracing: .*pip install opentelemetry-exporter-otlp-proto-http$"
    ):
        check_telemetry("tracing", "TRACES")


@pytest.mark.parametrize(
    ("variable", "lines"), [(None, 1), ("OTEL_EXPORTER_OTLP_ENDPOINT", 0), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", 0)]
)
def test_tracing_to_nowhere_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str | None, lines: int
) -> None:
    monkeypatch.setitem(sys.modules, EXPORTER, ModuleType(EXPORTER))
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "http://localhost:4318")
    check_telemetry("tracing", "TRACES")
    assert capsys.readouterr().err.count("\n") == lines
