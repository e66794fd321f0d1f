"""Bytes in flight: never more than the limit, and none left when all is answered."""

from __future__ import annotations

import asyncio
import gzip
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import Gauge

from service.api import problems
from service.api.admission import Admission, ByteReservation
from service.api.endpoint import has_views
from service.compute.softmax import Softmax
from service.errors import BodyTooLarge, Overloaded, TooMuchWork
from service.formats import json_decode, json_encode, npy
from service.operations import OPERATIONS
from service.settings import Settings
from tests.api.clients import BODY, JSON, LEFT, Upload, application, connect, converse, piece

if TYPE_CHECKING:
    from starlette.types import Message

    from service.api.app import Service

LIMIT = 100


def admission(max_bytes_in_flight: int = LIMIT, max_body_bytes: int = LIMIT) -> Admission:
    """The bytes in flight of nobody yet."""
    limits = Settings(max_bytes_in_flight=max_bytes_in_flight, max_body_bytes=max_body_bytes)
    return Admission(limits, Gauge("bytes", "Bytes.", registry=None))


def in_flight(app: Service) -> tuple[int, int]:
    """The bytes and the operations that an application counts as in flight."""
    return app.runtime.admission.bytes, app.runtime.lifecycle.taken


@pytest.mark.parametrize(
    ("made", "kept", "counted"), [(40, False, 60), (60, False, 60), (90, False, 90), (40, True, 100)]
)
def test_what_is_made_of_a_body_counts_in_its_place_unless_it_is_kept(made: int, *, kept: bool, counted: int) -> None:
    counter = admission()
    reservation = ByteReservation(counter)
    reservation.add_body(60)
    reservation.add_decoded(made, body_is_kept=kept)
    assert counter.bytes == counted
    reservation.release()
    assert counter.bytes == 0


def test_a_body_is_kept_where_a_tensor_is_a_view_of_it() -> None:
    logits = np.zeros((2, 3))
    text, file = json_encode.dumps({"logits": logits}), b"".join(npy.encode_npy(logits))
    assert not has_views(text, json_decode.decode(text, OPERATIONS[0]))
    assert has_views(file, npy.decode_npy(file, OPERATIONS[0], "temperature=2"))


STEPS = st.lists(st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(0, 2 * LIMIT))), max_size=50)
"""Which of four requests takes how many bytes; none gives all of its bytes back."""


@settings(deadline=None)  # a busy machine is no failure
@given(STEPS)
def test_what_is_refused_counts_nothing_and_what_is_taken_is_in_flight_until_it_is_given_back(steps: Any) -> None:
    counter = admission()
    claims = [ByteReservation(counter) for _ in range(4)]
    held = [0] * 4
    for who, size in steps:
        if size is None:
            claims[who].release()
            held[who] = 0
        elif held[who] + size > LIMIT:
            with pytest.raises(TooMuchWork):
                claims[who].add(size)
        elif sum(held) + size > LIMIT:
            with pytest.raises(Overloaded):
                claims[who].add(size)
        else:
            claims[who].add(size)
            held[who] += size
        assert counter.bytes == sum(held) <= LIMIT
    for reservation in claims:
        reservation.release()
    assert counter.bytes == 0


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, LIMIT), max_size=20), min_size=2, max_size=4))
def test_threads_together_never_take_more_than_the_limit(sizes: list[list[int]]) -> None:
    counter = admission()
    start = Barrier(len(sizes))

    def take_and_release(mine: list[int]) -> int:
        start.wait()
        most = 0
        for size in mine:
            reservation = ByteReservation(counter)
            with suppress(Overloaded):
                reservation.add(size)
            most = max(most, counter.bytes)
            reservation.release()
        return most

    with ThreadPoolExecutor(len(sizes)) as threads:
        assert max(threads.map(take_and_release, sizes)) <= LIMIT
    assert counter.bytes == 0


def test_a_claim_released_twice_gives_back_once() -> None:
    counter = admission()
    other, reservation = ByteReservation(counter), ByteReservation(counter)
    other.add(10)
    reservation.add(20)
    reservation.release()
    reservation.release()
    assert counter.bytes == 10


