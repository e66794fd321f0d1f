"""GET /, /livez, /readyz and /info."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from service.formats.codecs import active_codecs
from service.operations import OPERATIONS
from service.schemas.service import Info, Live, Ready

if TYPE_CHECKING:
    from service.settings import Settings


LINKS = {
    "open_inference": "GET /v2",
    "models": "GET /v2/models",
    "openapi": "GET /openapi.json",
    "openapi_typed": "GET /openapi/typed.json",
    "problems": "GET /problems",
    "info": "GET /info",
    "metrics": "GET /metrics",
    "liveness": "GET /livez",
    "readiness": "GET /readyz",
}
"""Links of GET / beside the operations."""

PAGES = {"docs": "GET /docs", "playground": "GET /playground"}


def readiness(request: Request, response: Response) -> Ready:
    """Return whether the process accepts requests, with status 503 while it shuts down."""
    leaving = request.app.state.runtime.lifecycle.leaving
    if leaving:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Ready(ready=not leaving)


Readiness = Annotated[Ready, Depends(readiness)]


def health_router(settings: Settings) -> APIRouter:
    """Return the routes /, /livez, /readyz and /info."""
    router = APIRouter(tags=["service"])
    about = Info.of(OPERATIONS, settings, active_codecs())

    @router.get("/livez", operation_id="livez", summary="Liveness")
    async def livez() -> Live:
        return Live(live=True)

    @router.get("/readyz", operation_id="readyz", summary="Readiness")
    async def readyz(ready: Readiness) -> Ready:
        return ready

    @router.get("/info", operation_id="info", summary="Version, operations, limits and JSON codecs")
    async def info() -> Info:
        return about

    @router.get("/", include_in_schema=False)
    async def root(request: Request) -> Response:
        if settings.pages and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("docs")
        links = {operation.name: f"POST /{operation.name}" for operation in OPERATIONS}
        pages = PAGES if settings.pages else {}
        return JSONResponse({**links, **LINKS, **pages})

    return router
