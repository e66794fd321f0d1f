"""Rounds: start a service, measure it at every point, stop it."""

from __future__ import annotations

import sys
from http.client import HTTPException
from math import ceil
from typing import TYPE_CHECKING

from bench import payloads, processes
from bench.load import LoadError, drive, request
from bench.results import Measurement, Point, Results, Start
from bench.servers import Server, StartError, ask, running

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.services import Service

WARM_UP_SECONDS = 0.2

FAILURES = (StartError, LoadError, TimeoutError, OSError, HTTPException, ValueError)
"""Failures of a peer that do not end the run."""


def measure(results: Results, service: Service, points: Iterable[Point], core: int) -> None:
    """Measure one round of one service on a core. A failure is recorded and ends the round."""
    at = "start"
    try:
        with running(service, core) as server:
            results.starts.append(Start(service.name, server.seconds, processes.peak_bytes(server.pid)))
            for point in points:
                at = f"{point.shape}, {point.connections} connections"
                results.measurements.append(_measure(service, server, point, results.seconds))
    except FAILURES as error:
        results.failures[service.name] = f"{at}: {str(error) or type(error).__name__}"
        sys.stderr.write(f"{service.title}: {results.failures[service.name]}\n")


def _measure(service: Service, server: Server, point: Point, seconds: float) -> Measurement:
    """Check one answer, warm up, and measure a window."""
    ask(service, server.port, point.rows, point.classes)
    message = service.kind.encode(payloads.logits(point.rows, point.classes))
    sent = request(server.port, service.path, message)
    drive(server.port, sent, 1, WARM_UP_SECONDS)
    processes.reset_peaks(server.pid)
    before = processes.cpu_seconds(server.pid)
    window = drive(server.port, sent, point.connections, seconds)
    latencies = sorted(window.latencies)
    return Measurement(
        service=service.name,
        point=point,
        requests=len(latencies),
        seconds=window.seconds,
        cpu_seconds=processes.cpu_seconds(server.pid) - before,
        busy=window.busy,
        p50_ms=percentile(latencies, 0.5) * 1e3,
        p99_ms=percentile(latencies, 0.99) * 1e3,
        request_bytes=len(message.body),
        reply_bytes=window.reply_bytes,
        peak_bytes=processes.peak_bytes(server.pid),
    )


def percentile(ordered: list[float], share: float) -> float:
    """Return the smallest value that at least this share of the ordered values does not exceed."""
    return ordered[ceil(share * len(ordered)) - 1]
