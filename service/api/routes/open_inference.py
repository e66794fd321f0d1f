"""The Open Inference Protocol (KServe V2) and Triton's extensions of it, except inference itself."""

from __future__ import annotations

from asyncio import timeout
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Request, Response

from service import __version__
from service.api.context import STAGES
from service.api.openapi.components import PROBLEM
from service.api.routes.health import Readiness, unready
from service.errors import BodyTooLarge, SlowBody, UnknownModel
from service.formats.open_inference import VERSION, asks_for_ready_models
from service.formats.query import reject_parameters
from service.operations import OPERATIONS
from service.schemas.models import (
    Duration,
    InferenceStatistics,
    ModelConfig,
    ModelMetadata,
    ModelNames,
    ModelStatistics,
    ReadyModel,
    RepositoryModel,
    ServerMetadata,
    Statistics,
)
from service.schemas.service import NAME, Live, Ready

if TYPE_CHECKING:
    from collections.abc import Collection

    from service.api.observability.metrics import OperationStatistics
    from service.api.runtime import Runtime
    from service.operations.spec import Operation

MODELS = {operation.name: operation for operation in OPERATIONS}

EXTENSIONS = ["binary_tensor_data", "model_configuration", "statistics", "model_repository"]
"""Triton's names of the supported extensions."""


MAX_INDEX_BYTES = 2**12
"""Longest body of a request for the repository index."""


INDEX_BODY = {
    "description": "The models to list; without a body, all of them.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "ready": {"type": ["boolean", "null"], "description": "True to list ready models only."}
                },
            },
            "examples": {"ready": {"summary": "The models that are ready", "value": {"ready": True}}},
        }
    },
}
"""The optional body of a request for the repository index, for the OpenAPI document."""


def find_model(model: str, version: str) -> Operation:
    """Return the operation of a model. Raise UnknownModel."""
    if model not in MODELS or version != VERSION:
        raise UnknownModel(model, version, MODELS)
    return MODELS[model]


async def reject_query(request: Request) -> None:
    """Raise UnknownField for a query parameter: these paths have none."""
    reject_parameters(request.url.query, "this path has none.")


router = APIRouter(
    prefix="/v2", tags=["open-inference"], responses={"default": PROBLEM}, dependencies=[Depends(reject_query)]
)


@router.get("/", include_in_schema=False)
@router.get("", operation_id="v2_server", summary="Server metadata")
async def server() -> ServerMetadata:
    """Return the name and the version of the service, and the extensions of the protocol."""
    return ServerMetadata(name=NAME, version=__version__, extensions=EXTENSIONS)


@router.get("/health/live", operation_id="v2_live", summary="Liveness")
async def live() -> Live:
    """Return 200 while the process answers."""
    return Live(live=True)


@router.get("/health/ready", operation_id="v2_ready", summary="Readiness", responses=unready(Ready))
async def ready(readiness: Readiness) -> Ready:
    """Return 200 while the process accepts requests, 503 while it shuts down."""
    return readiness


@router.get("/models", operation_id="v2_models", summary="The models")
async def models() -> ModelNames:
    """Return the names of the operations."""
    return ModelNames(models=list(MODELS))


@router.post(
    "/repository/index",
    operation_id="v2_repository_index",
    summary="The model repository",
    openapi_extra={"requestBody": INDEX_BODY},
)
async def repository_index(request: Request, readiness: Readiness, response: Response) -> list[RepositoryModel]:
    """Return every model with its state. A body `{"ready": true}` asks for the models that are ready only."""
    response.status_code = HTTPStatus.OK
    only_ready = asks_for_ready_models(await _short_body(request))
    if only_ready and not readiness.ready:
        return []
    state, reason = ("READY", "") if readiness.ready else ("UNAVAILABLE", "The process is shutting down.")
    return [RepositoryModel(name=name, version=VERSION, state=state, reason=reason) for name in MODELS]