@settings(deadline=None)
@given(st.integers(0, 2 * LIMIT), st.integers(0, LIMIT))
def test_a_body_announced_takes_nothing(size: int, taken: int) -> None:
    counter = admission(max_body_bytes=LIMIT // 2)
    counter.take(taken, 0)
    error = BodyTooLarge if size > LIMIT // 2 else Overloaded if size + taken > LIMIT else None
    if error is None:
        ByteReservation(counter).check_length(size)
    else:
        with pytest.raises(error):
            ByteReservation(counter).check_length(size)
    assert counter.bytes == taken


def test_a_body_is_as_long_as_the_limit_before_and_after_it_is_decompressed() -> None:
    counter = admission(max_bytes_in_flight=3 * LIMIT)
    reservation = ByteReservation(counter)
    reservation.add_body(LIMIT)
    reservation.add_inflated(LIMIT)
    with pytest.raises(BodyTooLarge):
        reservation.add_body(1)
    with pytest.raises(BodyTooLarge):
        reservation.add_inflated(1)
    assert counter.bytes == 2 * LIMIT


async def test_a_request_beyond_the_bytes_in_flight_is_refused_before_any_of_it_is_read() -> None:
    app = application(max_bytes_in_flight=LIMIT, max_body_bytes=LIMIT)
    app.runtime.admission.take(LIMIT - 10, 0)
    upload = Upload(b" ", count=11)
    async with connect(app) as client:
        reply = await client.post("/softmax", content=upload, headers={**JSON, "Content-Length": "11"})
    assert (reply.status_code, reply.json()["type"]) == (503, "/problems/overloaded")
    assert upload.read == 0


async def test_a_request_that_does_not_say_how_long_it_is_is_refused_at_the_first_byte_too_many() -> None:
    app = application(max_bytes_in_flight=LIMIT, max_body_bytes=LIMIT)
    app.runtime.admission.take(LIMIT - 10, 0)
    upload = Upload(b" ", count=50)
    async with connect(app) as client:
        reply = await client.post("/softmax", content=upload, headers=JSON)
    assert (reply.status_code, reply.json()["type"]) == (503, "/problems/overloaded")
    assert upload.read == 11


async def test_a_request_that_would_never_fit_is_told_so_and_not_to_come_back() -> None:
    async with connect(max_bytes_in_flight=1000, max_body_bytes=1000) as client:
        reply = await client.post("/softmax", json={"logits": [0] * 200, "outputs": ["jacobian"]})
    assert (reply.status_code, reply.json()["type"]) == (413, "/problems/too-much-work")
    assert "Retry-After" not in reply.headers


async def test_a_small_request_is_not_counted() -> None:
    app = application(max_bytes_in_flight=1000, max_body_bytes=1000)
    app.runtime.admission.take(500, 0)
    async with connect(app) as client:
        assert (await client.post("/softmax", json={"logits": [0] * 100})).status_code == 200
    assert in_flight(app) == (500, 0)


async def test_the_outputs_of_a_request_are_in_flight_too() -> None:
    app = application(max_bytes_in_flight=1000, max_body_bytes=1000, inline_body_bytes=0)
    request = {"logits": [0] * 5, "outputs": ["jacobian"]}
    async with connect(app) as client:
        assert (await client.post("/softmax", json=request)).status_code == 200
        # 5 x 5 numbers of 8 bytes
        app.runtime.admission.take(800, 0)
        assert (await client.post("/softmax", json=request)).status_code == 200
        app.runtime.admission.take(1, 0)
        reply = await client.post("/softmax", json=request)
    assert (reply.status_code, reply.json()["type"]) == (503, "/problems/overloaded")
    assert in_flight(app) == (801, 0)


async def test_whoever_is_refused_is_told_to_ask_again_and_not_all_at_once() -> None:
    app = application(max_bytes_in_flight=LIMIT, max_body_bytes=LIMIT)
    app.runtime.admission.take(LIMIT, 0)
    async with connect(app) as client:
        waits = {(await client.post("/softmax", content=BODY, headers=JSON)).headers["Retry-After"] for _ in range(200)}
    low, high = problems.RETRY_SECONDS
    # each of five is missing from 200 with a chance of 1e-19
    assert waits == {str(seconds) for seconds in range(low, high + 1)}


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/info", "/docs", "/v2/health/ready", "/v2"])
async def test_what_is_no_operation_is_never_refused(path: str) -> None:
    app = application(max_bytes_in_flight=LIMIT, max_body_bytes=LIMIT)
    app.runtime.admission.take(LIMIT, 0)
    async with connect(app) as client:
        assert (await client.get(path)).status_code == 200


ENDINGS: list[tuple[str, bytes, dict[str, str], int]] = [
    ("/softmax", BODY, {}, 200),
    ("/softmax", BODY.ljust(300_000), {}, 200),
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
    start, body = await asyncio.wait_for(converse(app, "/softmax", [piece(b"{", more=True)]), 5)
    headers = dict(start["headers"])
    assert start["status"] == 408
    assert b"0.05 seconds" in body["body"]
    # the rest of it may still come, and is no request
    assert headers[b"connection"] == b"close"
    assert in_flight(app) == (0, 0)


async def test_a_slow_sender_holds_what_it_has_sent_and_not_what_it_announced() -> None:
    app = application(max_bytes_in_flight=LIMIT, max_body_bytes=LIMIT)
    headers = {"content-length": str(LIMIT)}
    slow = asyncio.create_task(converse(app, "/softmax", [piece(b"{", more=True)], **headers))
    await asyncio.sleep(0)
    assert in_flight(app) == (1, 1)
    async with connect(app) as client:
        assert (await client.post("/softmax", content=b'{"logits":[0]}', headers=JSON)).status_code == 200
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert in_flight(app) == (0, 0)


async def test_a_length_with_more_leading_zeros_than_python_reads_is_a_length() -> None:
    length = "0" * 5000 + str(len(BODY))
    start, _ = await converse(application(), "/softmax", [piece(BODY)], **{"content-length": length})
    assert start["status"] == 200
