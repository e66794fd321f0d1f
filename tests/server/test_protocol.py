"""Clients that speak no HTTP, too much of it, or none at all for a long time: what they get, and how long they are waited for."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from service.schemas.problem import Problem
from service.server.head import MAX_HEADER_BYTES
from tests.api.clients import BODY, application
from tests.server.sockets import CLIENT_TIMEOUT, HEAD, LENGTH, answer, serving, until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of one server for all tests."""
    with serving(application()) as port:
        yield port


async def seconds_until_closed(port: int, *pieces: bytes) -> float:
    """How long a client that sends nothing more is waited for."""
    start = time.monotonic()
    await answer(port, *pieces)
    return time.monotonic() - start


def assert_refused(answer: bytes) -> None:
    """The answer is a problem with an id, and the connection closed."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = httpx.Headers([(name, value) for name, _, value in (line.partition(": ") for line in lines)])
    problem = Problem.model_validate_json(body, strict=True, extra="forbid")
    assert status == "HTTP/1.1 400 Bad Request"
    assert headers["Content-Type"] == "application/problem+json"
    assert int(headers["Content-Length"]) == len(body)
    assert headers["Connection"] == "close"
    assert problem.type == "/problems/malformed-header"
    assert problem.instance == headers["X-Request-ID"]


@pytest.mark.parametrize(
    "sent",
    [
        b"HELO test\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHo st: test\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: test\r\nX-Nul: \x00\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 1, 2\r\n\r\n",
        HEAD + LENGTH + LENGTH + b"\r\n" + BODY,
        HEAD + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 99999999999999999999999999\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_like_any_other_mistake(port: int, sent: bytes) -> None:
    assert_refused(await answer(port, sent))


async def test_a_head_that_is_too_long_is_refused_in_one_piece(port: int) -> None:
    assert_refused(await answer(port, HEAD + b"X-Long: " + b"a" * MAX_HEADER_BYTES + b"\r\n" + LENGTH + b"\r\n" + BODY))
    assert_refused(await answer(port, b"GET /" + b"a" * MAX_HEADER_BYTES + b" HTTP/1.1\r\nHost: test\r\n\r\n"))


async def test_a_head_that_is_too_long_is_refused_in_pieces_before_it_ends(port: int) -> None:
    piece = b"a" * (MAX_HEADER_BYTES // 4)
    assert_refused(await answer(port, HEAD + b"X-Long: ", *[piece] * 5))


async def test_a_head_that_is_too_long_is_refused_though_its_last_piece_is_short(port: int) -> None:
    long = HEAD + b"X-Long: " + b"a" * (3 * MAX_HEADER_BYTES // 2)
    assert_refused(await answer(port, long, b"\r\n" + LENGTH + b"\r\n" + BODY))


async def test_a_long_head_is_read_if_it_is_no_longer_than_that(port: int) -> None:
    long = b"X-Long: " + b"a" * (MAX_HEADER_BYTES - 1000) + b"\r\nConnection: close\r\n"
    whole = HEAD + long + LENGTH + b"\r\n" + BODY
    assert (await answer(port, whole)).startswith(b"HTTP/1.1 200")
    assert (await answer(port, whole[:30_000], whole[30_000:60_000], whole[60_000:])).startswith(b"HTTP/1.1 200")


async def test_a_body_is_no_part_of_a_head(port: int) -> None:
    body = BODY.ljust(2 * MAX_HEADER_BYTES)
    head = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert (await answer(port, head, body[:MAX_HEADER_BYTES], body[MAX_HEADER_BYTES:])).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("split", [1, 20, 60])
async def test_a_body_is_no_part_of_a_head_that_comes_in_two_pieces(port: int, split: int) -> None:
    body = BODY.ljust(2 * MAX_HEADER_BYTES)
    whole = HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    # as where a body that was refused is read to its end, and the next head begins in the same piece
    last = whole.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    pieces = (whole[:split], whole[split:] + last[:split], last[split:])
    assert (await answer(port, *pieces)).count(b"HTTP/1.1 200 ") == 2


async def test_a_client_that_is_refused_while_it_sends_reads_its_refusal(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /softmax HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 9000000\r\n\r\n")
    async with asyncio.timeout(10):
        for _ in range(90):
            writer.write(b" " * 100_000)
            await writer.drain()
            await asyncio.sleep(0)
        reply = await reader.read()
    assert reply.startswith(b"HTTP/1.1 415 ")
    assert b"/problems/unreadable-media-type" in reply
    writer.close()


async def test_a_client_that_goes_on_sending_after_its_refusal_is_cut_off(port: int) -> None:
    start = time.monotonic()
    head = b"POST /softmax HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 9000000\r\n\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    while not writer.transport.is_closing() and time.monotonic() - start < 5 * CLIENT_TIMEOUT:
        writer.write(b" ")
        await asyncio.sleep(0.05)
    assert CLIENT_TIMEOUT / 2 < time.monotonic() - start < 4 * CLIENT_TIMEOUT
    writer.close()


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (b"GET /livez",),
        (HEAD,),
        (b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n",),
        (b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n", b"GET /livez"),
        # refused before its body, which then does not come
        (b"POST /livez HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n",),
    ],
    ids=["nothing", "half a line", "half a head", "nothing more", "half of another", "no body"],
)
async def test_a_client_that_stops_is_waited_for_only_so_long(port: int, pieces: tuple[bytes, ...]) -> None:
    assert CLIENT_TIMEOUT / 2 < await seconds_until_closed(port, *pieces) < 5 * CLIENT_TIMEOUT


async def test_a_client_that_sends_a_head_byte_by_byte_is_waited_for_no_longer(port: int) -> None:
    start = time.monotonic()
    await answer(port, b"GET /", *[b"a"] * 200)
    assert CLIENT_TIMEOUT / 2 < time.monotonic() - start < 5 * CLIENT_TIMEOUT


async def test_a_slow_body_is_waited_for_as_long_as_bodies_are(port: int) -> None:
    # longer than the patience for a head
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + LENGTH + b"\r\n" + BODY[:5])
    await asyncio.sleep(1.5 * CLIENT_TIMEOUT)
    writer.write(BODY[5:])
    assert (await asyncio.wait_for(reader.readline(), 5)).split()[1] == b"200"
    writer.close()


async def test_a_client_that_takes_nothing_of_its_reply_is_let_go() -> None:
    app = application()
    body = b'{"logits": [%b0], "outputs": ["jacobian"]}' % (b"0," * 1499)
    with serving(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**10)
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await until(lambda: app.runtime.admission.bytes > 0)
        # nothing is read, and in the end nothing is held
        await until(lambda: app.runtime.admission.bytes == 0)
        writer.close()
    del reader


def test_many_requests_on_one_connection_are_answered(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(20):
            assert client.post("/softmax", json={"logits": [0, 0]}).json()["probabilities"] == [0.5, 0.5]


@pytest.mark.parametrize("name", [b"Upgrade", b"upgrade"])
async def test_a_request_that_would_rather_speak_http_2_is_answered(port: int, name: bytes) -> None:
    asking = b"Connection: Upgrade, HTTP2-Settings, close\r\n%b: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n" % name
    reply = await answer(port, HEAD + asking + LENGTH + b"\r\n" + BODY)
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"probabilities"' in reply