@router.get("/models/stats", operation_id="v2_stats", summary="Statistics of all models")
async def all_statistics(request: Request) -> Statistics:
    """Return the number and the time of requests of every model."""
    return _statistics(MODELS, request.app.state.runtime)


@router.get("/models/{model}/versions/{version}", operation_id="v2_model_version", summary="Metadata of a version")
@router.get("/models/{model}", operation_id="v2_model", summary="Metadata of a model")
async def metadata(model: str, version: str = VERSION) -> ModelMetadata:
    """Return the inputs and outputs of an operation."""
    return ModelMetadata.of(find_model(model, version), VERSION)


@router.get(
    "/models/{model}/versions/{version}/config",
    operation_id="v2_version_config",
    summary="Configuration of a version",
)
@router.get("/models/{model}/config", operation_id="v2_model_config", summary="Configuration of a model")
async def config(model: str, version: str = VERSION) -> ModelConfig:
    """Return the inputs and outputs of an operation in Triton's form."""
    return ModelConfig.of(find_model(model, version))


@router.get(
    "/models/{model}/versions/{version}/stats", operation_id="v2_version_stats", summary="Statistics of a version"
)
@router.get("/models/{model}/stats", operation_id="v2_model_stats", summary="Statistics of a model")
async def statistics(request: Request, model: str, version: str = VERSION) -> Statistics:
    """Return the number and the time of requests."""
    return _statistics([find_model(model, version).name], request.app.state.runtime)


@router.get(
    "/models/{model}/versions/{version}/ready",
    operation_id="v2_version_ready",
    summary="Readiness of a version",
    responses=unready(ReadyModel),
)
@router.get(
    "/models/{model}/ready",
    operation_id="v2_model_ready",
    summary="Readiness of a model",
    responses=unready(ReadyModel),
)
async def model_ready(model: str, readiness: Readiness, version: str = VERSION) -> ReadyModel:
    """Return 200 while the process accepts requests, 503 while it shuts down."""
    return ReadyModel(name=find_model(model, version).name, ready=readiness.ready)


@router.post("/models/{model}/versions/{version}/infer", include_in_schema=False)
@router.post("/models/{model}/infer", include_in_schema=False)
async def unknown_model(model: str, version: str = VERSION) -> Any:
    """Raise UnknownModel: the models that exist have routes of their own."""
    raise UnknownModel(model, version, MODELS)


async def _short_body(request: Request) -> bytes:
    """Return the body of a request. Raise BodyTooLarge or SlowBody."""
    seconds = request.app.state.runtime.settings.body_timeout_seconds
    body = b""
    try:
        async with timeout(seconds):
            async for piece in request.stream():
                body += piece
                if len(body) > MAX_INDEX_BYTES:
                    raise BodyTooLarge(MAX_INDEX_BYTES)
    except TimeoutError:
        raise SlowBody(seconds) from None
    return body


def _statistics(names: Collection[str], runtime: Runtime) -> Statistics:
    """Return the statistics of models."""
    found = runtime.metrics.statistics(names)
    return Statistics(model_stats=list(map(_model_statistics, names, found)))


def _model_statistics(name: str, found: OperationStatistics) -> ModelStatistics:
    """Return the statistics of a model as Triton has them."""
    decode, compute, encode = (_duration(found.successes, found.stages[stage]) for stage in STAGES)
    return ModelStatistics(
        name=name,
        version=VERSION,
        last_inference=int(found.last * 1e3),
        inference_count=found.successes,
        execution_count=found.successes,
        inference_stats=InferenceStatistics(
            success=_duration(found.successes, found.success_seconds),
            fail=_duration(found.failures, found.failure_seconds),
            queue=_duration(found.successes, 0),
            compute_input=decode,
            compute_infer=compute,
            compute_output=encode,
        ),
        batch_stats=[],
    )


def _duration(count: int, seconds: float) -> Duration:
    return Duration(count=count, ns=round(seconds * 1e9))
