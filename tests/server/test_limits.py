"""Test limits of memory and time against clients that send too much, send too slowly, or read too slowly."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import socket
import ssl
import struct
import time
import tracemalloc
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from service.server import client_timeout, flow
from service.server.body import MAX_CHUNK_LINE_BYTES
from service.server.head import MAX_HEADER_BYTES, MAX_HEADERS, MAX_TARGET_BYTES
from service.server.protocol import HttpProtocol
from tests.bodies import BODY, JSON
from tests.certificates import certificate
from tests.connections import answer, application, connection, post, statuses
from tests.processes import PATIENCE
from tests.server.sockets import CLIENT_TIMEOUT, HEAD, LENGTH, serving, unsent_bytes, until
from tests.server.streams import LAST as LAST_REQUESTS
from tests.server.streams import LOOPS, Request, Response, Server, Stream, seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

LIVE = b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n"
LAST = b"GET /livez HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
LARGE = b'{"logits": [%b0], "outputs": ["jacobian"]}' % (b"0," * 599)
LARGE_POST = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(LARGE), LARGE)
"""A request with a response of 8 MB."""
LONG_POST = HEAD + b"Content-Length: 8000000\r\n\r\n" + BODY.ljust(8_000_000)


@pytest.fixture(scope="module", params=LOOPS)
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Yield the port of a server on each event loop."""
    with serving(application(), request.param) as port:
        yield port


@pytest.fixture(scope="module", params=LOOPS)
def impatient(request: pytest.FixtureRequest) -> Iterator[int]:
    """Yield the port of a server on each event loop with a short client timeout."""
    with serving(application(), request.param, client_timeout=CLIENT_TIMEOUT) as port:
        yield port


