"""Test admission: memory stays within the limit, is granted in order of arrival, and is returned."""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random
from threading import Barrier
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Gauge

from service.api import problems
from service.api.admission import Admission, ByteReservation
from service.api.endpoint import UNCOUNTED_BYTES, has_views
from service.api.wire_formats import COMPRESSED_FACTOR
from service.compute.softmax import Softmax
from service.errors import BodyTooLarge, Overloaded, ServiceError, TooMuchWork
from service.formats import json_decode, json_encode, npy
from service.operations import OPERATIONS
from service.settings import Settings
from tests.bodies import BODY, JSON, body_of, compress
from tests.connections import LEFT, Upload, application, connect, converse, piece
from tests.processes import PATIENCE
from tests.server.sockets import until

if TYPE_CHECKING:
    from starlette.types import Message

    from service.api.app import Service

LIMIT = 100

SOON = 0.05
"""Seconds that a request waits in most of these tests."""


def admission(wait: float = SOON, small: int = 0, body: int = LIMIT, limit: int = LIMIT) -> Admission:
    """Return the admission of a process without requests."""
    limits = Settings(max_bytes_in_flight=limit, max_body_bytes=body, max_wait_seconds=wait, inline_body_bytes=small)
    return Admission(limits, Gauge("bytes", "Bytes.", registry=None))


def in_flight(app: Service) -> tuple[int, int]:
    """Return the bytes and the operations that an application counts as in flight."""
    return app.runtime.admission.bytes, app.runtime.lifecycle.in_progress


