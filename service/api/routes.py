"""The operations as POST endpoints: JSON in, JSON out."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING, Any

from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from service.api import problems
from service.api.exchange import Disconnected, Exchange
from service.api.negotiation import check_accept, check_content
from service.codecs import json
from service.errors import ServiceError
from service.operations import OPERATIONS, run
from service.schemas.messages import reply_model, request_model

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from service.description import Operation
    from service.schemas.messages import Request
    from service.settings import Settings

log = logging.getLogger("service")


class OperationEndpoint:
    """ASGI application: the body becomes a message, the message goes to the operation, its outputs become the reply.

    Work above a size is handed to a thread, so that it does not hold up the event loop.
    """

    def __init__(self, operation: Operation, message: type[Request], settings: Settings) -> None:
        self.operation = operation
        self.message = message
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, whatever happens."""
        exchange = Exchange(scope, receive, send)
        try:
            check_content(exchange.header(b"content-type"), exchange.header(b"content-encoding"), json.MEDIA_TYPE)
            check_accept(exchange.header(b"accept"), json.MEDIA_TYPE)
            body = await exchange.body(self.settings.max_body_bytes)
            if len(body) <= self.settings.inline_body_bytes:
                content = self.answer(body, exchange.stages)
            else:
                content = await run_in_threadpool(self.answer, body, exchange.stages)
        except ServiceError as error:
            kind = problems.KINDS[type(error)]
            content = problems.problem(kind, error.detail, exchange.request_id, error.locations)
            await exchange.reply(kind.status, problems.MEDIA_TYPE, content)
        except Disconnected:
            return
        except Exception:
            log.exception("request %s failed", exchange.request_id)
            content = problems.apology(exchange.request_id)
            await exchange.reply(problems.INTERNAL.status, problems.MEDIA_TYPE, content)
        else:
            await exchange.reply(200, json.MEDIA_TYPE, content)

    def answer(self, body: bytes, stages: dict[str, float]) -> bytes:
        """The reply to a body, and the seconds that each stage took. Raises ServiceError."""
        start = perf_counter()
        message = self.message.read(json.decode(body, self.operation))
        decoded = perf_counter()
        stages["decode"] = decoded - start
        outputs = run(self.operation, message.fields, message.wanted, max_elements=self.settings.max_elements)
        computed = perf_counter()
        stages["compute"] = computed - decoded
        content = json.encode(outputs)
        stages["encode"] = perf_counter() - computed
        return content


def operation_route(operation: Operation, settings: Settings) -> APIRoute:
    """POST /softmax, say: documented by FastAPI as it is declared, served by an endpoint of its own.

    What FastAPI does around a function (exit stacks, dependencies, an object per number) costs more than the operation.
    """
    message = request_model(operation)

    def declared(message: Any) -> Any:
        """What the path takes and gives, for the OpenAPI document."""

    declared.__annotations__ = {"message": message, "return": reply_model(operation)}
    route = APIRoute(
        f"/{operation.name}",
        declared,
        methods=["POST"],
        operation_id=operation.name,
        summary=operation.summary,
        description=operation.doc,
        responses=problems.responses(),
        tags=["operations"],
    )
    route.app = OperationEndpoint(operation, message, settings)
    return route


def operation_routes(settings: Settings) -> list[APIRoute]:
    """A route for each operation."""
    return [operation_route(operation, settings) for operation in OPERATIONS]
