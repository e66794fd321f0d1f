"""GET /, /livez, /readyz and /info."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from service.api.negotiation import wants_html
from service.formats.codecs import active_codecs
from service.operations import OPERATIONS
from service.schemas.service import Info, Live, Ready

if TYPE_CHECKING:
    from service.schemas.models import ReadyModel
    from service.settings import Settings


LINKS = {
    "open_inference": "GET /v2",
    "models": "GET /v2/models",
    "openapi": "GET /openapi.json",
    "openapi_typed": "GET /openapi/typed.json",
    "problems": "GET /problems",
    "info": "GET /info",
}
"""Links of GET / beside the operations, the pages, metrics and probes."""

PAGES = {"docs": "GET /docs", "playground": "GET /playground"}

METRICS = {"metrics": "GET /metrics"}

PROBES = {"liveness": "GET /livez", "readiness": "GET /readyz"}


def unready(model: type[Ready | ReadyModel]) -> dict[int | str, dict[str, Any]]:
    """Return the description of the response to a probe while the process shuts down."""
    return {503: {"model": model, "description": "The process is shutting down."}}


async def readiness(request: Request, response: Response) -> Ready:
    """Return whether the process accepts requests, with status 503 while it shuts down."""
    leaving = request.app.state.runtime.lifecycle.leaving
    if leaving:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Ready(ready=not leaving)


Readiness = Annotated[Ready, Depends(readiness)]


def probe_router() -> APIRouter:
    """Return the routes /livez and /readyz."""
    router = APIRouter(tags=["service"])

    @router.get("/livez", operation_id="livez", summary="Liveness")
    async def livez() -> Live:
        return Live(live=True)

    @router.get("/readyz", operation_id="readyz", summary="Readiness", responses=unready(Ready))
    async def readyz(ready: Readiness) -> Ready:
        return ready

    return router


def about_router(settings: Settings) -> APIRouter:
    """Return the routes / and /info."""
    router = APIRouter(tags=["service"])
    about = Info.of(OPERATIONS, settings, active_codecs())
    links = {operation.name: f"POST /{operation.name}" for operation in OPERATIONS} | LINKS | PROBES
    if settings.metrics_port is None:
        links |= METRICS
    if settings.pages:
        links |= PAGES

    @router.get("/info", operation_id="info", summary="Version, operations, limits and JSON codecs")
    async def info() -> Info:
        return about

    @router.get("/", include_in_schema=False)
    async def root(request: Request) -> Response:
        headers = {"Vary": "Accept"} if settings.pages else {}
        if settings.pages and wants_html(request.headers.get("accept", "")):
            return RedirectResponse("docs", headers=headers)
        return JSONResponse(links, headers=headers)

    return router
