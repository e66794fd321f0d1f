"""Where a request becomes a reply, whatever the format of either."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from starlette.concurrency import run_in_threadpool

from service.api import problems
from service.api.exchange import Disconnected, Exchange
from service.api.negotiation import content_encoding
from service.codecs.compression import inflate
from service.errors import ServiceError
from service.operations import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from service.api.problems import Kind
    from service.description import Operation
    from service.schemas.messages import Request
    from service.settings import Settings

log = logging.getLogger("service")


class Reply(NamedTuple):
    """The body of a reply, and the headers that say how to read it."""

    content: bytes
    media_type: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


Fields = dict[str, Any]


class Door(Protocol):
    """One way of saying what an operation is asked, and what it answers."""

    def admit(self, exchange: Exchange) -> None:
        """Raises ServiceError for a request that its headers alone rule out."""

    def open(self, exchange: Exchange, body: bytes, operation: Operation) -> tuple[Fields, Callable[..., Reply]]:
        """The fields in a body, and the function that writes the outputs. Raises ServiceError."""

    def status(self, kind: Kind) -> int:
        """The status of a refusal."""


class OperationEndpoint:
    """ASGI application: the body becomes a message, the message goes to the operation, its outputs become the reply.

    Work above a size is handed to a thread, so that it does not hold up the event loop.
    """

    def __init__(self, operation: Operation, message: type[Request], door: Door, settings: Settings) -> None:
        self.operation = operation
        self.message = message
        self.door = door
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, whatever happens."""
        exchange = Exchange(scope, receive, send)
        try:
            self.door.admit(exchange)
            encoding = content_encoding(exchange.header(b"content-encoding"))
            body = await exchange.body(self.settings.max_body_bytes)
            if encoding is None and len(body) <= self.settings.inline_body_bytes:
                reply = self.answer(exchange, body, None)
            else:
                reply = await run_in_threadpool(self.answer, exchange, body, encoding)
        except ServiceError as error:
            kind = problems.KINDS[type(error)]
            status = self.door.status(kind)
            content = problems.problem(kind, status, error.detail, exchange.request_id, error.locations)
            await exchange.reply(status, problems.MEDIA_TYPE, content)
        except Disconnected:
            return
        except Exception:
            log.exception("request %s failed", exchange.request_id)
            content = problems.apology(exchange.request_id)
            await exchange.reply(problems.INTERNAL.status, problems.MEDIA_TYPE, content)
        else:
            await exchange.reply(200, reply.media_type, reply.content, reply.headers)

    def answer(self, exchange: Exchange, body: bytes, encoding: str | None) -> Reply:
        """The reply to a body; `exchange.stages` gets the seconds that each stage takes. Raises ServiceError."""
        start = perf_counter()
        if encoding is not None:
            body = inflate(body, encoding, self.settings.max_body_bytes)
        fields, write = self.door.open(exchange, body, self.operation)
        message = self.message.read(fields)
        decoded = perf_counter()
        exchange.stages["decode"] = decoded - start
        outputs = run(self.operation, message.fields, message.wanted, max_elements=self.settings.max_elements)
        computed = perf_counter()
        exchange.stages["compute"] = computed - decoded
        reply = write(outputs)
        exchange.stages["encode"] = perf_counter() - computed
        return reply
