"""The routes of the operations: the plain endpoints, and those of the Open Inference Protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from service.api.endpoint import OperationEndpoint
from service.api.wire_formats import OpenInferenceFormat, PlainFormat
from service.formats.open_inference import VERSION
from service.operations import OPERATIONS

if TYPE_CHECKING:
    from service.api.runtime import Runtime


def operation_routes(runtime: Runtime) -> list[Route]:
    """Return every route of every operation. The OpenAPI documents describe them in `service.api.openapi`.

    FastAPI would read each body into a model, with a Python object for every number.
    """
    plain, open_inference = PlainFormat(runtime.settings), OpenInferenceFormat(runtime.settings)
    routes = []
    for operation in OPERATIONS:
        model = f"/v2/models/{operation.name}"
        for path, wire_format in (
            (f"/{operation.name}", plain),
            (f"{model}/infer", open_inference),
            (f"{model}/versions/{VERSION}/infer", open_inference),
        ):
            endpoint = OperationEndpoint(path, operation, wire_format, runtime)
            routes.append(Route(path, endpoint, methods=["POST"]))
    return routes
