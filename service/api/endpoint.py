"""Where a request becomes a reply, whatever the format of either."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from service.api import problems
from service.api.admission import Claim
from service.api.exchange import Disconnected, Exchange
from service.api.negotiation import content_encoding
from service.codecs.compression import inflate
from service.errors import ServiceError
from service.operations import measure, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Receive, Scope, Send

    from service.api.problems import Kind
    from service.api.runtime import Runtime
    from service.codecs import Piece
    from service.description import Operation
    from service.schemas.messages import Message, Request

log = logging.getLogger("service")

ITEM_BYTES = 8
"""Bytes of an element, whatever the dtype of the reply: nearly all is computed in double precision."""

OK = HTTPStatus.OK.value
"""Kept, since to look up a member of an enumeration is a call."""

CLIENT_CLOSED_REQUEST = 499
"""What the log says in place of a status where nobody was left to read one."""


@dataclass(slots=True)
class Reply:
    """The body of a reply, piece by piece, and the headers that say how to read it."""

    content: Sequence[Piece]
    media_type: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


Write = Callable[..., Reply]
"""Makes the reply of the outputs by name. Raises ServiceError."""

Fields = dict[str, Any]

Body = bytes | bytearray


class Door(Protocol):
    """One way of saying what an operation is asked, and what it answers."""

    def admit(self, exchange: Exchange) -> None:
        """Raises ServiceError for a request that its headers alone rule out."""

    def open(self, exchange: Exchange, body: Body, operation: Operation) -> tuple[Fields, Write]:
        """The fields in a body, and the function that writes the outputs. Raises ServiceError."""

    def status(self, kind: Kind) -> int:
        """The status of a refusal."""


class OperationEndpoint:
    """ASGI application: the body becomes a message, the message goes to the operation, its outputs become the reply.

    Work above a size is handed to a thread, so that it does not hold up the event loop.
    """

    def __init__(self, route: str, operation: Operation, message: type[Request], door: Door, runtime: Runtime) -> None:
        self.route = route
        self.operation = operation
        self.understand = message.read
        self.door = door
        self.runtime = runtime
        # kept here: an attribute of a Pydantic model takes five times as long as one of ours
        settings = runtime.settings
        self.body_seconds = settings.body_timeout_seconds
        self.inline_bytes = settings.inline_body_bytes
        self.max_elements = settings.max_elements

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, whatever happens."""
        exchange = Exchange(scope, receive, send, self.runtime.lifecycle)
        exchange.route, exchange.operation = self.route, self.operation.name
        claim = Claim(self.runtime.admission)
        self.runtime.begin()
        try:
            reply = await self._serve(exchange, claim)
            await exchange.reply(OK, reply.media_type, reply.content, reply.headers)
        except ServiceError as error:
            await problems.refuse(exchange, error, self.door.status)
        except Disconnected:
            exchange.status = CLIENT_CLOSED_REQUEST
        except Exception:
            log.exception("request %s failed", exchange.request_id)
            content = problems.apology(exchange.request_id)
            await exchange.reply(problems.INTERNAL.status, problems.MEDIA_TYPE, (content,))
        finally:
            exchange.take()
            claim.release()
            self.runtime.end(exchange)

    async def _serve(self, exchange: Exchange, claim: Claim) -> Reply:
        """The reply. Raises ServiceError, Disconnected."""
        self.runtime.lifecycle.check()
        self.runtime.keys.check(exchange.header(b"authorization"))
        self.door.admit(exchange)
        encoding = content_encoding(exchange.headers.get(b"content-encoding"))
        if not exchange.read_at_once(claim):
            await exchange.read(claim, self.body_seconds)
        if encoding is not None or exchange.bytes_in > self.inline_bytes:
            return await self.runtime.in_thread(exchange, partial(self._work, exchange, claim, encoding))
        message, write, work_bytes = self._understand(exchange, claim, None)
        if work_bytes > self.inline_bytes:
            return await self.runtime.in_thread(exchange, partial(self._answer, exchange, message, write))
        return self._answer(exchange, message, write)

    def _work(self, exchange: Exchange, claim: Claim, encoding: str | None) -> Reply:
        message, write, _ = self._understand(exchange, claim, encoding)
        if exchange.gone:
            raise Disconnected
        return self._answer(exchange, message, write)

    def _understand(self, exchange: Exchange, claim: Claim, encoding: str | None) -> tuple[Message, Write, int]:
        """What to compute, how to write it down, and how many bytes the arrays of that take. Raises ServiceError."""
        start = perf_counter()
        body = exchange.take()
        if encoding is not None:
            body = inflate(body, encoding, claim.inflated)
        fields, write = self.door.open(exchange, body, self.operation)
        message = self.understand(fields)
        extent = measure(self.operation, message.form, message.wanted)
        extent.check(self.max_elements)
        # a small layer may have many logits, and a single row a large Jacobian
        work_bytes = ITEM_BYTES * max(extent.logits, extent.outputs)
        if work_bytes > self.inline_bytes:
            claim.decoded(work_bytes, body_is_kept=has_views(body, fields))
        exchange.rows, exchange.elements = extent.rows, extent.logits
        exchange.stages.append((perf_counter() - start) * 1e3)
        return message, write, work_bytes

    def _answer(self, exchange: Exchange, message: Message, write: Write) -> Reply:
        """The reply. Raises ServiceError."""
        start = perf_counter()
        outputs = run(self.operation, message.fields, message.wanted)
        # what was sent is not needed any more, and is as long as the outputs
        message.fields.clear()
        computed = perf_counter()
        exchange.stages.append((computed - start) * 1e3)
        reply = write(outputs)
        exchange.stages.append((perf_counter() - computed) * 1e3)
        return reply


def has_views(body: Body, fields: Fields) -> bool:
    """Is a tensor a view of the body?"""
    memory = np.frombuffer(body, np.uint8)
    return any(np.may_share_memory(memory, each) for each in fields.values() if isinstance(each, np.ndarray))
