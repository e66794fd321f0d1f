"""POST /softmax, /loss and /gradient: JSON or NumPy's files in, the same out."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from fastapi.routing import APIRoute

from service.api import problems
from service.api.endpoint import OperationEndpoint, Reply
from service.api.negotiation import content_type, first_accepted
from service.formats import json_decode, json_encode, npy
from service.operations import OPERATIONS
from service.schemas.requests import request_model
from service.schemas.responses import reply_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from service.api.context import RequestContext
    from service.api.endpoint import Body, Fields, Write
    from service.api.problems import ProblemType
    from service.api.runtime import Runtime
    from service.operations.spec import Operation
    from service.settings import Settings

READABLE = (json_encode.MEDIA_TYPE, npy.NPY, npy.NPZ)
BINARY_FIRST = (npy.NPY, npy.NPZ, json_encode.MEDIA_TYPE)


class PlainFormat:
    """The body is the request: a JSON object, a .npy file of logits, or a .npz archive of inputs.

    The answer is of the same family, unless Accept asks for the other: a .npy file for one output, a .npz archive for more.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def check_headers(self, context: RequestContext) -> None:
        """Raises UnreadableMediaType and UnwritableMediaType."""
        formats(context.headers.get(b"content-type"), context.headers.get(b"accept"))

    def decode(self, context: RequestContext, body: Body, operation: Operation) -> tuple[Fields, Write]:
        """The fields of the body, and the function that writes the outputs. Raises ServiceError."""
        accept = context.headers.get(b"accept")
        brought, welcome = formats(context.headers.get(b"content-type"), accept)
        if brought == json_encode.MEDIA_TYPE:
            fields = json_decode.decode(body, operation)
        elif brought == npy.NPY:
            fields = npy.decode_npy(body, operation, context.query)
        else:
            fields = npy.decode_npz(body, operation, context.query, max_bytes=self.settings.max_body_bytes)
        if welcome == json_encode.MEDIA_TYPE:
            return fields, partial(write_json, operation)
        return fields, lambda outputs: write_numpy(outputs, accept)

    def status(self, kind: ProblemType) -> int:
        """The status of a refusal, as it stands in the table."""
        return kind.status


@lru_cache(maxsize=64)
def formats(sent: bytes | None, accept: bytes | None) -> tuple[str, str]:
    """The media types of a body and of its answer, by the headers. Raises UnreadableMediaType, UnwritableMediaType."""
    brought = content_type(sent, READABLE)
    return brought, first_accepted(accept, READABLE if brought == json_encode.MEDIA_TYPE else BINARY_FIRST)


def write_json(operation: Operation, outputs: Mapping[str, npt.NDArray[Any]]) -> Reply:
    """The outputs as one JSON object."""
    return Reply(json_encode.encode(outputs, operation), json_encode.MEDIA_TYPE)


def write_numpy(outputs: Mapping[str, npt.NDArray[Any]], accept: bytes | None) -> Reply:
    """The outputs as a .npy file if there is one, else as a .npz archive. Raises UnwritableMediaType."""
    media_type = first_accepted(accept, (npy.NPZ,) if len(outputs) > 1 else (npy.NPY, npy.NPZ))
    if media_type == npy.NPZ:
        return Reply((npy.encode_npz(outputs),), media_type)
    (values,) = outputs.values()
    return Reply(npy.encode_npy(values), media_type)


def operation_routes(runtime: Runtime) -> list[APIRoute]:
    """A route for each operation: documented by FastAPI as it is declared, served by an endpoint of its own.

    What FastAPI does around a function (exit stacks, dependencies, an object per number) costs more than the operation.
    """
    wire_format = PlainFormat(runtime.settings)
    return [_route(operation, wire_format, runtime) for operation in OPERATIONS]


def _route(operation: Operation, wire_format: PlainFormat, runtime: Runtime) -> APIRoute:
    message = request_model(operation)
    path = f"/{operation.name}"

    def declared(message: Any) -> Any:
        """What the path takes and gives, for the OpenAPI document."""

    declared.__annotations__ = {"message": message, "return": reply_model(operation)}
    route = APIRoute(
        path,
        declared,
        methods=["POST"],
        operation_id=operation.name,
        summary=operation.summary,
        description=operation.doc,
        responses=problems.responses(),
        tags=["operations"],
    )
    route.app = OperationEndpoint(path, operation, message, wire_format, runtime)
    return route
