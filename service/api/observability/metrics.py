"""Prometheus metrics, named as https://prometheus.io/docs/practices/naming advises."""

from __future__ import annotations

import collections
import os
from bisect import bisect_left
from functools import lru_cache, partial
from http import HTTPStatus
from time import time
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    platform_collector,
    process_collector,
    values,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from service import __version__
from service.api.context import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prometheus_client import Metric
    from prometheus_client.samples import Sample

    from service.api.context import RequestContext

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Upper edges of the duration buckets: a row takes tenths of a millisecond, the largest batch a second."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Values of the label `method`; any other method is OTHER, so that no client can invent label values."""

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable with the folder in which worker processes share their metrics."""

STATUS_CLASSES = ("", "1xx", "2xx", "3xx", "4xx", "5xx")
"""Values of the label `status_class`, by the first digit of the status."""

OK = HTTPStatus.OK.value
SHED = HTTPStatus.SERVICE_UNAVAILABLE.value


def share_as(worker: int) -> None:
    """Name the files that this process shares by the number of its worker, to go on with those of the one it replaces."""
    values.ValueClass = values.MultiProcessValue(lambda: worker)


class OperationStatistics(NamedTuple):
    """The requests of an operation on all of its routes.

    stages: seconds of each of STAGES. last: time of the latest success in this process, 0 for none.
    """

    successes: int
    success_seconds: float
    failures: int
    failure_seconds: float
    stages: Mapping[str, float]
    last: float


class Tally:
    """The requests of one route and status since the last `flush`.

    buckets: how many took up to each of SECONDS, and how many longer. stages: milliseconds of each of STAGES.
    """

    def __init__(self) -> None:
        self.bytes_in = self.bytes_out = self.elements = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(SECONDS) + 1)
        self.stages = [0.0] * len(STAGES)


class BatchedHistogram(Histogram):
    """A histogram that takes many observations at once: `observe` would cost 4 % of a small request."""

    def add(self, buckets: Sequence[int], total: float) -> None:
        """Add observations by their number in each bucket, and their sum."""
        for bucket, count in zip(self._buckets, buckets, strict=True):
            if count:
                bucket.inc(count)
        self._sum.inc(total)


class Metrics:
    """The metrics of a process.

    shared: whether other worker processes report these metrics too.

    The label `route` is the template of a path, never the path itself; it is "" for an unknown path.
    """

    def __init__(self) -> None:
        # they would double the number of series
        disable_created_metrics()
        self.registry = registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        requests = counter("http_requests", "Requests answered.", ("method", "route", "status"))
        self.durations = BatchedHistogram(
            "http_request_duration_seconds",
            "Time from the request head to the last response byte written.",
            ("route", "status_class"),
            registry=registry,
            buckets=SECONDS,
        )
        self.in_flight = gauge(
            "http_requests_in_flight", "Requests for operations in progress.", multiprocess_mode="livesum"
        )
        body_bytes = counter("http_body_bytes", "Bytes of bodies, by direction: in or out.", ("route", "direction"))
        elements = counter("softmax_elements", "Logits processed.", ("operation",))
        stages = counter(
            "softmax_stage_seconds", "Time in the stages decode, compute and encode.", ("operation", "stage")
        )
        self._shed = counter("softmax_requests_shed", "Requests for operations answered with 503.", ("operation",))
        self.bytes_in_flight = gauge(
            "softmax_bytes_in_flight", "Bytes of bodies and output tensors in memory.", multiprocess_mode="livesum"
        )
        build = gauge("softmax_build_info", "1, with the version as a label.", ("version",), multiprocess_mode="max")
        build.labels(__version__).set(1)
        self.shared = SHARED in os.environ
        if not self.shared:
            process_collector.ProcessCollector(registry=registry)
            platform_collector.PlatformCollector(registry=registry)
        self._tallies: collections.defaultdict[tuple[str, str, int, str], Tally] = collections.defaultdict(Tally)
        self._last: dict[str, float] = {}
        # a look-up by labels costs more than counting
        self._elements = lru_cache(elements.labels)
        self._request = lru_cache(requests.labels)
        self._duration = lru_cache(self.durations.labels)
        self._bytes = lru_cache(body_bytes.labels)
        self._stage = lru_cache(stages.labels)

    def count(self, context: RequestContext, seconds: float) -> None:
        """Count an answered request; the next `flush` adds it to the metrics."""
        method = context.method if context.method in METHODS else "OTHER"
        tally = self._tallies[method, context.route, context.status, context.operation]
        tally.bytes_in += context.bytes_in
        tally.bytes_out += context.bytes_out
        tally.elements += context.elements
        tally.seconds += seconds
        tally.buckets[bisect_left(SECONDS, seconds)] += 1
        stages = tally.stages
        for place, milliseconds in enumerate(context.stages):
            stages[place] += milliseconds
        if context.operation and context.status == OK:
            self._last[context.operation] = time()

    def flush(self) -> None:
        """Add all counted requests to the metrics."""
        for (method, route, status, operation), tally in self._tallies.items():
            requests = sum(tally.buckets)
            self._request(method, route, status).inc(requests)
            self._duration(route, STATUS_CLASSES[status // 100]).add(tally.buckets, tally.seconds)
            self._bytes(route, "out").inc(tally.bytes_out)
            if operation:
                self._bytes(route, "in").inc(tally.bytes_in)
                self._elements(operation).inc(tally.elements)
            if operation and status == SHED:
                self._shed.labels(operation).inc(requests)
            for stage, milliseconds in zip(STAGES, tally.stages, strict=True):
                if milliseconds:
                    self._stage(operation, stage).inc(milliseconds / 1e3)
        self._tallies.clear()

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics of all processes as text, in the format that Accept asks for, and its media type."""
        write, media_type = choose_encoder(accept)
        return write(self._all_processes()), media_type

    def statistics(self, operations: Iterable[str]) -> list[OperationStatistics]:
        """Return the statistics of operations in all processes."""
        self.flush()
        families = {family.name: family for family in self._all_processes().collect()}
        return [self._statistics(operation, families) for operation in operations]

    def _statistics(self, operation: str, families: Mapping[str, Metric]) -> OperationStatistics:
        """Return the statistics of an operation, given the metrics by name."""
        totals: collections.defaultdict[tuple[bool, str], float] = collections.defaultdict(float)
        for sample in _samples(families, "http_request_duration_seconds"):
            route = sample.labels["route"]
            if route == f"/{operation}" or route.startswith(f"/v2/models/{operation}/"):
                totals[sample.labels["status_class"] == "2xx", sample.name.rpartition("_")[2]] += sample.value
        stages = dict.fromkeys(STAGES, 0.0)
        for sample in _samples(families, "softmax_stage_seconds"):
            if sample.labels["operation"] == operation and sample.name.endswith("_total"):
                stages[sample.labels["stage"]] += sample.value
        return OperationStatistics(
            successes=int(totals[True, "count"]),
            success_seconds=totals[True, "sum"],
            failures=int(totals[False, "count"]),
            failure_seconds=totals[False, "sum"],
            stages=stages,
            last=self._last.get(operation, 0.0),
        )

    def _all_processes(self) -> CollectorRegistry:
        """Return the metrics of this process, and of all others that share theirs."""
        if not self.shared:
            return self.registry
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return registry


def _samples(families: Mapping[str, Metric], name: str) -> Iterable[Sample]:
    """Return the samples of a metric, none if it was never used."""
    return families[name].samples if name in families else ()
