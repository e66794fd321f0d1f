"""Prometheus metrics, named as https://prometheus.io/docs/practices/naming advises."""

from __future__ import annotations

import collections
import os
from bisect import bisect_left
from functools import lru_cache
from http import HTTPStatus
from itertools import zip_longest
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, platform_collector, process_collector
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from service import __version__
from service.api.context import STAGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.api.context import RequestContext

    Note = tuple[float, int, int, int, list[float]]
    """A request: seconds, bytes in and out, elements, and the milliseconds of each stage."""

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Upper edges of the duration buckets: a row takes tenths of a millisecond, the largest batch a second."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Values of the label `method`; any other method is OTHER, so that no client can invent label values."""

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable with the folder in which worker processes share their metrics."""

BATCH_SIZE = 256
"""Number of requests that are added to the counters together."""

SHED = HTTPStatus.SERVICE_UNAVAILABLE.value


class BatchedHistogram(Histogram):
    """A histogram that takes many observations at once."""

    def observe_all(self, amounts: Sequence[float]) -> None:
        """Observe each amount. `observe` would cost 4 % of a small request."""
        for place, count in collections.Counter(bisect_left(self._upper_bounds, amount) for amount in amounts).items():
            self._buckets[place].inc(count)
        self._sum.inc(sum(amounts))


class Metrics:
    """The metrics of a process.

    shared: whether other worker processes report these metrics too.

    The label `route` is the template of a path, never the path itself; it is "" for an unknown path.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("http_requests", "Requests answered.", ("method", "route", "status"), registry=registry)
        self.durations = BatchedHistogram(
            "http_request_duration_seconds",
            "Time from the request head to the last response byte written.",
            ("route",),
            registry=registry,
            buckets=SECONDS,
        )
        self.in_flight = Gauge(
            "http_requests_in_flight",
            "Requests for operations in progress.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.body_bytes = Counter(
            "http_body_bytes", "Bytes of bodies, by direction: in or out.", ("route", "direction"), registry=registry
        )
        self.elements = Counter("softmax_elements", "Logits processed.", ("operation",), registry=registry)
        self.stages = Counter(
            "softmax_stage_seconds",
            "Time in the stages decode, compute and encode.",
            ("operation", "stage"),
            registry=registry,
        )
        self.shed = Counter(
            "softmax_requests_shed",
            "Requests for operations answered with 503.",
            ("operation",),
            registry=registry,
        )
        self.bytes_in_flight = Gauge(
            "softmax_bytes_in_flight",
            "Bytes of bodies and output tensors in memory.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        build = Gauge(
            "softmax_build_info",
            "1, with the version as a label.",
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
        # a look-up by labels costs more than counting
        self._elements = lru_cache(self.elements.labels)
        self._request = lru_cache(self.requests.labels)
        self._duration = lru_cache(self.durations.labels)
        self._bytes = lru_cache(self.body_bytes.labels)
        self._stage = lru_cache(self.stages.labels)

    def count(self, context: RequestContext, seconds: float) -> None:
        """Note an answered request for the next `flush`."""
        method = context.method if context.method in METHODS else "OTHER"
        noted = self._noted[method, context.route, context.status, context.operation]
        noted.append((seconds, context.bytes_in, context.bytes_out, context.elements, context.stages))
        if len(noted) == BATCH_SIZE:
            self.flush()

    def flush(self) -> None:
        """Add all noted requests to the counters."""
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

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics of all processes as text, in the format that Accept asks for, and its media type."""
        registry = self.registry
        if self.shared:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        write, media_type = choose_encoder(accept)
        return write(registry), media_type
