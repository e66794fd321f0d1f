"""Test the metrics: names, bounded labels, and exact values."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from prometheus_client import Histogram
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from service import __version__
from service.api.context import RequestContext
from service.api.lifecycle import Lifecycle
from service.api.observability.metrics import SECONDS, Metrics
from service.api.security import Origins
from service.operations import OPERATIONS
from tests.bodies import BODY, JSON
from tests.connections import LEFT, application, connect, converse, piece

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    from prometheus_client.samples import Sample

    from service.api.app import Service

Labels = dict[str, str]


@pytest.fixture
def app() -> Service:
    """Return a new application for each test, whose counters are at 0."""
    return application()


def parsed(text: str) -> list[Sample]:
    """Return the samples of an exposition."""
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


async def scraped(client: httpx.AsyncClient) -> list[Sample]:
    """Return the current samples."""
    return parsed((await client.get("/metrics")).text)


def value(samples: list[Sample], name: str, **labels: str) -> float:
    """Return the value of a sample, 0 if it is missing."""
    (found,) = [sample.value for sample in samples if (sample.name, sample.labels) == (name, labels)] or [0.0]
    return found


def series(samples: list[Sample], label: str) -> set[str]:
    """Return all values of a label."""
    return {sample.labels[label] for sample in samples if label in sample.labels}


REQUESTS = [
    ("POST", "/softmax", BODY, "/softmax", 200),
    ("POST", "/softmax", b"{", "/softmax", 400),
    ("POST", "/v2/models/loss/infer", b"{", "/v2/models/loss/infer", 400),
    ("POST", "/v2/models/loss/versions/1/infer", b"{", "/v2/models/loss/versions/1/infer", 400),
    ("POST", "/v2/models/nothing/infer", b"{", "/v2/models/{model}/infer", 404),
    ("GET", "/v2/models/softmax", b"", "/v2/models/{model}", 200),
    ("GET", "/v2/models/nothing", b"", "/v2/models/{model}", 404),
    ("GET", "/livez", b"", "/livez", 200),
    ("HEAD", "/livez", b"", "/livez", 200),
    ("GET", "/softmax", b"", "/softmax", 405),
    ("GET", "/docs", b"", "/docs", 200),
    ("GET", "/openapi.json", b"", "/openapi.json", 200),
    ("GET", "/static/docs.js", b"", "/static", 200),
    ("GET", "/static/nothing", b"", "/static", 404),
    ("GET", "/", b"", "/", 200),
    ("GET", "/nothing", b"", "", 404),
]


@pytest.mark.parametrize(("method", "path", "body", "route", "status"), REQUESTS)
async def test_a_request_is_counted_once_by_method_template_and_status(
    client: httpx.AsyncClient, method: str, path: str, body: bytes, route: str, status: int
) -> None:
    await client.request(method, path, content=body, headers=JSON)
    samples = await scraped(client)
    assert value(samples, "http_requests_total", method=method, route=route, status=str(status)) == 1
    assert sum(sample.value for sample in samples if sample.name == "http_requests_total") == 1
    labels = {"route": route, "status_class": f"{status // 100}xx"}
    assert value(samples, "http_request_duration_seconds_count", **labels) == 1


@pytest.mark.parametrize("path", ["/livez", "/docs", "/openapi.json", "/nothing"])
async def test_a_response_to_head_has_no_bytes(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        await client.head(path)
    lines: list[Any] = [record.msg for record in caplog.records if record.name == "service.requests"]
    assert [line["bytes_out"] for line in lines] == [0]
    assert all(sample.value == 0 for sample in await scraped(client) if sample.name == "http_body_bytes_total")


@pytest.mark.parametrize("path", ["/softmax", "/api/softmax"], ids=["stripped", "kept"])
async def test_the_root_path_is_not_part_of_a_template(path: str) -> None:
    async with connect(root_path="/api") as client:
        await client.post(path, content=BODY, headers=JSON)
        samples = await scraped(client)
    assert value(samples, "http_requests_total", method="POST", route="/softmax", status="200") == 1


METHODS = st.sampled_from(["GET", "POST", "FOO"]) | st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ-", min_size=1, max_size=9)
PATHS = st.text("abcxyz019/._-~{}%", max_size=20) | st.builds("v2/models/{}".format, st.text("abc/", max_size=9))
ROUTES = {"", "/", "/metrics", "/v2/models/{model}", "/v2/models", "/v2/", "/v2", "/static", "/docs"}


@settings(
    max_examples=20,
    phases=[Phase.generate],  # what one example makes is there for the next: there is nothing to shrink
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.tuples(METHODS, PATHS), min_size=50, max_size=60))
async def test_random_methods_and_paths_make_no_new_label_values(app: Service, asked: list[tuple[str, str]]) -> None:
    async with connect(app) as client:
        for method, path in asked:
            await client.request(method, f"http://test/{path}")
        samples = await scraped(client)
    assert series(samples, "route") <= ROUTES
    assert series(samples, "method") <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER"}
    assert series(samples, "operation") == set()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_an_operation_counts_elements_bytes_and_stages(client: httpx.AsyncClient, operation: object) -> None:
    name = operation.name  # type: ignore[attr-defined]
    body = b'{"logits": [[1, 2, 3], [4, 5, 6]]%b}' % (b"" if name == "softmax" else b', "targets": [0, 1]')
    reply = await client.post(f"/{name}", content=body, headers=JSON)
    samples = await scraped(client)
    assert value(samples, "softmax_elements_total", operation=name) == 6
    assert value(samples, "http_body_bytes_total", route=f"/{name}", direction="in") == len(body)
    assert value(samples, "http_body_bytes_total", route=f"/{name}", direction="out") == len(reply.content)
    for stage in ("decode", "compute", "encode"):
        assert 0 < value(samples, "softmax_stage_seconds_total", operation=name, stage=stage) < 60


@given(st.lists(st.floats(0, 100) | st.sampled_from(SECONDS), min_size=1))
def test_durations_counted_together_equal_single_ones(amounts: list[float]) -> None:
    metrics, unused = Metrics(), Mock()
    alone = Histogram("seconds", "Of some.", registry=None, buckets=SECONDS)
    context = RequestContext({"method": "GET", "headers": []}, unused, unused, Lifecycle(), Origins(()))
    context.status = 204
    for amount in amounts:
        metrics.count(context, amount)
        alone.observe(amount)
    metrics.flush()
    found, expected = (
        [each.value for family in kind.collect() for each in family.samples if not each.name.endswith("_created")]
        for kind in (metrics.durations, alone)
    )
    assert found == pytest.approx(expected, rel=1e-12)


async def test_the_buckets_are_in_seconds(client: httpx.AsyncClient) -> None:
    await client.get("/livez")
    edges = [
        (float(sample.labels["le"]), sample.value)
        for sample in await scraped(client)
        if sample.name == "http_request_duration_seconds_bucket" and sample.labels["route"] == "/livez"
    ]
    assert edges == sorted(edges)
    assert edges[-1] == (float("inf"), 1)
    # bounds that every machine keeps
    assert dict(edges)[10] == 1


async def test_what_is_shed_is_counted_by_operation() -> None:
    app = application(max_bytes_in_flight=100, max_body_bytes=100, max_wait_seconds=0.05)
    async with connect(app) as client:
        await client.post("/softmax", content=BODY, headers=JSON)
        app.runtime.admission.try_take(100)
        await client.post("/softmax", content=BODY, headers=JSON)
        app.runtime.lifecycle.refusing = True
        await client.post("/loss", content=BODY, headers=JSON)
        await client.post("/v2/models/loss/infer", content=BODY, headers=JSON)
        samples = await scraped(client)
    assert value(samples, "softmax_requests_shed_total", operation="softmax") == 1
    assert value(samples, "softmax_requests_shed_total", operation="loss") == 2
    assert value(samples, "softmax_bytes_in_flight") == 100


@pytest.mark.parametrize("path", ["/softmax", "/v2/models/softmax/infer", "/v2/repository/index"])
async def test_a_client_that_left_is_counted_as_such(path: str, caplog: pytest.LogCaptureFixture) -> None:
    app = application()
    await converse(app, path, [piece(b"{", more=True), LEFT])
    async with connect(app) as client:
        samples = await scraped(client)
    assert value(samples, "http_requests_total", method="POST", route=path, status="499") == 1
    assert not caplog.records


async def test_an_operation_is_in_flight_until_it_is_answered() -> None:
    app = application(body_timeout_seconds=0.2)
    async with connect(app) as client:
        waiting = asyncio.create_task(converse(app, "/softmax", [piece(b"{", more=True)]))
        await asyncio.sleep(0)
        samples = await scraped(client)
        assert value(samples, "http_requests_in_flight") == 1
        assert value(samples, "softmax_bytes_in_flight") == 1
        await waiting
        samples = await scraped(client)
        assert value(samples, "http_requests_in_flight") == value(samples, "softmax_bytes_in_flight") == 0


async def test_statistics_of_all_models_collect_the_metrics_once(app: Service, client: httpx.AsyncClient) -> None:
    collector = Mock(**{"collect.return_value": [], "describe.return_value": []})
    app.runtime.metrics.registry.register(collector)
    await client.get("/v2/models/stats")
    assert collector.collect.call_count == 1


async def test_the_version_is_a_metric(client: httpx.AsyncClient) -> None:
    assert value(await scraped(client), "softmax_build_info", version=__version__) == 1


async def test_the_process_has_metrics(client: httpx.AsyncClient) -> None:
    samples = await scraped(client)
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
        assert value(samples, name) > 0


async def test_prometheus_may_ask_for_openmetrics(client: httpx.AsyncClient) -> None:
    await client.post("/softmax", content=BODY, headers=JSON)
    reply = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert reply.headers["Content-Type"].startswith("application/openmetrics-text")
    samples = [sample for family in openmetrics.text_string_to_metric_families(reply.text) for sample in family.samples]
    assert value(samples, "softmax_elements_total", operation="softmax") == 2
    assert (await client.get("/metrics")).headers["Content-Type"].startswith("text/plain")


SCRIPT = """
import sys
import anyio
from prometheus_client.multiprocess import mark_process_dead
from service.api.observability.metrics import share_as
from tests.bodies import BODY, JSON
from tests.connections import application, connect

