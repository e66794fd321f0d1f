"""OpenTelemetry. FastAPI makes the spans and the metrics."""

from __future__ import annotations

import os
from uuid import uuid4

from service import __version__
from service.schemas.service import NAME


def describe_process() -> None:
    """Name the service, its version and this process in what is exported, unless the environment does."""
    os.environ.setdefault("OTEL_SERVICE_NAME", NAME)
    own = f"service.version={__version__},service.instance.id={uuid4()}"
    given = os.environ.get("OTEL_RESOURCE_ATTRIBUTES")
    # the last value of an attribute counts
    os.environ["OTEL_RESOURCE_ATTRIBUTES"] = f"{own},{given}" if given else own


def current_trace_id() -> str | None:
    """Return the trace id of the current span, None without a span."""
    from opentelemetry import trace  # noqa: PLC0415  an optional dependency

    context = trace.get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else None
