"""Test bodies that contradict their headers, and bytes that are not HTTP: a short problem, soon, and no crash."""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from typing import TYPE_CHECKING

import pytest

from bench.processes import cpu_seconds
from service.operations import OPERATIONS
from service.schemas.problem import Problem
from tests.bodies import JSON
from tests.connections import Reply, ask_once, connection, get, head, post
from tests.processes import running
from tests.production.looks import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.operations.spec import Operation

FOUR_MB = 4_000_000
LONGEST_REPLY = 4096
KEEP_ALIVE_SECONDS = 2
MOST_SECONDS = 5
"""Longest time of a refusal on a busy machine. The mean CPU time has a tighter bound."""

PATHS = ["/softmax", "/loss", "/gradient", "/v2/models/softmax/infer", "/v2/models/gradient/infer"]
BODY = b'{"logits": [[2, 3, 4]]}'

GZIP = {**JSON, "Content-Encoding": "gzip"}
DEFLATE = {**JSON, "Content-Encoding": "deflate"}
BOMB = b"[" + b"0," * (64 * MIB) + b"0]"


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[str, int]]:
    """Yield the address and the process id of a server that closes idle connections early."""
    with running("--keep-alive-seconds", str(KEEP_ALIVE_SECONDS), "--body-timeout-seconds", "3") as (address, process):
        yield address, process.pid


@pytest.fixture
def address(service: tuple[str, int]) -> str:
    """Return the address of the server."""
    return service[0]


def assert_problem(reply: Reply, status: int) -> Problem:
    """Assert that the response is a short problem with a status."""
    problem = Problem.model_validate_json(reply.body, strict=True, extra="forbid")
    assert reply.status == problem.status == status
    assert len(reply.body) < LONGEST_REPLY
    return problem


async def test_a_body_longer_than_its_length_is_cut_there(address: str) -> None:
    async with connection(address) as peer:
        assert_problem(await peer.ask(head("/softmax", len(BODY) - 1) + BODY), 400)
        # the rest is not HTTP
        assert b" 200 OK" not in await asyncio.wait_for(peer.ended(), 5)


async def test_body_shorter_than_declared_is_awaited_then_refused(address: str) -> None:
    assert_problem(await ask_once(address, head("/softmax", len(BODY) + 1) + BODY), 408)


@pytest.mark.parametrize(
    ("length", "status"),
    [("-1", 400), ("1e3", 400), ("0x10", 400), ("", 400), ("12, 13", 400), ("twelve", 400), ("9" * 30, 400)],
)
async def test_invalid_length_is_refused_and_the_connection_closed(address: str, length: str, status: int) -> None:
    sent = b"POST /softmax HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: %b\r\n\r\n"
    async with connection(address) as peer:
        reply = await peer.ask(sent % length.encode() + BODY)
        assert_problem(reply, status)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (GZIP, BODY, 400),
        (GZIP, gzip.compress(BODY)[:-9], 400),
        (GZIP, gzip.compress(BODY)[:-4] + b"\0\0\0\0", 400),
        (GZIP, gzip.compress(BODY) + b"behind", 400),
        (GZIP, zlib.compress(BODY), 400),
        (GZIP, b"", 400),
        (DEFLATE, BODY, 400),
        (DEFLATE, gzip.compress(BODY), 400),
        (DEFLATE, zlib.compress(BODY)[:-2], 400),
        ({**JSON, "Content-Encoding": "br"}, BODY, 415),
        ({**JSON, "Content-Encoding": "gzip, gzip"}, gzip.compress(gzip.compress(BODY)), 415),
        ({"Content-Type": "text/csv"}, BODY, 415),
        ({"Content-Type": "nonsense"}, BODY, 415),
    ],
    ids=[
        *("no gzip", "gzip cut off", "gzip checksum", "bytes behind gzip", "zlib as gzip", "nothing as gzip"),
        *("no deflate", "gzip as deflate", "deflate cut off", "brotli", "gzip twice", "csv", "nonsense"),
    ],
)
async def test_a_body_that_contradicts_its_headers_is_refused(
    address: str, path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    assert_problem(await ask_once(address, post(path, body, headers)), status)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("application/x-npy", 400), ("application/x-npz", 400), ("application/octet-stream", 415)],
)
async def test_json_with_a_binary_content_type_is_refused(address: str, content_type: str, status: int) -> None:
    assert_problem(await ask_once(address, post("/softmax", BODY, {"Content-Type": content_type})), status)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("headers", "bomb"), [(GZIP, gzip.compress(BOMB, 1)), (DEFLATE, zlib.compress(BOMB, 1))], ids=["gzip", "deflate"]
)
async def test_a_bomb_is_refused_before_it_is_inflated(
    address: str, path: str, headers: dict[str, str], bomb: bytes
) -> None:
    start = time.monotonic()
    assert_problem(await ask_once(address, post(path, bomb, headers)), 413)
    assert time.monotonic() - start < MOST_SECONDS


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("opened", [b"[", b'{"logits":[', b'{"inputs":[{"data":', b'{"a":'])
async def test_deep_nesting_is_refused(address: str, path: str, opened: bytes) -> None:
    assert_problem(await ask_once(address, post(path, b'{"logits":' + opened * 100_000)), 400)


