"""OpenTelemetry traces. FastAPI makes the spans."""

from __future__ import annotations


def current_trace_id() -> str | None:
    """Return the trace id of the current span, None without a span."""
    from opentelemetry import trace  # noqa: PLC0415  an optional dependency

    context = trace.get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else None
