"""HTTP/1.1 on one connection: one request at a time, within limits of time and memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from service.api.context import REJECTION, SERVER
from service.errors import MalformedHeader, Overloaded, ServiceError
from service.server.client_timeout import ClientTimeout
from service.server.cycle import RequestCycle
from service.server.flow import SMALL_UNREAD_BYTES, FlowControl, abort, addresses
from service.server.head import HEAD_END, MAX_KEPT_HEADERS, RequestHead, check_start, parse_head

if TYPE_CHECKING:
    import uvicorn
    from uvicorn.server import ServerState

    from service.formats import Piece

JOINED_BYTES = 2**16
"""Longest response that is copied into one piece, for one system call instead of two."""

TLS_CLOSE_SECONDS = 0.3
"""Seconds that a client has to confirm the end of a TLS session when the process leaves."""


class HttpProtocol(asyncio.BufferedProtocol):
    """uvicorn's `http` protocol: parses requests, runs the application, and writes the responses in order.

    Requests that the client sends ahead stay unparsed until the response before them is complete. The connection is
    closed if the client makes no progress for `timeout_keep_alive` seconds while it is the client's turn. While the
    application reads a body, the time limit is the application's.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        flow: FlowControl | None = None,
    ) -> None:
        self._app = config.loaded_app
        self._server = server_state
        self._loop = _loop or asyncio.get_running_loop()
        self._scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": config.asgi_version, "spec_version": "2.3"},
            "root_path": config.root_path,
        }
        self._app_state = app_state
        self._transport: asyncio.Transport
        self._cycle: RequestCycle | None = None
        # a client sends mostly the same head, which is parsed once
        self._head_data, self._head = b"", RequestHead()
        self._unread = b""
        self._flow = flow or FlowControl()
        self._counted_bytes = 0
        self._is_reading = True
        self._is_in_line = self._ignores_input = self._client_ended = self.write_paused = False
        self._writable = asyncio.Event()
        self._timeout_seconds = config.timeout_keep_alive
        self._timeout: ClientTimeout

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for the first request."""
        self._transport = transport
        self._server.connections.add(self)  # type: ignore[arg-type]  # uvicorn only calls `shutdown`
        self._has_tls = transport.get_extra_info("sslcontext") is not None
        self._scope["scheme"] = "https" if self._has_tls else "http"
        self._scope["server"], self._scope["client"] = addresses(transport)
        self._timeout = ClientTimeout(self._loop, transport, self._timeout_seconds)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # as asyncio has it
        """Tell the application, and let go of it: a reference cycle would outlive the connection."""
        self._server.connections.discard(self)
        self._timeout.cancel()
        if self._cycle is not None:
            self._cycle.disconnect()
            self._cycle = None
        self._ignore_input()
        self.resume_writing()

    def shutdown(self) -> None:
        """Close the connection, after the response in progress."""
        if self._cycle is not None and not self._cycle.response_complete:
            self._cycle.keep_alive = False
            return
        self._transport.close()
        if self._has_tls and not self._transport.get_write_buffer_size():
            # the client may never confirm the end of the session
            self._loop.call_later(TLS_CLOSE_SECONDS, self._transport.abort)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # as asyncio has it
        """Return memory for the next read."""
        return self._cycle.room if self._cycle is not None and self._cycle.room else self._flow.read_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        """Take the bytes that were read."""
        if self._cycle is not None and self._cycle.room:
            self._cycle.fill(nbytes)
        elif not self._ignores_input:
            self._advance(self._unread + self._flow.memory[:nbytes])

    def eof_received(self) -> bool:
        """Return whether to keep the connection open: the client may have closed its sending side only."""
        self._client_ended = True
        return self._is_answering and not self._has_tls

    def pause_writing(self) -> None:
        """Wait for the client to take what it was sent."""
        self.write_paused = True
        self._writable.clear()
        self.update()

    def resume_writing(self) -> None:
        """Go on writing."""
        self.write_paused = False
        self._writable.set()
        self.update()

    @property
    def _is_answering(self) -> bool:
        """True if a request has arrived as a whole and its response is not complete."""
        cycle = self._cycle
        return cycle is not None and cycle.body_complete and not cycle.response_complete

    def _advance(self, data: bytes) -> None:
        """Start the next request if none is in progress, and give it what `data` has of its body. Keep the rest."""
        if self._cycle is None:
            self._read_head(data)
        else:
            self._unread = data if self._cycle.body_complete else self._read_body(self._cycle, data)
        unread = len(self._unread)
        if unread and unread < len(data) and not self._is_answering:
            self._line_up()
        self.update()
        if unread and self._flow.exceeds_limit(unread):
            self._fail(Overloaded())

    def _line_up(self) -> None:
        """Go on with the unread bytes in a later turn of the event loop."""
        if not self._is_in_line:
            self._is_in_line = True
            self._flow.line_up(self._proceed)

    def _proceed(self) -> None:
        self._is_in_line = False
        if not self._ignores_input:
            self._advance(self._unread)

    def _read_head(self, data: bytes) -> None:
        """Start the request that `data` begins with. Keep `data` if the head is incomplete."""
        if self._head_data and data.startswith(self._head_data):
            end = len(self._head_data)
        else:
            data = data.lstrip(b"\r\n")
            end = data.find(HEAD_END) + len(HEAD_END)
            try:
                if end < len(HEAD_END):
                    check_start(data)
                    if data and not self._unread:
                        self._timeout.set_turn(is_clients=False)  # a head begins
                    self._unread = data
                    return
                self._head, self._head_data = parse_head(data[:end], self._scope), data[:end]
            except MalformedHeader as error:
                self._fail(error)
                return
        self._start(self._head, data[end:], Overloaded() if self._flow.exceeds_limit(len(data)) else None)

    def _start(self, head: RequestHead, data: bytes = b"", error: ServiceError | None = None) -> None:
        """Run the application for a request, which has the start of `data`; with `error` it only rejects the request."""
        self._cycle = cycle = RequestCycle(self, head)
        self._unread = self._read_body(cycle, data) if data and not cycle.body_complete else data
        extensions = {SERVER: cycle} if error is None else {REJECTION: error}
        scope = {**head.scope, "state": self._app_state.copy(), "extensions": extensions}
        task = self._loop.create_task(cycle.run(self._app, scope))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    def _read_body(self, cycle: RequestCycle, data: bytes) -> bytes:
        """Give the request its part of `data`, and return the rest."""
        try:
            rest = cycle.add_body(data)
        except MalformedHeader as error:
            self._fail(error)
            return b""
        if cycle.response_complete and cycle.body_complete:
            self._end_request()
        return rest

    def _fail(self, error: ServiceError) -> None:
        """Answer an error, unless a response is due before; read nothing behind it."""
        self._ignore_input()
        # the frames of tracebacks keep what was read
        error.__traceback__ = error.__context__ = None
        if self._cycle is None:
            self._start(RequestHead(connection=self._scope), error=error)
            return
        self._cycle.fail_body(error)
        if self._cycle.response_complete:
            self._close()

    def write(self, *pieces: Piece) -> None:
        """Write to the client."""
        size = sum(map(len, pieces))
        self._timeout.add(size)
        if len(pieces) > 1 and size <= JOINED_BYTES:
            pieces = (b"".join(pieces),)
        for piece in pieces:
            if piece and not self._transport.is_closing():
                self._transport.write(piece)

    def start_response(self) -> list[tuple[bytes, bytes]]:
        """Start the client's time for a response. Return the header with its date, which uvicorn makes once a second."""
        self._timeout.start_response()
        return self._server.default_headers

    async def drain(self) -> None:
        """Wait until the client has taken most of what was written."""
        await self._writable.wait()

    def abort(self) -> None:
        """Close the connection without sending the rest."""
        abort(self._transport)

    def response_completed(self) -> None:
        """Go on to the next request."""
        if self._cycle is not None and not self._cycle.keep_alive:
            self._close()
        elif self._cycle is not None and self._cycle.body_complete:
            self._end_request()
            if self._unread:
                self._line_up()
        self.update()

    def _end_request(self) -> None:
        self._cycle = None
        self._timeout.set_turn(is_clients=False)
        if len(self._head_data) > SMALL_UNREAD_BYTES or len(self._head.headers) > MAX_KEPT_HEADERS:
            self._head_data, self._head = b"", RequestHead()

    def _close(self) -> None:
        """Close the connection after the last response."""
        if self._client_ended or not self._transport.can_write_eof():
            self._transport.close()
        elif not self._transport.is_closing():
            # closing both sides resets a connection on which the client still sends, and the response is lost
            self._transport.write_eof()
        self._ignore_input()

    def _ignore_input(self) -> None:
        self._ignores_input, self._unread = True, b""
        self.update()

    def update(self) -> None:
        """Count what is unread, and start or stop reading and the client timeout, after any change."""
        cycle = self._cycle
        unread_bytes = len(self._unread) + (0 if cycle is None else len(self._head_data) + cycle.unread_bytes)
        self._flow.unread_bytes += unread_bytes - self._counted_bytes
        self._counted_bytes = unread_bytes
        if self._transport.is_closing():
            # the client may leave the end of the response unread
            self._timeout.set_turn(is_clients=True)
            return
        if self._is_in_line:
            has_enough, is_clients_turn = True, self.write_paused
        elif cycle is None or cycle.response_complete:
            has_enough, is_clients_turn = False, True
            if self._client_ended:
                self._close()
        elif cycle.body_complete:
            has_enough, is_clients_turn = bool(self._unread), self.write_paused
        else:
            has_enough, is_clients_turn = cycle.unread_bytes > 0 and not cycle.is_waiting, self.write_paused
        if has_enough is self._is_reading:
            self._is_reading = not has_enough
            (self._transport.pause_reading if has_enough else self._transport.resume_reading)()
        self._timeout.set_turn(is_clients=is_clients_turn)
