"""GET /metrics, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

if TYPE_CHECKING:
    from service.api.runtime import Runtime

DOCUMENTED = {
    200: {"description": "The metrics of all processes.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


def metrics_router(runtime: Runtime) -> APIRouter:
    """Return the route /metrics."""
    router = APIRouter(tags=["service"])

    @router.get(
        "/metrics",
        operation_id="metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses=DOCUMENTED,  # type: ignore[arg-type]  # FastAPI's type is wider than a dict of it
    )
    async def metrics(request: Request) -> Response:
        """Return the metrics of all worker processes; as OpenMetrics if Accept asks for it."""
        runtime.publish()
        text, media_type = runtime.metrics.exposition(request.headers.get("accept", ""))
        return Response(text, media_type=media_type)

    return router