async def main():
    app = application()
    app.runtime.admission.try_take(5)
    async with connect(app) as client:
        for _ in range(3):
            await client.post("/softmax", content=BODY, headers=JSON)
        print((await client.get("/metrics")).text)

worker = int(sys.argv[1])
mark_process_dead(worker)
share_as(worker)
anyio.run(main)
"""


def scraped_in_process(folder: Path, worker: int) -> list[Sample]:
    """Return the samples of a process that answers 3 requests in place of a worker that has ended."""
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(folder), "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-c", SCRIPT, str(worker)]
    return parsed(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def test_the_metrics_of_several_processes_are_added_up(tmp_path: Path) -> None:
    first, second = scraped_in_process(tmp_path, 0), scraped_in_process(tmp_path, 1)
    asked = {"method": "POST", "route": "/softmax", "status": "200"}
    assert (value(first, "http_requests_total", **asked), value(second, "http_requests_total", **asked)) == (3, 6)
    assert value(second, "softmax_elements_total", operation="softmax") == 12
    assert value(second, "http_request_duration_seconds_count", route="/softmax", status_class="2xx") == 6
    # with several workers these metrics would describe one of them
    assert series(second, "pid") == set()
    assert value(second, "softmax_build_info", version=__version__) == 1
    assert value(second, "softmax_bytes_in_flight") == 10
    assert value(second, "process_resident_memory_bytes") == 0


def test_a_new_worker_goes_on_with_the_metrics_of_the_old_one(tmp_path: Path) -> None:
    scraped_in_process(tmp_path, 0)
    files = set(tmp_path.iterdir())
    samples = scraped_in_process(tmp_path, 0)
    assert set(tmp_path.iterdir()) == files
    assert value(samples, "http_requests_total", method="POST", route="/softmax", status="200") == 6
    assert value(samples, "softmax_bytes_in_flight") == 5
