"""The Open Inference Protocol (KServe V2): the same operations for clients of inference servers."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Route

from service import __version__
from service.api import problems
from service.api.endpoint import OperationEndpoint, Reply
from service.api.negotiation import content_type, first_accepted
from service.api.routes.health import Readiness  # noqa: TC001  FastAPI reads it
from service.errors import MalformedBody
from service.formats import json_encode, open_inference
from service.formats.open_inference import HEADER_LENGTH, VERSION
from service.operations import OPERATIONS
from service.schemas.open_inference import (
    InferRequest,
    InferResponse,
    Live,
    ModelMetadata,
    ModelName,
    Ready,
    ServerMetadata,
)
from service.schemas.requests import request_model

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    import numpy.typing as npt
    from starlette.requests import Request
    from starlette.responses import Response

    from service.api.context import RequestContext
    from service.api.endpoint import Body, Fields, Write
    from service.api.problems import ProblemType
    from service.api.runtime import Runtime
    from service.formats.open_inference import Inference
    from service.operations.spec import Operation

BINARY = "application/octet-stream"
READABLE = (json_encode.MEDIA_TYPE, BINARY)

MOST_DIGITS = 19
"""Digits of the largest size of 64 bits."""

MODELS = {operation.name: operation for operation in OPERATIONS}


class OpenInferenceFormat:
    """The body is an infer request: JSON, and the tensors that it does not hold itself as raw bytes behind it."""

    def check_headers(self, context: RequestContext) -> None:
        """Raises UnreadableMediaType and UnwritableMediaType; the common client says nothing of either."""
        headers = context.headers
        if b"content-type" in headers:
            content_type(headers[b"content-type"], READABLE)
        first_accepted(headers.get(b"accept"), READABLE)

    def decode(self, context: RequestContext, body: Body, operation: Operation) -> tuple[Fields, Write]:
        """The fields of the body, and the function that writes the outputs. Raises ServiceError."""
        inference = open_inference.decode(body, _header_length(context), operation)
        # what was sent is not kept until the answer is written
        fields, inference.fields = inference.fields, {}
        return fields, partial(write, inference, operation)

    def status(self, kind: ProblemType) -> int:
        """The status of a refusal: whatever is wrong with a request is 400 here."""
        return 400 if kind.status == HTTPStatus.UNPROCESSABLE_ENTITY else kind.status


def write(inference: Inference, operation: Operation, outputs: Mapping[str, npt.NDArray[Any]]) -> Reply:
    """The infer response."""
    content, header_length = open_inference.encode(inference, outputs, operation)
    if header_length is None:
        return Reply(content, json_encode.MEDIA_TYPE)
    return Reply(content, BINARY, ((HEADER_LENGTH.lower().encode(), b"%d" % header_length),))


def _header_length(context: RequestContext) -> int | None:
    value = context.header(HEADER_LENGTH.lower().encode())
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= MOST_DIGITS):
        raise MalformedBody(f"The header {HEADER_LENGTH} must be a whole number of bytes.")
    return int(value)


def open_inference_routes(runtime: Runtime) -> list[Route]:
    """The endpoint behind each infer path."""
    wire_format = OpenInferenceFormat()
    paths = [
        (f"/v2/models/{operation.name}{version}/infer", operation)
        for operation in OPERATIONS
        for version in ("", f"/versions/{VERSION}")
    ]
    return [
        Route(
            path,
            OperationEndpoint(path, operation, request_model(operation), wire_format, runtime),
            methods=["POST"],
            include_in_schema=False,
        )
        for path, operation in paths
    ]


router = APIRouter(prefix="/v2", tags=["open-inference"], responses={"default": problems.RESPONSE})
"""What the protocol asks for besides inference, and what inference looks like."""


def operation(model: str, version: str = VERSION) -> Operation:
    """The operation that is a model. Raises 404."""
    if model not in MODELS or version != VERSION:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return MODELS[model]


@router.get("/", include_in_schema=False)
@router.get("", operation_id="v2_server", summary="Server metadata")
async def server() -> ServerMetadata:
    """What runs here, and what it speaks beyond the protocol."""
    return ServerMetadata(name="softmax-service", version=__version__, extensions=["binary_tensor_data"])


@router.get("/health/live", operation_id="v2_live", summary="Does the process answer?")
async def live() -> Live:
    """200 as long as the process answers."""
    return Live(live=True)


@router.get("/health/ready", operation_id="v2_ready", summary="Does it take work?")
async def ready(readiness: Readiness) -> Ready:
    """200 as long as it takes work, 503 while it leaves."""
    return readiness


@router.get("/models", operation_id="v2_models", summary="The models")
async def models() -> list[ModelName]:
    """The operations, as models."""
    return [ModelName(name=name) for name in MODELS]


@router.get("/models/{model}/versions/{version}", operation_id="v2_model_version", summary="Metadata of a version")
@router.get("/models/{model}", operation_id="v2_model", summary="Metadata of a model")
async def metadata(model: str, version: str = VERSION) -> ModelMetadata:
    """Inputs and outputs of an operation."""
    return ModelMetadata.of(operation(model, version), VERSION)


@router.get("/models/{model}/versions/{version}/ready", operation_id="v2_version_ready", summary="Is a version ready?")
@router.get("/models/{model}/ready", operation_id="v2_model_ready", summary="Is a model ready?")
async def model_ready(model: str, readiness: Readiness, version: str = VERSION) -> Ready:
    """200 if the operation takes work, 503 while the process leaves."""
    operation(model, version)
    return readiness


async def infer(model: str, request: InferRequest, version: str = VERSION) -> InferResponse:
    """An operation on named tensors, as JSON or with raw bytes behind it."""
    raise NotImplementedError


class Elsewhere(APIRoute):
    """A path for the document: the operations that exist are served by endpoints of their own, any other is not there."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The coroutine that finds nothing."""

        async def handle(_: Request) -> Response:
            raise HTTPException(HTTPStatus.NOT_FOUND)

        return handle


for path, operation_id in (("", "v2_infer"), ("/versions/{version}", "v2_version_infer")):
    router.add_api_route(
        f"/models/{{model}}{path}/infer",
        infer,
        methods=["POST"],
        operation_id=operation_id,
        summary="Run an operation",
        route_class_override=Elsewhere,
    )
