"""The operations as POST endpoints: JSON in, JSON out."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.api import problems
from service.api.limits import read_body
from service.api.negotiation import check_accept, check_content
from service.codecs import json
from service.operations import OPERATIONS, run
from service.schemas.messages import Request as Message
from service.schemas.messages import reply_model, request_model

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.requests import Request

    from service.description import Operation
    from service.settings import Settings


class OperationRoute(APIRoute):
    """A route that reads its message and writes its reply without an object per number.

    FastAPI documents the endpoint as declared; what it would do to serve it, this does instead, in the same order:
    the body becomes the message, the message goes to the endpoint, what comes back becomes the reply.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The coroutine that answers a request."""
        assert self.body_field is not None
        message: type[Message] = self.body_field.field_info.annotation  # type: ignore[assignment]
        endpoint = self.endpoint

        def answer(body: bytes, stages: dict[str, float]) -> Response:
            start = perf_counter()
            request = message.read(json.decode(body, message.operation))
            decoded = perf_counter()
            stages["decode"] = decoded - start
            outputs = endpoint(request)
            computed = perf_counter()
            stages["compute"] = computed - decoded
            content = json.encode(outputs)
            stages["encode"] = perf_counter() - computed
            return Response(content, media_type=json.MEDIA_TYPE)

        async def handle(request: Request) -> Response:
            settings: Settings = request.app.state.settings
            headers, stages = request.headers, request.state.stages
            check_content(headers.get("content-type"), headers.get("content-encoding"), json.MEDIA_TYPE)
            check_accept(headers.get("accept"), json.MEDIA_TYPE)
            body = await read_body(request, settings.max_body_bytes)
            if len(body) <= settings.inline_body_bytes:
                return answer(body, stages)
            return await run_in_threadpool(answer, body, stages)

        return handle


def operations_router(settings: Settings) -> APIRouter:
    """POST /softmax, /loss and /gradient."""
    router = APIRouter(route_class=OperationRoute, tags=["operations"])
    for operation in OPERATIONS:
        router.add_api_route(
            f"/{operation.name}",
            endpoint(operation, settings),
            methods=["POST"],
            operation_id=operation.name,
            summary=operation.summary,
            description=operation.doc,
            responses=problems.responses(),
        )
    return router


def endpoint(operation: Operation, settings: Settings) -> Callable[..., Any]:
    """The function behind a path: a message in, named arrays out."""

    def serve(message: Message) -> dict[str, Any]:
        return run(operation, message.fields, message.wanted, max_elements=settings.max_elements)

    serve.__annotations__ = {"message": request_model(operation), "return": reply_model(operation)}
    return serve