def many(piece: bytes) -> bytes:
    """Return a list of 4 MB."""
    return b"[%b%b]" % (piece * (FOUR_MB // len(piece)), piece.rstrip(b","))


WRONG = {
    "words": many(b'"swordfish",'),
    "nulls": many(b"null,"),
    "booleans": many(b"true,"),
    "objects": many(b'{"a":1},'),
    "ragged rows": many(b"[1,2],[3],"),
    "one word": b'"%b"' % (b"swordfish" * (FOUR_MB // 9)),
    "one number": b"1" * FOUR_MB,
    "one object": b'{"a":%b}' % many(b"1,"),
}
VALID = b'{"logits":%b}' % many(b"[0.123456789,1],")
VALID_REQUESTS = 10


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
async def test_4_mb_of_wrong_type_in_any_field_are_refused_no_slower(
    service: tuple[str, int], operation: Operation
) -> None:
    address, pid = service
    before = cpu_seconds(pid)
    for _ in range(VALID_REQUESTS):
        assert (await ask_once(address, post("/softmax", VALID))).status == 200
    valid = (cpu_seconds(pid) - before) / VALID_REQUESTS
    before, refusals = cpu_seconds(pid), []
    for field in [*operation.names, "outputs"]:
        for value in WRONG.values():
            start = time.monotonic()
            reply = await ask_once(address, post(f"/{operation.name}", b'{"%b":%b}' % (field.encode(), value)))
            refusals.append(time.monotonic() - start)
            assert_problem(reply, 400 if b"/problems/malformed-body" in reply.body else 422)
            assert b"swordfish" not in reply.body
    assert (cpu_seconds(pid) - before) / len(refusals) < valid
    assert max(refusals) < MOST_SECONDS


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)) + b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x00" * 1000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
        b"POST /softmax HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nswordfish\r\n",
        b"POST /softmax HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        b"GET /" + b"a" * MIB + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * MIB + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 200_000 + b"\r\n",
    ],
)
async def test_bytes_that_are_not_http_are_a_problem_and_end_it(address: str, sent: bytes) -> None:
    async with asyncio.timeout(30), connection(address) as peer:
        peer.writer.write(sent)  # the server may refuse it before all is sent
        reply = await peer.receive()
        assert assert_problem(reply, 400).type == "/problems/malformed-header"
        assert reply.headers["connection"] == "close"
        assert await peer.ended() == b""


async def test_header_without_end_is_a_problem_and_ends_connection(address: str) -> None:
    async with asyncio.timeout(30), connection(address) as peer:
        reply = asyncio.create_task(peer.receive())
        peer.writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        while not reply.done():
            peer.writer.write(b"a" * 10_000)
            await asyncio.sleep(0.01)
        assert_problem(await reply, 400)
        assert await peer.ended() == b""
    assert (await ask_once(address, get("/livez"))).status == 200
