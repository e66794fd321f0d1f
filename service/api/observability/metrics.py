"""What Prometheus is told: https://prometheus.io/docs/practices/naming."""

from __future__ import annotations

import collections
import os
from bisect import bisect_left
from functools import lru_cache
from http import HTTPStatus
from itertools import zip_longest
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, platform_collector, process_collector
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from service import __version__
from service.api.context import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.api.context import RequestContext

    Note = tuple[float, int, int, int, list[float]]
    """Seconds, bytes in and out, elements, and the milliseconds of each stage."""

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Upper edges of the histograms of durations: a row takes tenths of a millisecond, the largest batch a second."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that are told apart; any other is OTHER, so that no client can make up label values."""

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Variable that names the folder in which the processes of a supervisor put their metrics together."""

BATCH_SIZE = 256
"""Requests that are counted together: of what they add to a counter, it is told the sum."""

SHED = HTTPStatus.SERVICE_UNAVAILABLE.value


class BatchedHistogram(Histogram):
    """A histogram that is told of many observations at once."""

    def observe_all(self, amounts: Sequence[float]) -> None:
        """Does what `observe` does for each, which takes 8,000 instructions, where a small request takes 222,000."""
        for place, count in collections.Counter(bisect_left(self._upper_bounds, amount) for amount in amounts).items():
            self._buckets[place].inc(count)
        self._sum.inc(sum(amounts))


class Metrics:
    """The metrics of a process, and with them those of the others of its supervisor.

    shared: may another process be asked for them at any time?

    The label `route` is the template of a path, never what was sent; "" where nothing lives at the path.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("http_requests", "Requests answered.", ("method", "route", "status"), registry=registry)
        self.durations = BatchedHistogram(
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
        self._noted: collections.defaultdict[tuple[str, str, int, str], list[Note]] = collections.defaultdict(list)
        # looking a child up by its labels costs more than counting does
        self._elements = lru_cache(self.elements.labels)
        self._request = lru_cache(self.requests.labels)
        self._duration = lru_cache(self.durations.labels)
        self._bytes = lru_cache(self.body_bytes.labels)
        self._stage = lru_cache(self.stages.labels)

    def count(self, context: RequestContext, seconds: float) -> None:
        """Takes note of a request that is answered, for the next `flush`."""
        method = context.method if context.method in METHODS else "OTHER"
        noted = self._noted[method, context.route, context.status, context.operation]
        noted.append((seconds, context.bytes_in, context.bytes_out, context.elements, context.stages))
        if len(noted) == BATCH_SIZE:
            self.flush()

    def flush(self) -> None:
        """Counts all that was noted; to be called before somebody looks."""
        for (method, route, status, operation), noted in self._noted.items():
            seconds, bytes_in, bytes_out, elements, stages = zip(*noted, strict=True)
            self._request(method, route, status).inc(len(noted))
            self._duration(route).observe_all(seconds)
            self._bytes(route, "out").inc(sum(bytes_out))
            if operation:
                self._bytes(route, "in").inc(sum(bytes_in))
                self._elements(operation).inc(sum(elements))
            if operation and status == SHED:
                self.shed.labels(operation).inc(len(noted))
            for stage, milliseconds in zip(STAGES, zip_longest(*stages, fillvalue=0.0), strict=False):
                self._stage(operation, stage).inc(sum(milliseconds) / 1e3)
        self._noted.clear()


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