def pieces(data: bytes, size: int) -> list[bytes]:
    """Cut `data` into pieces of a size."""
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("size", [MAX_HEADER_BYTES // 3, MAX_HEADER_BYTES, 4 * MAX_HEADER_BYTES])
@pytest.mark.parametrize(("excess", "status"), [(0, 200), (1, 400)])
async def test_the_limit_of_a_head_does_not_depend_on_cuts(port: int, size: int, excess: int, status: int) -> None:
    start, end = b"GET /livez HTTP/1.1\r\nHost: test\r\nConnection: close\r\nX-Long: ", b"\r\n\r\n"
    head = start + b"a" * (MAX_HEADER_BYTES - len(start + end) + excess) + end
    assert statuses(await answer(port, *pieces(head, size))) == [status]


@pytest.mark.parametrize(("count", "status"), [(MAX_HEADERS, 200), (MAX_HEADERS + 1, 400)])
async def test_headers_are_limited_in_number(port: int, count: int, status: int) -> None:
    head = LAST.removesuffix(b"\r\n") + b"X: a\r\n" * (count - 2) + b"\r\n"
    assert statuses(await answer(port, head)) == [status]
    assert statuses(await answer(port, head[:-1], head[-1:])) == [status]


@pytest.mark.parametrize("target", [b"/livez?", b"/softmax?dtype=", b"/"])
@pytest.mark.parametrize("unit", [b"a=b&", b"%41", b"/"])
async def test_the_limit_of_a_target(port: int, target: bytes, unit: bytes) -> None:
    longest = (target + unit * MAX_TARGET_BYTES)[:MAX_TARGET_BYTES]
    for tried, refused in ((longest, False), (longest + b"a", True)):
        received = await answer(port, LAST.replace(b"/livez", tried))
        assert (b"at most 8192 bytes" in received) is refused
        assert b"/problems/internal-error" not in received


async def test_a_head_without_an_end_is_refused_early(port: int) -> None:
    endless = [b"GET /livez HTTP/1.1\r\nHost: test\r\nX-Long: ", *[b"a" * 20_000] * 4]
    assert statuses(await answer(port, *endless)) == [400]


@pytest.mark.parametrize("line", [b"a: b\r\n", b"a" * 1000])
async def test_endless_trailers_are_refused(port: int, line: bytes) -> None:
    endless = pieces(line * (2 * MAX_HEADER_BYTES // len(line)), 40_000)
    assert statuses(await answer(port, CHUNKED + b"0\r\n", *endless)) == [400]


@pytest.mark.parametrize(
    "line", [b"5;" + b"a" * (MAX_CHUNK_LINE_BYTES + 1) + b"\r\nabcde", b"0" * 2 * MAX_CHUNK_LINE_BYTES]
)
async def test_endless_chunk_lines_are_refused(port: int, line: bytes) -> None:
    assert statuses(await answer(port, CHUNKED, *pieces(line, 1500))) == [400]


async def test_unfinished_heads_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "MAX_UNREAD_BYTES", 100_000)
    long_head = HEAD + b"X-Long: " + b"a" * 40_000
    shared = flow.FlowControl()
    with serving(application(), flow=shared) as port:
        async with connection(port) as (_, first), connection(port) as (_, second):
            first.write(long_head)
            second.write(long_head)
            await until(lambda: shared.unread_bytes == 2 * len(long_head))
            assert statuses(await answer(port, long_head)) == [503]
            # an ordinary request is answered, even in pieces
            post = HEAD + b"Connection: close\r\n" + LENGTH + b"\r\n" + BODY
            assert statuses(await answer(port, post[:50], post[50:])) == [200]
        await until(lambda: shared.unread_bytes == 0)
        rest = b"\r\nConnection: close\r\n" + LENGTH + b"\r\n" + BODY
        assert statuses(await answer(port, long_head, rest)) == [200]


async def test_heads_of_requests_in_progress_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "MAX_UNREAD_BYTES", 100_000)
    app, shared, long = application(), flow.FlowControl(), b"X-Long: " + b"a" * 60_000 + b"\r\n"
    app.runtime.admission.try_take(app.runtime.admission.max_bytes)
    waits = LONG_POST[: len(HEAD)] + long + LONG_POST[len(HEAD) : -8_000_000]
    with serving(app, flow=shared) as port:
        async with connection(port) as first, connection(port) as second:
            for number, peer in enumerate((first, second), 1):
                await peer.send(waits)
                await until(lambda number=number: shared.unread_bytes == number * len(waits))  # type: ignore[misc]
            assert statuses(await answer(port, LAST[:-2] + long + b"\r\n")) == [503]
        await until(lambda: shared.unread_bytes == 0)
        assert statuses(await answer(port, LAST[:-2] + long + b"\r\n")) == [200]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("head", [LONG_POST[:-8_000_000], CHUNKED + b"7A1200\r\n"], ids=["length", "chunked"])
async def test_bodies_that_wait_are_bounded_together(monkeypatch: pytest.MonkeyPatch, loop: Any, head: bytes) -> None:
    monkeypatch.setattr(flow, "MAX_UNREAD_BYTES", 100_000)
    app, shared, clients = application(), flow.FlowControl(), 20
    app.runtime.admission.try_take(app.runtime.admission.max_bytes)
    with serving(app, loop, flow=shared) as port:
        async with AsyncExitStack() as stack:
            peers = [await stack.enter_async_context(connection(port)) for _ in range(clients)]
            for peer in peers:
                await peer.send(head)
            await until(lambda: app.runtime.lifecycle.in_progress == clients)
            for peer in peers:
                peer.writer.write(b" " * 200_000)
            await until(lambda: shared.unread_bytes > flow.MAX_UNREAD_BYTES)
            await asyncio.sleep(0.2)
            most = flow.MAX_UNREAD_BYTES + flow.READ_BYTES + clients * (len(head) + flow.SMALL_UNREAD_BYTES)
            assert shared.unread_bytes <= most
            app.runtime.admission.give_back(app.runtime.admission.max_bytes)
            for peer in peers:
                peer.writer.write(b" " * 7_800_000 + b"\r\n0\r\n\r\n" * (head[-4:] != b"\r\n\r\n"))
            replies = await asyncio.gather(*(peer.receive() for peer in peers))
            assert {reply.status for reply in replies} == {400}
        await until(lambda: shared.unread_bytes == 0)


@pytest.mark.parametrize("loop", LOOPS)
async def test_whole_bodies_that_wait_are_bounded_together(monkeypatch: pytest.MonkeyPatch, loop: Any) -> None:
    monkeypatch.setattr(flow, "MAX_UNREAD_BYTES", 100_000)
    app, shared, clients = application(), flow.FlowControl(), 20
    app.runtime.admission.try_take(app.runtime.admission.max_bytes)
    body = (b'{"logits":[%b0],"outputs":["jacobian"]}' % (b"0," * 99)).ljust(50_000)
    with serving(app, loop, flow=shared) as port:
        async with AsyncExitStack() as stack:
            peers = [await stack.enter_async_context(connection(port)) for _ in range(clients)]
            for peer in peers:
                peer.writer.write(post("/softmax", body))
            await until(lambda: app.runtime.lifecycle.in_progress == clients)
            await asyncio.sleep(0.2)
            most = flow.MAX_UNREAD_BYTES + flow.READ_BYTES + clients * 2 * flow.SMALL_UNREAD_BYTES
            assert flow.MAX_UNREAD_BYTES < shared.unread_bytes <= most
            app.runtime.admission.give_back(app.runtime.admission.max_bytes)
            replies = await asyncio.gather(*(peer.receive() for peer in peers))
            assert {reply.status for reply in replies} == {200}
        await until(lambda: shared.unread_bytes == 0)


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_body_read_into_its_place_is_not_counted_as_unread(monkeypatch: pytest.MonkeyPatch, loop: Any) -> None:
    monkeypatch.setattr(flow, "MAX_UNREAD_BYTES", 300_000)
    ahead = LIVE.replace(b"\r\n\r\n", b"\r\nX-Long: " + b"a" * 2 * flow.SMALL_UNREAD_BYTES + b"\r\n\r\n")
    shared = flow.FlowControl()
    with serving(application(), loop, flow=shared) as port:
        assert statuses(await answer(port, LONG_POST + ahead * 3 + LAST)) == [200] * 5
        await until(lambda: shared.unread_bytes == 0)


@pytest.fixture
def traced() -> Iterator[Callable[[], int]]:
    """Trace memory, and yield a function that returns the bytes in use."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_body_that_stops_keeps_no_memory_for_its_rest(
    monkeypatch: pytest.MonkeyPatch, traced: Callable[[], int], loop: Any
) -> None:
    monkeypatch.setattr("service.api.admission.PACE_CHECK_SECONDS", 0.01)
    monkeypatch.setattr("service.api.admission.PACE_SECONDS", 0.1)
    app, arrived = application(), 300_000
    with serving(app, loop) as port:
        async with connection(port) as peer:
            before = traced()
            await peer.send(LONG_POST[:arrived])
            await until(lambda: 0 < app.runtime.admission.bytes < len(LONG_POST) // 10)
            await until(lambda: traced() - before < len(LONG_POST) // 2)
            assert (await peer.ask(LONG_POST[arrived:])).status == 200


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("headers", [b"X-Long: " + b"a" * 60_000 + b"\r\n", b"a: b\r\n" * 250], ids=["long", "many"])
async def test_an_idle_connection_keeps_no_long_head(traced: Callable[[], int], loop: Any, headers: bytes) -> None:
    head = LIVE[:-2] + headers + b"\r\n"
    async with AsyncExitStack() as stack:
        port = stack.enter_context(serving(application(), loop, client_timeout=60))
        peers = [await stack.enter_async_context(connection(port)) for _ in range(20)]
        before = traced()
        for peer in peers:
            assert (await peer.ask(head)).status == 200
        await until(lambda: traced() - before < len(peers) * 15_000)


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_body_that_is_too_late_keeps_no_memory(traced: Callable[[], int], loop: Any) -> None:
    with serving(application(body_timeout_seconds=CLIENT_TIMEOUT), loop, client_timeout=60) as port:
        async with connection(port) as peer:
            before = traced()
            assert (await peer.ask(LONG_POST[:300_000])).status == 408
            await until(lambda: traced() - before < len(LONG_POST) // 2)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("inline_body_bytes", [0, 2**18])
async def test_a_lost_connection_is_freed_without_garbage_collection(loop: Any, inline_body_bytes: int) -> None:
    app = application(inline_body_bytes=inline_body_bytes)
    with serving(app, loop) as port:
        await answer(port, LAST)
        gc.collect()
        gc.disable()
        try:
            for sent in (
                HEAD + b"X-Long: " + b"a" * 60_000,
                HEAD + LENGTH + b"\r\n" + BODY[:5],
                LIVE * 3,
                b"HELO\r\n\r\n",
            ):
                async with connection(port) as (reader, writer):
                    writer.write(sent)
                    await asyncio.sleep(0.05)
                    del reader
            await until(lambda: app.runtime.lifecycle.in_progress == 0)
            await until(lambda: not any(isinstance(each, HttpProtocol) for each in gc.get_objects()))
        finally:
            gc.enable()


@pytest.mark.parametrize("loop", LOOPS)
def test_client_that_reset_before_it_is_accepted_is_let_go(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    async def accept() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            accepted, _ = listener.accept()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        connections = await Server(application()).accept(accepted)
        await until(lambda: not connections)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(accept())
    assert not caplog.records


async def test_requests_sent_ahead_are_not_read(port: int) -> None:
    client = socket.create_connection(("127.0.0.1", port))
    client.settimeout(0)
    sent, stopped = 0, time.monotonic()
    while time.monotonic() - stopped < CLIENT_TIMEOUT / 2:
        try:
            sent += client.send(LIVE * 1000)
            stopped = time.monotonic()
        except BlockingIOError:
            await asyncio.sleep(0.01)
        # the client reads no response, so the server soon stops reading
        assert sent < 40_000_000
    client.close()


@pytest.mark.parametrize("loop", LOOPS)
async def test_new_client_is_answered_before_requests_sent_ahead(loop: Any) -> None:
    app, clients, ahead = application(), 40, 50
    serve, served = app.others, []

    async def count(scope: Scope, receive: Receive, send: Send) -> None:
        served.append(scope["client"])
        await serve(scope, receive, send)

    app.others = count  # type: ignore[assignment]  # any ASGI application will do
    with serving(app, loop) as port:
        async with AsyncExitStack() as stack:
            receiving = []
            for _ in range(clients):
                reader, writer = await stack.enter_async_context(connection(port))
                writer.write(LIVE * (ahead - 1) + LAST)
                receiving.append(asyncio.create_task(reader.read()))
            await until(lambda: len(set(served)) == clients)
            async with connection(port) as (reader, writer):
                before = len(served)
                writer.write(LAST)
                await reader.read()
                # both threads share an interpreter: some are served until it switches to this one
                assert served.index(writer.get_extra_info("sockname")) - before < 5 * clients
            for received in await asyncio.wait_for(asyncio.gather(*receiving), PATIENCE):
                assert statuses(received) == [200] * ahead


@pytest.mark.parametrize("loop", LOOPS)
def test_new_client_is_answered_before_very_small_chunks(loop: str) -> None:
    clients = 40
    chunks = Request("POST", "/softmax", raw=CHUNKED + b"1\r\n \r\n" * 5_000 + b"0\r\n\r\n")
    live = LAST_REQUESTS[0]

    async def send_all() -> None:
        # one event loop for the server and its clients: the order of its turns is the same in each run
        app = application()
        server = Server(app)

        def send(request: Request) -> asyncio.Task[list[Response]]:
            return asyncio.create_task(server.answers(Stream([request], [request.encode(seeded(0))], half_close=False)))

        sent = [send(chunks) for _ in range(clients)]
        await until(lambda: app.runtime.lifecycle.in_progress == clients)
        assert [response.status for response in await send(live)] == [200]
        assert app.runtime.lifecycle.in_progress == clients
        assert [[response.status for response in responses] for responses in await asyncio.gather(*sent)] == [
            [400]
        ] * clients

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(send_all())


@pytest.mark.parametrize(
    "sent",
    [
        (),
        (b"GET /livez",),
        (HEAD,),
        (LIVE,),
        (LIVE, b"GET /livez"),
        # refused before its body, which never arrives
        (b"POST /livez HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n",),
        (b"GET /", *[b"a"] * 400),
    ],
    ids=["nothing", "half a line", "half a head", "no next", "half a next", "no body", "byte by byte"],
)
async def test_a_client_that_stops_is_waited_for_once(impatient: int, sent: tuple[bytes, ...]) -> None:
    start = time.monotonic()
    await answer(impatient, *sent)
    assert CLIENT_TIMEOUT / 2 < time.monotonic() - start < 20 * CLIENT_TIMEOUT


async def test_a_slow_body_has_the_time_of_bodies(impatient: int) -> None:
    async with connection(impatient) as (reader, writer):
        writer.write(HEAD + LENGTH + b"\r\n" + BODY[:5])
        await asyncio.sleep(2 * CLIENT_TIMEOUT)
        writer.write(BODY[5:])
        assert (await asyncio.wait_for(reader.readline(), PATIENCE)).split()[1] == b"200"


async def answer_slowly(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer after the time of a client."""
    del scope, receive
    await asyncio.sleep(2 * CLIENT_TIMEOUT)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_client_that_is_idle_after_a_slow_answer_is_let_go(loop: Any) -> None:
    with serving(answer_slowly, loop, client_timeout=CLIENT_TIMEOUT) as port:
        async with connection(port) as (reader, writer):
            writer.write(LIVE)
            assert (await asyncio.wait_for(reader.read(), PATIENCE)).startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_reads_nothing_is_let_go() -> None:
    app = application()
    with serving(app, client_timeout=CLIENT_TIMEOUT) as port:
        async with connection(port) as (_, writer):
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            for _ in range(3):
                writer.write(LARGE_POST.replace(b"Connection: close\r\n", b""))
            await until(lambda: app.runtime.lifecycle.in_progress > 0)
            await until(lambda: app.runtime.lifecycle.in_progress == 0)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("size", [1, 5000], ids=["a byte", "some bytes"])
async def test_a_client_that_reads_too_slowly_is_let_go(monkeypatch: pytest.MonkeyPatch, loop: Any, size: int) -> None:
    # 2 s for the response
    monkeypatch.setattr(client_timeout, "MIN_BYTES_PER_SECOND", 2**22)
    app = application()
    with serving(app, loop, client_timeout=CLIENT_TIMEOUT) as port, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**12)
        client.connect(("127.0.0.1", port))
        client.sendall(LARGE_POST.replace(b"Connection: close\r\n", b""))
        start = time.monotonic()
        await until(lambda: app.runtime.lifecycle.in_progress > 0)
        while app.runtime.lifecycle.in_progress:
            await asyncio.to_thread(client.recv, size)
            await asyncio.sleep(CLIENT_TIMEOUT / 20)
            assert time.monotonic() - start < 10


async def cut_off(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail with a part of the response sent."""
    del scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": bytes(2_000_000), "more_body": True})
    raise RuntimeError


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("app", [application(), cut_off], ids=["not read", "cut off"])
@pytest.mark.parametrize("has_tls", [False, True], ids=["http", "https"])
async def test_the_kernel_keeps_nothing_for_a_client_that_is_let_go(
    tmp_path: Path, loop: Any, app: ASGIApp, *, has_tls: bool
) -> None:
    ours = certificate(tmp_path, "ours") if has_tls else None
    with (
        serving(app, loop, client_timeout=CLIENT_TIMEOUT, certificate=ours) as port,
        socket.create_connection(("127.0.0.1", port)) as opened,
    ):
        own_port = opened.getsockname()[1]
        context = ssl.create_default_context(cafile=ours.chain) if ours else None
        with context.wrap_socket(opened, server_hostname="localhost") if context else opened as client:
            client.sendall(LARGE_POST)
            client.recv(1)
            await asyncio.sleep(2 * CLIENT_TIMEOUT)
            await until(lambda: unsent_bytes(port, own_port) == 0)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_last_response_that_is_not_read_is_let_go(loop: str) -> None:
    async def ask() -> None:
        # the client's end arrives while a thread computes
        server = Server(application(inline_body_bytes=0), client_timeout=CLIENT_TIMEOUT)
        theirs, ours = socket.socketpair()
        with ours:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**12)
            connections = await server.accept(theirs)
            # the response, of 40 kB, fits into the buffer of the transport
            ours.sendall(post("/softmax", b'{"logits": [%b0]}' % (b"0," * 2000), {**JSON, "Connection": "close"}))
            ours.shutdown(socket.SHUT_WR)
            await until(lambda: not connections)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(ask())


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_slow_and_steady_reader_gets_all(loop: Any) -> None:
    timeout = 1.0
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
    with serving(application(), loop, client_timeout=timeout) as port:
        await asyncio.get_running_loop().run_in_executor(None, client.connect, ("127.0.0.1", port))
        client.sendall(LARGE_POST)
        received, start = b"", time.monotonic()
        while True:
            data = await asyncio.to_thread(client.recv, 100_000)
            if not data:
                break
            received += data
            await asyncio.sleep(timeout / 20)
    client.close()
    head, _, body = received.partition(b"\r\n\r\n")
    assert int(re.findall(rb"content-length: (\d+)", head)[0]) == len(body)
    assert time.monotonic() - start > 3 * timeout


class Reading:
    """A transport whose client reads bytes at a constant rate."""

    def __init__(self, size: int, bytes_per_second: float) -> None:
        self.size, self.rate, self.started = size, bytes_per_second, time.monotonic()
        self.lost_bytes = 0
        self._socket = socket.socket()
        self._socket.close()

    def get_extra_info(self, _: str) -> socket.socket:
        """Return a socket whose kernel keeps nothing."""
        return self._socket

    def get_write_buffer_size(self) -> int:
        """Return the bytes that the client has not read."""
        return max(0, round(self.size - self.rate * (time.monotonic() - self.started)))

    def abort(self) -> None:
        """Take note of the bytes that the client does not get."""
        self.lost_bytes = self.get_write_buffer_size()


@pytest.mark.parametrize(("pace", "loses"), [(2, False), (0.25, True)], ids=["steady", "too slow"])
async def test_a_response_keeps_its_time_when_the_next_starts(
    monkeypatch: pytest.MonkeyPatch, pace: float, *, loses: bool
) -> None:
    monkeypatch.setattr(client_timeout, "MIN_BYTES_PER_SECOND", 10_000)
    transport = Reading(10_000, pace * 10_000)
    timeout = client_timeout.ClientTimeout(asyncio.get_running_loop(), cast("Any", transport), CLIENT_TIMEOUT)
    for size in (10_000, 1, 1):
        timeout.start_response()
        timeout.add(size)
    timeout.set_turn(is_clients=True)
    await until(lambda: transport.lost_bytes > 0 or not transport.get_write_buffer_size())
    timeout.cancel()
    assert (transport.lost_bytes > 0) is loses


async def test_time_of_responses_that_were_taken_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_timeout, "MIN_BYTES_PER_SECOND", 10_000)
    monkeypatch.setattr(client_timeout, "SPARE_SECONDS", CLIENT_TIMEOUT)
    transport = Reading(0, 100)
    timeout = client_timeout.ClientTimeout(asyncio.get_running_loop(), cast("Any", transport), CLIENT_TIMEOUT)
    for _ in range(100):
        timeout.start_response()
        timeout.add(2_000)
    transport.size, transport.started = 10_000, time.monotonic()
    timeout.set_turn(is_clients=True)
    await until(lambda: transport.lost_bytes > 0)
    timeout.cancel()
    # the sum of all times is 20 seconds
    assert time.monotonic() - transport.started < 20 * CLIENT_TIMEOUT


def test_random_bytes_never_break_the_protocol(port: int) -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(random.bytes(300) + os.linesep.encode() * 2)
            client.shutdown(socket.SHUT_WR)
            while client.recv(2**16):
                pass
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(LIVE)
        assert client.recv(2**16).startswith(b"HTTP/1.1 200 ")
