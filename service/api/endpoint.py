"""The endpoint of an operation: it turns a request into a response, in any wire format."""

from __future__ import annotations

import asyncio
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from service.api.admission import ByteReservation, NoRoom
from service.api.context import Disconnected, RequestContext
from service.api.problems import CLIENT_CLOSED_REQUEST, name_limits
from service.errors import Draining, TooLarge
from service.formats.compression import inflate
from service.operations import execute
from service.schemas.requests import request_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from service.api.runtime import Runtime
    from service.api.wire_formats import Body, Fields, Negotiated, Reply, WireFormat, Write
    from service.operations.spec import Operation
    from service.schemas.requests import ValidatedRequest

ITEM_BYTES = 8
"""Bytes of an element; most results are computed in double precision, whatever the dtype of the response."""

UNCOUNTED_BYTES = 2**14
"""Longest outputs without a reservation: as JSON, about SHORT_REPLY_BYTES. A client may leave a longer response unread."""

_Job = tuple["ValidatedRequest", "Write", int]
"""A decoded request, the function that encodes its outputs, and the bytes that it takes in all.

The bytes are 0 if the request needs no reservation.
"""


class OperationEndpoint:
    """ASGI application that decodes a request, executes its operation and encodes the outputs.

    Large requests are worked on in a thread, so that they do not block the event loop.
    """

    def __init__(self, route: str, operation: Operation, wire_format: WireFormat, runtime: Runtime) -> None:
        self.route = route
        self.operation = operation
        self.validate = request_model(operation).read
        self.wire_format = wire_format
        self.runtime = runtime
        self.settings = runtime.settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        context = RequestContext(scope, receive, send, self.runtime.lifecycle, self.runtime.origins)
        context.route, context.operation = self.route, self.operation.name
        reservation = ByteReservation(self.runtime.admission)
        self.runtime.begin()
        try:
            reply = await self._serve(context, reservation)
            await context.reply(HTTPStatus.OK, reply.headers, reply.content)
        except Disconnected:
            context.status = CLIENT_CLOSED_REQUEST
        except TooLarge as error:
            name_limits(error, self.settings)
            await context.refuse(error)
        except asyncio.CancelledError:
            # the time for a graceful shutdown is over
            await context.refuse(Draining())
            raise
        except Exception as error:  # noqa: BLE001  the response says what a client may know, and the log has the rest
            await context.refuse(error, self.wire_format.invalid_status)
        finally:
            context.content = b""
            reservation.release()
            self.runtime.end(context)

    async def _serve(self, context: RequestContext, reservation: ByteReservation) -> Reply:
        """Return the response. Raise ServiceError or Disconnected."""
        formats: Negotiated | None = context.known.get(self)
        if formats is None:
            self.runtime.hosts.check(context.headers.get(b"host"), context.http_version, self.route)
        if self.runtime.lifecycle.refusing:
            raise Draining
        context.key_id = self.runtime.keys.check(context.header(b"authorization"))
        if formats is None:
            formats = context.known[self] = self.wire_format.negotiate(context)
        await context.read(reservation, self.settings.body_timeout_seconds, formats.memory_factor)
        decode = partial(self._decode, context, reservation, formats)
        if formats.encoding is None and context.bytes_in <= self.settings.inline_body_bytes and not formats.is_archive:
            while not self.runtime.turn_has_time():  # noqa: ASYNC110  the next turn is the event
                # new clients and probes are served between two turns
                await asyncio.sleep(0)
            request, write, memory = decode()
            has_memory = not memory or reservation.try_reserve(memory)
            if has_memory and memory <= self.settings.inline_body_bytes:
                return self._answer(context, request, write)
            if has_memory:
                return await self.runtime.in_thread(context, partial(self._answer, context, request, write))
            del request, write
            await context.wait(reservation.reserve(memory))
        work = partial(self._work, context, reservation, decode)
        while isinstance(done := await self.runtime.in_thread(context, work), int):
            # it waits without its tensors, and is decoded again
            await context.wait(reservation.reserve(done))
        return done

    def _work(self, context: RequestContext, reservation: ByteReservation, decode: Callable[[], _Job]) -> Reply | int:
        """Decode a request, and return its response, or the memory that it has to wait for.

        Raise ServiceError or Disconnected.
        """
        try:
            request, write, memory = decode()
        except NoRoom as error:
            return error.size
        if context.gone:
            raise Disconnected
        return self._answer(context, request, write) if reservation.try_reserve(memory) else memory

    def _decode(self, context: RequestContext, reservation: ByteReservation, formats: Negotiated) -> _Job:
        """Decode and validate a request. Raise ServiceError."""
        start = perf_counter()
        body = context.content
        if formats.encoding is not None:
            body = inflate(body, formats.encoding, reservation.add_inflated)
        fields, write = formats.decode(context, body, self.operation)
        request = self.validate(fields)
        size = request.size
        size.check(self.settings.max_elements)
        work_bytes = ITEM_BYTES * size.work
        memory = 0 if work_bytes <= UNCOUNTED_BYTES else work_bytes
        if work_bytes > self.settings.inline_body_bytes:
            memory = reservation.needed_for(work_bytes, body_is_kept=has_views(body, fields))
        context.rows, context.elements = size.rows, size.logits
        context.stages = [(perf_counter() - start) * 1e3]
        return request, write, memory

    def _answer(self, context: RequestContext, request: ValidatedRequest, write: Write) -> Reply:
        """Execute the operation, and return the response. Raise ServiceError."""
        start = perf_counter()
        # the body is not needed any more, and may be as large as the outputs
        context.content = b""
        outputs = execute(self.operation, request.arguments, request.output_names)
        # nor are the inputs
        del request.arguments
        computed = perf_counter()
        context.stages.append((computed - start) * 1e3)
        reply = write(outputs)
        context.stages.append((perf_counter() - computed) * 1e3)
        return reply


def has_views(body: Body, fields: Fields) -> bool:
    """Return whether a tensor is a view of the body."""
    memory = np.frombuffer(body, np.uint8)
    return any(np.may_share_memory(memory, value) for value in fields.values() if isinstance(value, np.ndarray))
