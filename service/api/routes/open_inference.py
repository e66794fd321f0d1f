"""The Open Inference Protocol (KServe V2), except inference itself."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from service import __version__
from service.api.openapi.components import PROBLEM
from service.api.routes.health import Readiness  # noqa: TC001  FastAPI reads it
from service.errors import UnknownModel
from service.formats.open_inference import VERSION
from service.operations import OPERATIONS
from service.schemas.open_inference import ModelMetadata, ModelName, ServerMetadata
from service.schemas.service import NAME, Live, Ready

MODELS = {operation.name: operation for operation in OPERATIONS}

router = APIRouter(prefix="/v2", tags=["open-inference"], responses={"default": PROBLEM})


def check_model(model: str, version: str) -> None:
    """Raise UnknownModel unless the model has the version."""
    if model not in MODELS or version != VERSION:
        raise UnknownModel(model, version, MODELS)


@router.get("/", include_in_schema=False)
@router.get("", operation_id="v2_server", summary="Server metadata")
async def server() -> ServerMetadata:
    """Return the name and the version of the service, and the extensions of the protocol."""
    return ServerMetadata(name=NAME, version=__version__, extensions=["binary_tensor_data"])


@router.get("/health/live", operation_id="v2_live", summary="Liveness")
async def live() -> Live:
    """Return 200 while the process answers."""
    return Live(live=True)


@router.get("/health/ready", operation_id="v2_ready", summary="Readiness")
async def ready(readiness: Readiness) -> Ready:
    """Return 200 while the process accepts requests, 503 while it shuts down."""
    return readiness


@router.get("/models", operation_id="v2_models", summary="The models")
async def models() -> list[ModelName]:
    """Return the operations, as models."""
    return [ModelName(name=name) for name in MODELS]


@router.get("/models/{model}/versions/{version}", operation_id="v2_model_version", summary="Metadata of a version")
@router.get("/models/{model}", operation_id="v2_model", summary="Metadata of a model")
async def metadata(model: str, version: str = VERSION) -> ModelMetadata:
    """Return the inputs and outputs of an operation."""
    check_model(model, version)
    return ModelMetadata.of(MODELS[model], VERSION)


@router.get(
    "/models/{model}/versions/{version}/ready", operation_id="v2_version_ready", summary="Readiness of a version"
)
@router.get("/models/{model}/ready", operation_id="v2_model_ready", summary="Readiness of a model")
async def model_ready(model: str, readiness: Readiness, version: str = VERSION) -> Ready:
    """Return 200 while the process accepts requests, 503 while it shuts down."""
    check_model(model, version)
    return readiness


@router.post("/models/{model}/versions/{version}/infer", include_in_schema=False)
@router.post("/models/{model}/infer", include_in_schema=False)
async def unknown_model(model: str, version: str = VERSION) -> Any:
    """Raise UnknownModel: the models that exist have routes of their own."""
    raise UnknownModel(model, version, MODELS)
