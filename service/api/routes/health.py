"""Is it alive, does it take work, what are its limits, where to go next."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, Field

from service import __version__
from service.operations import OPERATIONS
from service.schemas.open_inference import Live, Ready

if TYPE_CHECKING:
    from service.settings import Settings


class Limits(BaseModel):
    """What a request may not exceed."""

    max_body_bytes: int = Field(description="Longest request body, in bytes.")
    max_elements: int = Field(description="Largest input or output tensor, in elements.")
    max_bytes_in_flight: int = Field(description="Bytes of bodies and output tensors that are worked on at once.")


class OperationInfo(BaseModel):
    """The names an operation knows."""

    name: str = Field(description="Its path is /name.")
    inputs: list[str] = Field(description="Tensors a request may carry.")
    parameters: list[str] = Field(description="Scalars a request may carry.")
    outputs: list[str] = Field(description="Tensors a reply may carry.")
    defaults: list[str] = Field(description="Those it carries unless the request chooses, if it can have them.")


class Info(BaseModel):
    """What runs here."""

    name: str = Field(description="The name of the service.")
    version: str = Field(description="Its version.")
    operations: list[OperationInfo] = Field(description="What it computes.")
    limits: Limits = Field(description="The limits in force, for each process.")


def readiness(request: Request, response: Response) -> Ready:
    """Does the process take work? 503 while it leaves."""
    leaving = request.app.state.lifecycle.leaving
    if leaving:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Ready(ready=not leaving)


Readiness = Annotated[Ready, Depends(readiness)]


def health_router(settings: Settings) -> APIRouter:
    """GET /, /livez, /readyz and /info."""
    router = APIRouter(tags=["service"])
    operations = [
        OperationInfo(
            name=each.name,
            inputs=[tensor.name for tensor in each.inputs],
            parameters=[*(parameter.name for parameter in each.parameters), "outputs"],
            outputs=[output.name for output in each.outputs],
            defaults=list(each.default_outputs),
        )
        for each in OPERATIONS
    ]
    limits = Limits(**{name: getattr(settings, name) for name in Limits.model_fields})
    about = Info(name="softmax-service", version=__version__, operations=operations, limits=limits)

    @router.get("/livez", operation_id="livez", summary="Does the process answer?")
    async def livez() -> Live:
        return Live(live=True)

    @router.get("/readyz", operation_id="readyz", summary="Does it take work?")
    async def readyz(ready: Readiness) -> Ready:
        return ready

    @router.get("/info", operation_id="info", summary="Version, operations and the limits in force")
    async def info() -> Info:
        return about

    @router.get("/", include_in_schema=False)
    async def root(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("docs")
        links: dict[str, Any] = {each.name: f"POST /{each.name}" for each in OPERATIONS}
        links |= {
            "docs": "GET /docs",
            "openapi": "GET /openapi.json",
            "info": "GET /info",
            "metrics": "GET /metrics",
            "playground": "GET /playground",
        }
        return JSONResponse(links)

    return router
