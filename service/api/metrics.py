"""What Prometheus is told: https://prometheus.io/docs/practices/naming."""

from __future__ import annotations

import os
from collections import defaultdict
from functools import lru_cache
from http import HTTPStatus
from itertools import zip_longest
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, platform_collector, process_collector
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from service import __version__
from service.api.exchange import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.api.exchange import Exchange

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Upper edges of the histograms of durations: a row takes tenths of a millisecond, the largest batch a second."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that are told apart; any other is OTHER, so that no client can make up label values."""

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Variable that names the folder in which the processes of a supervisor put their metrics together."""

TOGETHER = 64
"""Requests that are counted together: of what they add to a counter, it is told the sum."""

SHED = HTTPStatus.SERVICE_UNAVAILABLE.value


class Tally:
    """What was noted of requests that are alike in method, route, status and operation, and is yet to be counted."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.bytes_in = 0
        self.bytes_out = 0
        self.elements = 0
        self.stages: list[list[float]] = []


class Metrics:
    """The metrics of a process, and with them those of the others of its supervisor.

    shared: may another process be asked for them at any time?

    The label `route` is the template of a path, never what was sent; "" where nothing lives at the path.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("http_requests", "Requests answered.", ("method", "route", "status"), registry=registry)
        self.durations = Histogram(
            "http_request_duration_seconds",
            "From the headers of a request to the last byte of its reply, handed to the socket.",
            ("route",),
            registry=registry,
            buckets=SECONDS,
        )
        self.in_flight = Gauge(
            "http_requests_in_flight", "Operations being answered.", registry=registry, multiprocess_mode="livesum"
        )
        self.body_bytes = Counter(
            "http_body_bytes", "Bytes of bodies, by direction: in or out.", ("route", "direction"), registry=registry
        )
        self.elements = Counter("softmax_elements", "Logits worked on.", ("operation",), registry=registry)
        self.stages = Counter(
            "softmax_stage_seconds",
            "Time spent in the stages decode, compute and encode.",
            ("operation", "stage"),
            registry=registry,
        )
        self.shed = Counter(
            "softmax_requests_shed",
            "Operations answered 503: overloaded or draining.",
            ("operation",),
            registry=registry,
        )
        self.bytes_in_flight = Gauge(
            "softmax_bytes_in_flight",
            "Bytes of bodies and output tensors being worked on.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        build = Gauge(
            "softmax_build_info",
            "1, of the version in its label.",
            ("version",),
            registry=registry,
            multiprocess_mode="max",
        )
        build.labels(__version__).set(1)
        self.shared = SHARED in os.environ
        if not self.shared:
            process_collector.ProcessCollector(registry=registry)
            platform_collector.PlatformCollector(registry=registry)
        self._tallies: defaultdict[tuple[str, str, int, str], Tally] = defaultdict(Tally)
        # looking a child up by its labels costs more than counting does
        self._elements = lru_cache(self.elements.labels)
        self._request = lru_cache(self.requests.labels)
        self._duration = lru_cache(self.durations.labels)
        self._bytes = lru_cache(self.body_bytes.labels)
        self._stage = lru_cache(self.stages.labels)

    def count(self, exchange: Exchange, seconds: float) -> None:
        """Takes note of a request that is answered, for the next `add_up`."""
        method = exchange.method if exchange.method in METHODS else "OTHER"
        tally = self._tallies[method, exchange.route, exchange.status, exchange.operation]
        tally.seconds.append(seconds)
        tally.bytes_in += exchange.bytes_in
        tally.bytes_out += exchange.bytes_out
        tally.elements += exchange.elements
        tally.stages.append(exchange.stages)
        if len(tally.seconds) == TOGETHER:
            self.add_up()

    def add_up(self) -> None:
        """Counts all that was noted; to be called before somebody looks."""
        for (method, route, status, operation), tally in self._tallies.items():
            self._request(method, route, status).inc(len(tally.seconds))
            duration = self._duration(route)
            for seconds in tally.seconds:
                duration.observe(seconds)
            self._bytes(route, "out").inc(tally.bytes_out)
            if operation:
                self._bytes(route, "in").inc(tally.bytes_in)
                self._elements(operation).inc(tally.elements)
            if operation and status == SHED:
                self.shed.labels(operation).inc(len(tally.seconds))
            for stage, milliseconds in zip(STAGES, zip_longest(*tally.stages, fillvalue=0.0), strict=False):
                self._stage(operation, stage).inc(sum(milliseconds) / 1e3)
        self._tallies.clear()


def metrics_router(metrics: Metrics, publish: Callable[[], None]) -> APIRouter:
    """GET /metrics; `publish` brings the metrics of this process up to date."""
    router = APIRouter(tags=["service"])

    @router.get(
        "/metrics",
        operation_id="metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={
            200: {
                "description": "The metrics of all processes.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }
        },
    )
    async def scrape(request: Request) -> Response:
        """Those of all processes of a supervisor, added up; as OpenMetrics if Accept asks for it."""
        publish()
        registry = metrics.registry
        if metrics.shared:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        write, media_type = choose_encoder(request.headers.get("accept", ""))
        return Response(write(registry), media_type=media_type)

    return router
