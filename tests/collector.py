"""A collector of OpenTelemetry, which decodes what it receives."""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MESSAGES: dict[str, Any] = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}
"""Kind of message by path."""


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


def spans_of(received: Mapping[str, list[Any]]) -> list[Any]:
    """Return the spans of all messages."""
    groups = [group for message in received["/v1/traces"] for group in message.resource_spans]
    return [span for group in groups for scope in group.scope_spans for span in scope.spans]
