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
from service.api.admission import ByteReservation
from service.api.context import Disconnected, RequestContext
from service.api.negotiation import content_encoding
from service.errors import ServiceError
from service.formats.compression import inflate
from service.operations import execute, request_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Receive, Scope, Send

    from service.api.problems import ProblemType
    from service.api.runtime import Runtime
    from service.formats import Piece
    from service.operations.spec import Operation
    from service.schemas.requests import Request, ValidatedRequest

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


class WireFormat(Protocol):
    """One way of saying what an operation is asked, and what it answers."""

    def check_headers(self, context: RequestContext) -> None:
        """Raises ServiceError for a request that its headers alone rule out."""

    def decode(self, context: RequestContext, body: Body, operation: Operation) -> tuple[Fields, Write]:
        """The fields in a body, and the function that writes the outputs. Raises ServiceError."""

    def status(self, kind: ProblemType) -> int:
        """The status of a refusal."""


class OperationEndpoint:
    """ASGI application: the body becomes a message, the message goes to the operation, its outputs become the reply.

    Work above a size is handed to a thread, so that it does not hold up the event loop.
    """

    def __init__(
        self, route: str, operation: Operation, message: type[Request], wire_format: WireFormat, runtime: Runtime
    ) -> None:
        self.route = route
        self.operation = operation
        self.understand = message.read
        self.wire_format = wire_format
        self.runtime = runtime
        # kept here: an attribute of a Pydantic model takes five times as long as one of ours
        settings = runtime.settings
        self.body_seconds = settings.body_timeout_seconds
        self.inline_bytes = settings.inline_body_bytes
        self.max_elements = settings.max_elements

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, whatever happens."""
        context = RequestContext(scope, receive, send, self.runtime.lifecycle)
        context.route, context.operation = self.route, self.operation.name
        reservation = ByteReservation(self.runtime.admission)
        self.runtime.begin()
        try:
            reply = await self._serve(context, reservation)
            await context.reply(OK, reply.media_type, reply.content, reply.headers)
        except ServiceError as error:
            await problems.refuse(context, error, self.wire_format.status)
        except Disconnected:
            context.status = CLIENT_CLOSED_REQUEST
        except Exception:
            log.exception("request %s failed", context.request_id)
            content = problems.internal_error_body(context.request_id)
            await context.reply(problems.INTERNAL.status, problems.MEDIA_TYPE, (content,))
        finally:
            context.take()
            reservation.release()
            self.runtime.end(context)

    async def _serve(self, context: RequestContext, reservation: ByteReservation) -> Reply:
        """The reply. Raises ServiceError, Disconnected."""
        self.runtime.lifecycle.check()
        self.runtime.keys.check(context.header(b"authorization"))
        self.wire_format.check_headers(context)
        encoding = content_encoding(context.headers.get(b"content-encoding"))
        if not context.read_at_once(reservation):
            await context.read(reservation, self.body_seconds)
        if encoding is not None or context.bytes_in > self.inline_bytes:
            return await self.runtime.in_thread(context, partial(self._work, context, reservation, encoding))
        message, write, work_bytes = self._understand(context, reservation, None)
        if work_bytes > self.inline_bytes:
            return await self.runtime.in_thread(context, partial(self._answer, context, message, write))
        return self._answer(context, message, write)

    def _work(self, context: RequestContext, reservation: ByteReservation, encoding: str | None) -> Reply:
        message, write, _ = self._understand(context, reservation, encoding)
        if context.gone:
            raise Disconnected
        return self._answer(context, message, write)

    def _understand(
        self, context: RequestContext, reservation: ByteReservation, encoding: str | None
    ) -> tuple[ValidatedRequest, Write, int]:
        """What to compute, how to write it down, and how many bytes the arrays of that take. Raises ServiceError."""
        start = perf_counter()
        body = context.take()
        if encoding is not None:
            body = inflate(body, encoding, reservation.add_inflated)
        fields, write = self.wire_format.decode(context, body, self.operation)
        message = self.understand(fields)
        size = request_size(self.operation, message.signature, message.output_names)
        size.check(self.max_elements)
        # a small layer may have many logits, and a single row a large Jacobian
        work_bytes = ITEM_BYTES * max(size.logits, size.outputs)
        if work_bytes > self.inline_bytes:
            reservation.add_decoded(work_bytes, body_is_kept=has_views(body, fields))
        context.rows, context.elements = size.rows, size.logits
        context.stages.append((perf_counter() - start) * 1e3)
        return message, write, work_bytes

    def _answer(self, context: RequestContext, message: ValidatedRequest, write: Write) -> Reply:
        """The reply. Raises ServiceError."""
        start = perf_counter()
        outputs = execute(self.operation, message.fields, message.output_names)
        # what was sent is not needed any more, and is as long as the outputs
        message.fields.clear()
        computed = perf_counter()
        context.stages.append((computed - start) * 1e3)
        reply = write(outputs)
        context.stages.append((perf_counter() - computed) * 1e3)
        return reply


def has_views(body: Body, fields: Fields) -> bool:
    """Is a tensor a view of the body?"""
    memory = np.frombuffer(body, np.uint8)
    return any(np.may_share_memory(memory, each) for each in fields.values() if isinstance(each, np.ndarray))
