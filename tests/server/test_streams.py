"""Test responses to streams of requests, cut anywhere, on both event loops."""

from __future__ import annotations

import asyncio

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.connections import application
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
