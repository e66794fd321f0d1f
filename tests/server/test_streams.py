"""Test responses to streams of requests, cut anywhere, on both event loops."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from functools import partial

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.server.flow import FlowControl
from service.server.protocol import HttpProtocol
from tests.connections import application
from tests.server.sockets import until
from tests.server.streams import LAST, LOOPS, REQUESTS, SETTINGS, Server, Stream, compare, prepare, seeded, stream

STREAMS = 700
"""Number of streams on each event loop. `make fuzz` tries more."""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("settings", SETTINGS)
def test_streams_are_answered_as_the_application_answers(loop: str, settings: dict[str, int]) -> None:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(compare(application(**settings), STREAMS, seed=1))


@pytest.mark.parametrize("loop", LOOPS)
def test_a_stream_cut_at_any_border_is_answered_alike(loop: str) -> None:
    async def cut_everywhere() -> None:
        app, random = application(), seeded(2)
        await prepare(app)
        server = Server(app)
        requests = [REQUESTS[8], REQUESTS[0], REQUESTS[13], LAST[1]]
        data = b"".join(request.encode(random) for request in requests)
        for place in range(len(data)):
            tried = Stream(requests, [data[:place], data[place:]], half_close=False)
            assert await server.answers(tried) == tried.expected, place

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(cut_everywhere())


NARROW = {"inline_body_bytes": 10, "max_body_bytes": 250_000, "max_bytes_in_flight": 300_000}
"""Settings with which long requests wait for each other."""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("settings", [*SETTINGS, NARROW])
def test_streams_that_are_cut_off_leave_nothing_behind(
    loop: str, settings: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    async def cut_off() -> None:
        app, flow, random = application(**settings), FlowControl(), seeded(4)
        server = Server(app, partial(HttpProtocol, flow=flow))  # type: ignore[arg-type]  # it makes the protocols
        for _ in range(STREAMS):
            pieces = stream(random).pieces
            theirs, ours = socket.socketpair()
            with ours, suppress(BlockingIOError, ConnectionError):
                ours.settimeout(0)
                connections = await server.accept(theirs)
                for piece in pieces[: random.randint(1, len(pieces))]:
                    ours.send(piece)
                    for _ in range(random.randrange(4)):
                        await asyncio.sleep(0)
                if random.random() < 0.3:
                    ours.shutdown(socket.SHUT_WR)
        await until(lambda: not connections and not app.runtime.lifecycle.in_progress)
        assert (flow.unread_bytes, app.runtime.admission.bytes, app.runtime.admission.waiting) == (0, 0, 0)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(cut_off())
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("loop", LOOPS)
def test_valid_streams_are_answered_as_uvicorn_with_h11_does(loop: str) -> None:
    async def both() -> None:
        app = application()
        ours, theirs = Server(app), Server(app, H11Protocol)
        for number in range(STREAMS // 4):
            tried = stream(seeded(f"3 {number}"), h11=True)
            assert await ours.answers(tried) == await theirs.answers(tried), number

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(both())