async def turns(count: int = 5) -> None:
    """Let the other tasks run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def outcome(waiting: asyncio.Task[None]) -> str:
    """Return "got" for a request that got its memory, else the name of its error."""
    try:
        await waiting
    except ServiceError as error:
        return type(error).__name__
    return "got"


@pytest.mark.parametrize(
    ("made", "kept", "needed"), [(40, False, 60), (60, False, 60), (90, False, 90), (40, True, 100)]
)
async def test_tensors_take_the_place_of_a_body_unless_it_is_kept(made: int, *, kept: bool, needed: int) -> None:
    reservation = ByteReservation(admission())
    await reservation.add_body(60)
    assert reservation.needed_for(made, body_is_kept=kept) == needed


async def test_a_decompressed_body_needs_memory_of_its_whole_length() -> None:
    reservation = ByteReservation(admission())
    await reservation.add_body(20)
    for _ in range(2):
        reservation.add_inflated(30)
    assert reservation.needed_for(10, body_is_kept=False) == 60
    assert reservation.needed_for(10, body_is_kept=True) == 70


def test_a_body_is_kept_if_a_tensor_is_a_view_of_it() -> None:
    logits = np.zeros((2, 3))
    text, file = json_encode.dumps({"logits": logits.tolist()}), b"".join(npy.encode_npy(logits))
    assert not has_views(text, json_decode.decode(text, OPERATIONS[0]))
    assert has_views(file, npy.decode_npy(file, OPERATIONS[0], "temperature=2"))


@given(st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 2 * LIMIT)), max_size=50))
def test_memory_is_taken_up_to_the_limit_until_released(steps: Any) -> None:
    counter = admission()
    reservations = [ByteReservation(counter) for _ in range(4)]
    held = [0] * 4
    for who, size in steps:
        if size is None:
            reservations[who].release()
            held[who] = 0
        elif size > LIMIT:
            with pytest.raises(TooMuchWork):
                reservations[who].try_reserve(size)
        else:
            grown = max(held[who], size)
            fits = sum(held) - held[who] + grown <= LIMIT
            assert reservations[who].try_reserve(size) is fits
            held[who] = grown if fits else held[who]
        assert counter.bytes == sum(held) <= LIMIT
    for reservation in reservations:
        reservation.release()
        reservation.release()
    assert counter.bytes == 0


@given(st.lists(st.lists(st.integers(0, LIMIT), max_size=20), min_size=2, max_size=4))
def test_threads_together_never_take_more_than_the_limit(sizes: list[list[int]]) -> None:
    counter = admission()
    start = Barrier(len(sizes))

    def take_and_release(mine: list[int]) -> int:
        start.wait()
        most = 0
        for size in mine:
            reservation = ByteReservation(counter)
            reservation.try_reserve(size)
            most = max(most, counter.bytes)
            reservation.release()
        return most

    with ThreadPoolExecutor(len(sizes)) as threads:
        assert max(threads.map(take_and_release, sizes)) <= LIMIT
    assert counter.bytes == 0


async def test_requests_get_memory_in_order_of_arrival() -> None:
    counter, order = admission(wait=5), list[int]()
    await counter.take(LIMIT, 0)

    async def ask(number: int) -> None:
        await counter.take(60, 0)
        order.append(number)
        await turns()
        counter.give_back(60)

    tasks = [asyncio.create_task(ask(number)) for number in range(5)]
    await turns()
    assert counter.waiting == 5
    counter.give_back(LIMIT)
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]
    assert (counter.bytes, counter.waiting) == (0, 0)


async def test_a_large_request_waits_behind_a_larger_one() -> None:
    counter = admission(wait=5, small=10)
    await counter.take(50, 0)
    first = asyncio.create_task(counter.take(60, 0))
    await turns()
    second = asyncio.create_task(counter.take(40, 0))
    small = asyncio.create_task(counter.take(10, 0))
    await turns()
    assert (first.done(), second.done(), small.done()) == (False, False, True)
    counter.give_back(50)
    await turns()
    assert (first.done(), second.done()) == (True, False)
    counter.give_back(70)
    await second


async def test_large_outputs_of_a_short_request_do_not_overtake() -> None:
    counter = admission(wait=5, small=10)
    await counter.take(50, 0)
    waiting = asyncio.create_task(counter.take(60, 0))
    await turns()
    assert [ByteReservation(counter).try_reserve(size) for size in (11, 10)] == [False, True]
    holder = ByteReservation(counter)
    await holder.add_body(10)
    assert not holder.try_reserve(30)
    counter.give_back(50)
    await waiting
    assert holder.try_reserve(30)


async def test_a_small_request_overtakes_in_the_queue() -> None:
    counter = admission(wait=5, small=10)
    await counter.take(LIMIT, 0)
    large = asyncio.create_task(counter.take(60, 0))
    await turns()
    small = asyncio.create_task(counter.take(10, 0))
    await turns()
    counter.give_back(10)
    await turns()
    assert (large.done(), small.done()) == (False, True)
    counter.give_back(90)
    await large


async def test_a_request_that_holds_memory_goes_first() -> None:
    counter = admission(wait=5)
    await counter.take(70, 0)
    await counter.take(30, 0)
    arriving = asyncio.create_task(counter.take(30, 0))
    growing = asyncio.create_task(counter.take(30, 30))
    await turns()
    counter.give_back(30)
    await turns()
    assert (arriving.done(), growing.done()) == (False, True)
    counter.give_back(60)
    await arriving


async def test_a_new_request_waits_behind_one_that_holds_memory() -> None:
    counter = admission(wait=5, small=10)
    await counter.take(60, 0)
    growing = asyncio.create_task(counter.take(50, 30))
    await turns()
    arriving = asyncio.create_task(counter.take(20, 0))
    await turns()
    assert (counter.waiting, arriving.done()) == (2, False)
    counter.give_back(30)
    await asyncio.gather(growing)
    counter.give_back(60)
    await arriving


async def test_a_request_that_holds_little_keeps_its_place() -> None:
    counter = admission(wait=5, small=10)
    await counter.take(90, 0)
    await counter.take(10, 0)
    arriving = asyncio.create_task(counter.take(30, 0))
    await turns()
    growing = asyncio.create_task(counter.take(70, 10))
    await turns()
    counter.give_back(90)
    await turns()
    assert (arriving.done(), growing.done()) == (True, False)
    counter.give_back(30)
    await growing


async def test_the_newest_give_way_if_all_hold_little() -> None:
    counter = admission(wait=5, small=10)

    async def ask() -> str:
        try:
            await counter.take(50, 10)
        except Overloaded:
            counter.give_back(10)
            return "Overloaded"
        counter.give_back(60)
        return "got"

    assert counter.try_take(LIMIT)
    outcomes = await asyncio.wait_for(asyncio.gather(*(ask() for _ in range(10))), PATIENCE)
    assert outcomes == ["got"] * 5 + ["Overloaded"] * 5
    assert (counter.bytes, counter.waiting) == (0, 0)


async def test_the_newest_gives_way_if_all_wait_for_each_other() -> None:
    counter = admission(wait=5)
    await counter.take(50, 0)
    await counter.take(50, 0)
    older = asyncio.create_task(counter.take(20, 50))
    newer = asyncio.create_task(counter.take(20, 50))
    assert await outcome(newer) == "Overloaded"
    counter.give_back(50)
    assert await outcome(older) == "got"
    assert counter.bytes == 70


async def test_many_requests_wait_at_little_cost() -> None:
    counter, count = admission(wait=60, small=10), 20_000
    await counter.take(LIMIT, 0)
    start = time.process_time()
    waiting = [asyncio.create_task(counter.take(50, 0)) for _ in range(count)]
    await turns()
    assert counter.waiting == count
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert counter.waiting == 0
    # it takes 1 s, and 28 s if each looks at all the others
    assert time.process_time() - start < 8


async def test_a_request_waits_no_longer_than_the_limit() -> None:
    counter = admission()
    await counter.take(LIMIT, 0)
    large, behind = asyncio.create_task(counter.take(2, 0)), asyncio.create_task(counter.take(1, 0))
    assert [await outcome(large), await outcome(behind)] == ["Overloaded", "Overloaded"]
    assert (counter.bytes, counter.waiting) == (LIMIT, 0)


async def test_a_request_behind_one_that_gives_up_gets_its_turn() -> None:
    counter = admission(wait=5)
    await counter.take(50, 0)
    large = asyncio.create_task(counter.take(60, 0))
    await turns()
    behind = asyncio.create_task(counter.take(50, 0))
    await turns()
    large.cancel()
    await behind
    assert (counter.bytes, counter.waiting) == (LIMIT, 0)


async def test_a_grant_to_a_request_that_ends_is_given_back() -> None:
    counter = admission(wait=5)
    await counter.take(LIMIT, 0)
    waiting = asyncio.create_task(counter.take(60, 0))
    await turns()
    counter.give_back(LIMIT)
    await asyncio.sleep(0)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    assert (counter.bytes, counter.waiting) == (0, 0)


@pytest.mark.parametrize("turns_between", [0, 1])
async def test_a_request_that_ends_as_it_gives_way_leaves_no_trace(
    caplog: pytest.LogCaptureFixture, turns_between: int
) -> None:
    counter = admission(wait=5)
    assert counter.try_take(LIMIT)
    older = asyncio.create_task(counter.take(20, 45))
    newer = asyncio.create_task(counter.take(20, 45))
    await turns()
    # the only request at work ends, so the newer of the two has to give way
    counter.give_back(10)
    await turns(turns_between)
    newer.cancel()
    with suppress(asyncio.CancelledError, Overloaded):
        await newer
    assert (counter.bytes, counter.waiting, caplog.records) == (LIMIT - 10, 1, [])
    counter.give_back(45)
    await asyncio.wait_for(older, PATIENCE)


async def test_memory_freed_in_a_thread_wakes_a_request() -> None:
    counter = admission(wait=5)
    await counter.take(LIMIT, 0)
    waiting = asyncio.create_task(counter.take(LIMIT, 0))
    await turns()
    await asyncio.to_thread(counter.give_back, LIMIT)
    assert await asyncio.wait_for(outcome(waiting), PATIENCE) == "got"


async def test_more_than_the_limit_is_refused_at_once() -> None:
    counter = admission(wait=5)
    with pytest.raises(TooMuchWork):
        await counter.take(60, 50)
    assert counter.bytes == 0


async def test_a_body_is_limited_before_and_after_decompression() -> None:
    counter = admission(limit=3 * LIMIT)
    reservation = ByteReservation(counter)
    await reservation.add_body(LIMIT)
    reservation.add_inflated(LIMIT)
    with pytest.raises(BodyTooLarge):
        await reservation.add_body(1)
    with pytest.raises(BodyTooLarge):
        reservation.add_inflated(1)
    with pytest.raises(BodyTooLarge):
        await reservation.reserve_body(LIMIT + 1)
    assert counter.bytes == 2 * LIMIT


async def test_a_body_of_unknown_length_reserves_the_longest() -> None:
    counter = admission(small=10, limit=2 * LIMIT)
    reservation = ByteReservation(counter)
    await reservation.add_body(10)
    assert counter.bytes == 10
    await reservation.add_body(1)
    assert counter.bytes == LIMIT
    reservation.end_body()
    assert counter.bytes == 11


@pytest.mark.parametrize("length", [90, None])
async def test_a_body_that_does_not_arrive_keeps_no_memory(monkeypatch: pytest.MonkeyPatch, length: int | None) -> None:
    monkeypatch.setattr("service.api.admission.PACE_CHECK_SECONDS", 0.01)
    counter = admission(small=0, wait=5)
    slow, fast = ByteReservation(counter), ByteReservation(counter)
    if length is not None:
        await slow.reserve_body(length)
    await slow.add_body(1)
    assert counter.bytes == (length or LIMIT)
    await asyncio.wait_for(fast.reserve_body(90), PATIENCE)
    # when the slow body continues, it waits in line
    more = asyncio.create_task(slow.add_body(50))
    await turns()
    assert not more.done()
    fast.release()
    await more
    slow.release()
    assert counter.bytes == 0


async def test_a_body_that_arrives_in_time_keeps_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.admission.PACE_CHECK_SECONDS", 0.001)
    counter = admission()
    reservation = ByteReservation(counter)
    await reservation.reserve_body(90)
    await reservation.add_body(80)
    await asyncio.sleep(0.02)
    assert counter.bytes == 90
    reservation.release()


NARROW = {"max_bytes_in_flight": LIMIT, "max_body_bytes": LIMIT, "inline_body_bytes": 0, "max_wait_seconds": 0.05}


async def test_a_request_waits_with_its_body_unread() -> None:
    app = application(**{**NARROW, "max_wait_seconds": 5})
    app.runtime.admission.try_take(LIMIT)
    upload = Upload(BODY.ljust(50), count=1)
    async with connect(app) as client:
        headers = {**JSON, "Content-Length": "50"}
        waiting = asyncio.create_task(client.post("/softmax", content=upload, headers=headers))
        await asyncio.sleep(0.02)
        assert (upload.read, app.runtime.admission.waiting) == (0, 1)
        app.runtime.admission.give_back(LIMIT)
        assert (await waiting).status_code == 200
    assert in_flight(app) == (0, 0)


async def test_a_request_that_waited_too_long_is_never_read() -> None:
    app = application(**NARROW)
    app.runtime.admission.try_take(LIMIT - 10)
    upload = Upload(b" ", count=11)
    async with connect(app) as client:
        reply = await client.post("/softmax", content=upload, headers={**JSON, "Content-Length": "11"})
    assert (reply.status_code, reply.json()["type"]) == (503, "/problems/overloaded")
    assert upload.read == 0


async def test_a_body_of_unknown_length_waits_at_its_limit() -> None:
    app = application(**{**NARROW, "inline_body_bytes": 10})
    app.runtime.admission.try_take(LIMIT - 10)
    upload = Upload(b" ", count=50)
    async with connect(app) as client:
        reply = await client.post("/softmax", content=upload, headers=JSON)
    assert (reply.status_code, reply.json()["type"]) == (503, "/problems/overloaded")
    assert upload.read == 11


async def test_a_client_that_leaves_frees_its_place() -> None:
    app = application(**{**NARROW, "max_wait_seconds": 5})
    app.runtime.admission.try_take(LIMIT)
    gone = asyncio.create_task(converse(app, "/softmax", [LEFT], {"content-length": "90"}))
    await turns()
    waiting = asyncio.create_task(converse(app, "/softmax", [piece(BODY.ljust(90))], {"content-length": "90"}))
    await turns()
    assert app.runtime.admission.waiting == 2
    app.runtime.admission.give_back(LIMIT)
    assert await asyncio.wait_for(gone, PATIENCE) == []
    start, _ = await asyncio.wait_for(waiting, PATIENCE)
    assert start["status"] == 200
    assert in_flight(app) == (0, 0)


BLANK = BODY.ljust(900)

WAITING_BODIES = {
    "for its tensors": (json_encode.dumps({"logits": [0] * 5, "outputs": ["jacobian"]}), {}),
    "for its text": (gzip.compress(BLANK), {"content-encoding": "gzip"}),
    "for a text of unstated length": (zlib.compress(BLANK), {"content-encoding": "deflate"}),
}
"""Bodies that fit into LIMIT, and whose requests then need more memory."""


@pytest.mark.parametrize(("body", "headers"), WAITING_BODIES.values(), ids=WAITING_BODIES.keys())
async def test_a_client_that_leaves_waits_no_longer(body: bytes, headers: dict[str, str]) -> None:
    app = application(max_bytes_in_flight=2000, max_body_bytes=1000, inline_body_bytes=0, max_wait_seconds=60)
    others = 2000 - len(body) * (COMPRESSED_FACTOR if headers else 1)
    app.runtime.admission.try_take(others)
    headers = {**headers, "content-length": str(len(body))}
    assert await asyncio.wait_for(converse(app, "/softmax", [piece(body), LEFT], headers), PATIENCE) == []
    assert in_flight(app) == (others, 0)
    assert app.runtime.admission.waiting == 0


async def test_a_request_that_waits_is_answered_while_draining() -> None:
    app = application(**{**NARROW, "max_wait_seconds": 5})
    app.runtime.admission.try_take(LIMIT)
    waiting = asyncio.create_task(converse(app, "/softmax", [piece(BODY.ljust(90))], {"content-length": "90"}))
    await turns()
    app.runtime.lifecycle.leaving = app.runtime.lifecycle.refusing = True
    (late, _) = await converse(app, "/softmax", [piece(BODY)])
    app.runtime.admission.give_back(LIMIT)
    start, _ = await asyncio.wait_for(waiting, PATIENCE)
    assert (start["status"], late["status"]) == (200, 503)
    assert dict(start["headers"])[b"connection"] == b"close"


@pytest.mark.parametrize(("classes", "status"), [(74_000, 200), (76_000, 413)])
async def test_a_long_row_counts_with_the_arrays_that_it_takes(classes: int, status: int) -> None:
    logits = json_encode.dumps({"logits": [[0] * classes]})
    async with connect(application(max_bytes_in_flight=2**22, max_body_bytes=2**22)) as client:
        reply = await client.post("/softmax?outputs=predictions", content=logits, headers=JSON)
    assert reply.status_code == status


async def test_a_request_that_can_never_fit_is_refused_for_good() -> None:
    async with connect(max_bytes_in_flight=1000, max_body_bytes=1000) as client:
        reply = await client.post("/softmax", json={"logits": [0] * 200, "outputs": ["jacobian"]})
    assert (reply.status_code, reply.json()["type"]) == (413, "/problems/too-much-work")
    assert "Retry-After" not in reply.headers


async def test_a_small_request_that_arrived_whole_needs_no_memory() -> None:
    app = application(max_bytes_in_flight=1000, max_body_bytes=1000, max_wait_seconds=0.05)
    app.runtime.admission.try_take(1000)
    # the client sends it as one piece
    start, _ = await converse(app, "/softmax", [piece(BODY)])
    assert start["status"] == 200
    assert in_flight(app) == (1000, 0)


async def test_a_small_request_with_a_long_response_waits_for_memory() -> None:
    app = application()
    app.runtime.admission.try_take(app.runtime.admission.max_bytes)
    body = json_encode.dumps({"logits": [0] * 46, "outputs": ["jacobian"]})
    assert 8 * 45**2 < UNCOUNTED_BYTES < 8 * 46**2
    waiting = asyncio.create_task(converse(app, "/softmax", [piece(body)], arrived=True))
    start, _ = await converse(app, "/softmax", [piece(body.replace(b"0,", b"", 1))], arrived=True)
    await turns()
    assert (start["status"], waiting.done(), app.runtime.admission.waiting) == (200, False, 1)
    app.runtime.admission.give_back(app.runtime.admission.max_bytes)
    start, *_ = await asyncio.wait_for(waiting, PATIENCE)
    assert start["status"] == 200
    assert in_flight(app) == (0, 0)


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
async def test_outputs_wait_for_memory_too(compression: str | None) -> None:
    app = application(max_bytes_in_flight=2000, max_body_bytes=1000, inline_body_bytes=0, max_wait_seconds=5)
    body = json_encode.dumps({"logits": [0] * 5, "outputs": ["jacobian"]})
    packed = {"gzip": gzip.compress(body), "deflate": zlib.compress(body), None: body}[compression]
    headers = JSON if compression is None else {**JSON, "Content-Encoding": compression}
    async with connect(app) as client:
        assert (await client.post("/softmax", content=packed, headers=headers)).status_code == 200
        # the free memory holds the body, and not 5 x 5 numbers of 8 bytes
        app.runtime.admission.try_take(1850)
        waiting = asyncio.create_task(client.post("/softmax", content=packed, headers=headers))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        app.runtime.admission.give_back(1850)
        assert (await waiting).status_code == 200
    assert in_flight(app) == (0, 0)


MEMBERS = {
    "short member last": ("gzip", gzip.compress(BLANK[:-1]) + gzip.compress(BLANK[-1:])),
    "short member first": ("gzip", gzip.compress(BLANK[:1]) + gzip.compress(BLANK[1:])),
    "many members": ("gzip", gzip.compress(BLANK[:-2]) + 2 * gzip.compress(b" ")),
    "zstd": ("zstd", compress(BLANK, "zstd")),
    "deflate": ("deflate", zlib.compress(BLANK)),
}
"""A text in encodings that do not state its whole length, or not at a known place."""


@pytest.mark.parametrize(("encoding", "packed"), MEMBERS.values(), ids=MEMBERS.keys())
async def test_a_body_of_unstated_length_waits_for_memory(encoding: str, packed: bytes) -> None:
    app = application(max_bytes_in_flight=2000, max_body_bytes=1000, inline_body_bytes=0, max_wait_seconds=5)
    room = COMPRESSED_FACTOR * len(packed)
    assert room < len(BLANK)
    app.runtime.admission.try_take(2000 - room)
    async with connect(app) as client:
        headers = {**JSON, "Content-Encoding": encoding}
        waiting = asyncio.create_task(client.post("/softmax", content=packed, headers=headers))
        await until(lambda: app.runtime.admission.waiting > 0)
        app.runtime.admission.give_back(2000 - room)
        assert (await waiting).status_code == 200
    assert in_flight(app) == (0, 0)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("ratio", [2, 4, 5, 8, 16])
async def test_compressed_bodies_that_wait_leave_room_for_each_other(encoding: str, ratio: int) -> None:
    # a 200th of the default limits
    app = application(
        max_bytes_in_flight=200_000, max_body_bytes=160_000, inline_body_bytes=0, max_wait_seconds=10, log_level="error"
    )
    async with connect(app) as client:
        for size in (20_000, 80_000, 120_000):
            # digits shrink to 0.43 of their number, and spaces to nothing
            digits = np.random.default_rng(0).integers(10, size=2 * size // ratio).astype("S1").tobytes()
            packed = compress((b'{"logits": [0.%b, 1]}' % digits).ljust(size), encoding)
            headers = {**JSON, "Content-Encoding": encoding}
            asking = (client.post("/softmax", content=packed, headers=headers) for _ in range(12))
            statuses = [reply.status_code for reply in await asyncio.gather(*asking)]
            assert statuses == [200] * 12, (size, len(packed))
    assert in_flight(app) == (0, 0)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize(("size", "status"), [(900, 200), (990, 413), (1001, 413)])
async def test_a_text_that_fits_beside_its_body_is_answered(encoding: str, size: int, status: int) -> None:
    # digits that hardly compress: the bound of the text is far above the limit
    digits = str(Random(0).getrandbits(4000))[:850]  # noqa: S311  not a secret
    packed = compress((b'{"logits": [0.%b, 1]}' % digits.encode()).ljust(size), encoding)
    async with connect(max_bytes_in_flight=len(packed) + 950, max_body_bytes=1000) as client:
        reply = await client.post("/softmax", content=packed, headers={**JSON, "Content-Encoding": encoding})
    assert reply.status_code == status


async def test_clients_are_told_different_times_to_retry() -> None:
    app = application(**{**NARROW, "max_wait_seconds": 0.001})
    app.runtime.admission.try_take(LIMIT)
    async with connect(app) as client:
        replies = [await client.post("/softmax", content=BODY, headers=JSON) for _ in range(200)]
    low, high = problems.RETRY_SECONDS
    # the chance that one of five is missing from 200 is 1e-19
    assert {reply.headers["Retry-After"] for reply in replies} == {str(seconds) for seconds in range(low, high + 1)}


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/info", "/docs", "/v2/health/ready", "/v2"])
async def test_other_paths_need_no_memory(path: str) -> None:
    app = application(**NARROW)
    app.runtime.admission.try_take(LIMIT)
    async with connect(app) as client:
        assert (await client.get(path)).status_code == 200


ENDINGS: list[tuple[str, bytes, dict[str, str], int]] = [
    ("/softmax", BODY, {}, 200),
    ("/softmax", body_of(300_000), {}, 200),
    ("/softmax", gzip.compress(BODY, mtime=0), {"Content-Encoding": "gzip"}, 200),
    ("/softmax", gzip.compress(BODY.ljust(2**21), mtime=0), {"Content-Encoding": "gzip"}, 413),
    ("/softmax", b"no gzip", {"Content-Encoding": "gzip"}, 400),
    ("/softmax", BODY.ljust(2**21), {}, 413),
    ("/softmax", b"{", {}, 400),
    ("/softmax", b"{".ljust(300_000), {}, 400),
    ("/softmax", b'{"logits": [[1], [1, 2]]}', {}, 422),
    ("/softmax", b'{"logits": [%b0], "outputs": ["jacobian"]}' % (b"0," * 999), {}, 413),
    ("/softmax", b'{"logits": [%b0], "outputs": ["jacobian"]}' % (b"0," * 199), {}, 200),
    ("/softmax", BODY, {"Content-Type": "text/plain"}, 415),
    ("/softmax", BODY, {"Accept": "text/html"}, 406),
    ("/softmax", b'{"logits": ["NaN"]}', {}, 422),
    ("/v2/models/softmax/infer", BODY, {}, 400),
]


@pytest.mark.parametrize(("path", "body", "headers", "status"), ENDINGS)
async def test_nothing_is_in_flight_after_an_answer(
    path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    app = application(max_body_bytes=2**20, max_bytes_in_flight=2**22)
    async with connect(app) as client:
        reply = await client.post(path, content=body, headers={**JSON, **headers})
    assert reply.status_code == status
    assert in_flight(app) == (0, 0)


@pytest.mark.parametrize("length", [0, 100_000], ids=["in the event loop", "in a thread"])
async def test_nothing_is_in_flight_after_a_crash(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    monkeypatch.setattr(Softmax, "probabilities", property(lambda _: 1 // 0))
    app = application()
    async with connect(app) as client:
        reply = await client.post("/softmax", content=BODY.ljust(length), headers=JSON)
    assert reply.status_code == 500
    assert in_flight(app) == (0, 0)


@pytest.mark.parametrize(
    "messages",
    [[LEFT], [piece(b"[" * 1000, more=True), LEFT], [piece(b"[", more=True)] * 100 + [LEFT]],
    ids=["at once", "in the middle", "later"],
)
async def test_nothing_is_in_flight_after_a_client_has_left(messages: list[Message]) -> None:
    app = application()
    assert await converse(app, "/softmax", messages) == []
    assert in_flight(app) == (0, 0)


async def test_a_body_that_takes_too_long_is_refused_and_holds_nothing() -> None:
    app = application(body_timeout_seconds=0.05)
    start, body = await asyncio.wait_for(converse(app, "/softmax", [piece(b"{", more=True)]), PATIENCE)
    headers = dict(start["headers"])
    assert start["status"] == 408
    assert b"0.05 seconds" in body["body"]
    # the rest of the body may still arrive
    assert headers[b"connection"] == b"close"
    assert in_flight(app) == (0, 0)


async def test_content_length_may_have_thousands_of_leading_zeros() -> None:
    length = "0" * 5000 + str(len(BODY))
    start, _ = await converse(application(), "/softmax", [piece(BODY)], {"content-length": length})
    assert start["status"] == 200
