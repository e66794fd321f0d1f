"""Long bodies, which go straight into their place: whole, in pieces, too slow, too much, or cut short."""

from __future__ import annotations

import asyncio
import io
import mmap
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import httpx
import numpy as np
import pytest
import ssrjson
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest

from service.formats import json_encode
from service.server.memory import unfilled
from service.server.receiver import PIECE_BYTES
from tests.api.clients import BODY, application
from tests.server.sockets import HEAD, LENGTH, answer, serving, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

LOGITS = np.random.default_rng(0).normal(size=(400, 100))

LONG = json_encode.dumps({"logits": LOGITS, "outputs": ["log_normalizer"]})
"""A body of three pieces."""

START = HEAD + b"Content-Length: %d\r\n\r\n" % len(LONG)

SHORT = HEAD + b"Connection: close\r\n" + LENGTH + b"\r\n" + BODY
"""The last request on a connection."""


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of one server for all tests, on each event loop."""
    loop: Literal["uvloop", "asyncio"] = request.param
    with serving(application(), loop) as port:
        yield port


def bodies(answered: bytes) -> list[bytes]:
    """The bodies of some answers on one connection, each of which was 200."""
    found = []
    while answered:
        head, _, rest = answered.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = int(head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
        found.append(rest[:length])
        answered = rest[length:]
    return found


@given(cuts=st.lists(st.integers(0, len(START + LONG)), max_size=4))
@settings(max_examples=10, deadline=None)
async def test_a_long_body_is_the_same_however_it_comes(port: int, cuts: list[int]) -> None:
    whole = START + LONG
    edges = [0, *sorted(cuts), len(whole)]
    pieces = [whole[start:end] for start, end in pairwise(edges)]
    long, short = bodies(await answer(port, *pieces, SHORT))
    np.testing.assert_allclose(ssrjson.loads(long)["log_normalizer"], np.log(np.exp(LOGITS).sum(axis=1)), rtol=1e-14)
    assert ssrjson.loads(short)["probabilities"] == [0.5, 0.5]


async def test_requests_behind_a_long_body_are_answered_in_order(port: int) -> None:
    found = bodies(await answer(port, START + LONG + START + LONG + SHORT))
    assert [len(ssrjson.loads(each)) for each in found] == [1, 1, 2]
    assert found[0] == found[1]


async def test_a_request_behind_a_long_body_may_ask_for_another_protocol(port: int) -> None:
    upgrade = SHORT.replace(b"Connection: close\r\n", b"Connection: Upgrade, close\r\nUpgrade: h2c\r\n")
    assert len(bodies(await answer(port, START + LONG, upgrade))) == 2


async def test_a_client_that_expects_to_be_told_to_continue_is_told(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(START.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"))
    async with asyncio.timeout(10):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(LONG)
        assert len(bodies(await reader.read())) == 1
    writer.close()


@pytest.mark.parametrize("accept", ["application/x-npy", "application/json"])
def test_a_long_reply_is_the_replies_to_its_rows(port: int, accept: str) -> None:
    def ask(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        file = io.BytesIO()
        np.save(file, logits)
        headers = {"Content-Type": "application/x-npy", "Accept": accept}
        reply = client.post("/softmax?outputs=probabilities", content=file.getvalue(), headers=headers).content
        if accept == "application/json":
            return np.array(ssrjson.loads(reply)["probabilities"])
        return np.load(io.BytesIO(reply), allow_pickle=False)

    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        whole = ask(LOGITS)
        assert whole.nbytes > PIECE_BYTES
        np.testing.assert_array_equal(whole, np.concatenate([ask(rows) for rows in np.split(LOGITS, 10)]))


class TestMisfortunes:
    """What a request holds is given back, and whoever comes behind it on the connection is answered."""

    async def test_of_a_client_that_leaves(self) -> None:
        app = application()
        with serving(app) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(START + LONG[:-1])
            await until(lambda: app.runtime.admission.bytes == len(LONG))
            writer.close()
            await until(lambda: app.runtime.admission.bytes == 0)
            assert app.runtime.lifecycle.taken == 0
            app.runtime.publish()
            assert 'status="499"' in generate_latest(app.runtime.metrics.registry).decode()

    @pytest.mark.parametrize("came", [PIECE_BYTES - len(START), PIECE_BYTES, 2 * PIECE_BYTES, len(LONG) - 1])
    async def test_of_a_body_that_is_too_slow(self, came: int) -> None:
        app = application(body_timeout_seconds=0.2)
        with serving(app) as port:
            reply = await answer(port, START + LONG[:came])
        assert reply.startswith(b"HTTP/1.1 408 ")
        assert b"/problems/slow-body" in reply
        assert app.runtime.admission.bytes == 0


def test_memory_is_not_touched_before_something_comes() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    before = resident()
    room = unfilled(2**28)
    assert len(room) == 2**28
    assert (resident() - before) * mmap.PAGESIZE < 2**20
    room[:] = bytes(1) * len(room)
    assert (resident() - before) * mmap.PAGESIZE > 2**27
