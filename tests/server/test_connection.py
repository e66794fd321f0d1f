"""Short bodies and replies, which go past ASGI: nobody can tell but by the time."""

from __future__ import annotations

import asyncio
import logging
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import ssrjson
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from service.api.context import SHORT_REPLY_BYTES
from service.formats import json_encode
from service.server.connection import Connection
from tests.api.clients import application
from tests.server.sockets import answer, serving, until
from tests.server.test_receiver import bodies

if TYPE_CHECKING:
    from collections.abc import Iterator

ORIGIN = "https://pages.example.org"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of one server for most tests, which knows one name."""
    with serving(application(trusted_hosts=["test"])) as port:
        yield port


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What became of each reply: did it go past ASGI?"""
    found: list[bool] = []
    original = Connection.answer

    def watched(*arguments: object) -> bool:
        found.append(original(*arguments))  # type: ignore[arg-type]  # which are passed on as they are
        return found[-1]

    monkeypatch.setattr(Connection, "answer", watched)
    return found


def request(body: bytes, *headers: bytes, path: bytes = b"/softmax", start: bytes = b"POST %b HTTP/1.1") -> bytes:
    """A request as it is written."""
    lines = (start % path, b"Host: test", b"X-Request-ID: one", b"Content-Length: %d" % len(body), *headers)
    return b"\r\n".join((*lines, b"", body))


JSON = b"Content-Type: application/json"
CLOSE = request(b'{"logits": [0]}', JSON, b"Connection: close")
"""The last request on a connection."""


def comparable(replies: bytes) -> bytes:
    """Replies without what differs from time to time."""
    return re.sub(rb"(date: [^\r]*|dur=[\d.]+)", b"", replies)


@pytest.mark.parametrize(
    "asked",
    [
        request(b'{"logits": [0, 1]}', JSON),
        request(b'{"logits": [0, 1], "outputs": ["probabilities", "entropy"]}', JSON, b"Accept: application/x-npz"),
        request(b'{"logits": [0, 1], "targets": 1}', JSON, path=b"/gradient"),
        request(b'{"logits": "?"}', JSON),
        request(b'{"logits": [0, 1]', JSON),
        request(b'{"logits": [0, 1]}', b"Content-Type: text/plain"),
        request(b'{"logits": [0, 1]}', JSON, b"Content-Encoding: br"),
        request(b'{"inputs": [{"name": "logits"}]}', JSON, path=b"/v2/models/softmax/infer"),
        request(b'{"logits": [0, 1]}', JSON, b"Host: elsewhere"),
    ],
)
async def test_a_reply_is_the_same_as_through_asgi(
    port: int, asked: bytes, answered: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = await answer(port, asked, CLOSE)
    assert answered == [True, False]
    monkeypatch.setattr(Connection, "answer", lambda *_: False)
    monkeypatch.setattr(Connection, "whole", lambda *_: None)
    assert comparable(short) == comparable(await answer(port, asked, CLOSE))


@pytest.mark.parametrize(
    "asked",
    [
        request(b'{"logits": [0, 1]}', JSON, b"Connection: close"),
        request(b'{"logits": [0, 1]}', JSON, start=b"POST %b HTTP/1.0"),
        request(b"", b"Host: elsewhere", b"Connection: close", start=b"HEAD %b HTTP/1.1"),
    ],
)
async def test_what_takes_more_than_writing_is_left_to_the_server(
    port: int, asked: bytes, answered: list[bool]
) -> None:
    reply = await answer(port, asked)
    assert answered == [False]
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert bool(body) == (not asked.startswith(b"HEAD"))


async def test_a_refusal_of_a_host_has_no_body_for_head(port: int, answered: list[bool]) -> None:
    refused = request(b"", b"Host: elsewhere", start=b"HEAD %b HTTP/1.1")
    replies = await answer(port, refused, CLOSE)
    assert answered == [False, False]
    assert replies.count(b"\r\n\r\nHTTP/1.1 200 OK") == 1


async def test_a_page_of_another_origin_may_read_a_short_reply_too(answered: list[bool]) -> None:
    asked = request(b'{"logits": [0, 1]}', JSON, b"Origin: " + ORIGIN.encode())
    with serving(application(cors_origins=[ORIGIN])) as port:
        replies = await answer(port, asked, CLOSE)
    assert answered == [False, False]
    assert b"access-control-allow-origin: " + ORIGIN.encode() in replies.lower()


async def test_requests_that_come_at_once_are_answered_each_with_its_own(port: int) -> None:
    asked = [request(b'{"logits": [%s]}' % b", ".join([b"0"] * classes), JSON) for classes in range(1, 21)]
    found = bodies(await answer(port, b"".join(asked) + CLOSE))
    assert [len(ssrjson.loads(each)["probabilities"]) for each in found] == [*range(1, 21), 1]


async def test_a_whole_body_counts_like_one_in_pieces() -> None:
    app = application(max_body_bytes=20, inline_body_bytes=0)
    with serving(app) as port:
        found = await answer(port, request(b'{"logits": [0, 1]}', JSON), request(b'{"logits": [0, 1, 2]}', JSON), CLOSE)
    assert re.findall(rb"HTTP/1.1 (\d+)", found) == [b"200", b"413", b"200"]
    assert app.runtime.admission.bytes == 0


async def test_what_is_short_and_came_at_once_is_not_shut_out_by_what_is_long() -> None:
    app = application(max_body_bytes=1000, max_bytes_in_flight=1000, inline_body_bytes=100, max_wait_seconds=0.05)
    app.runtime.admission.try_take(1000)
    short, long = request(b'{"logits": [0, 1]}', JSON), request(b'{"logits": [0, 1]}'.ljust(101), JSON)
    with serving(app) as port:
        found = await answer(port, short, long, short[:-1], short[-1:], CLOSE)
    assert re.findall(rb"HTTP/1.1 (\d+)", found) == [b"200", b"503", b"503", b"200"]


async def test_a_long_reply_is_left_to_the_server(port: int, answered: list[bool]) -> None:
    asked = request(json_encode.dumps({"logits": [0] * SHORT_REPLY_BYTES}), JSON)
    (reply, _) = bodies(await answer(port, asked, CLOSE))
    assert len(reply) > SHORT_REPLY_BYTES
    assert answered == [False]


class Wire:
    """A connection to a client, which remembers what was done to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.reading = True

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return False


@pytest.fixture
def server() -> Any:
    """A server with a request of which a whole body has come."""
    wire: Any = Wire()
    flow, event, log = FlowControl(wire), asyncio.Event(), logging.getLogger()
    event.set()
    scope: Any = {"type": "http", "method": "POST"}
    cycle = RequestResponseCycle(
        scope,
        wire,
        flow,
        log,
        log,
        access_log=False,
        default_headers=[],
        message_event=event,
        expect_100_continue=True,
        keep_alive=True,
        on_response=lambda: wire.write(b"!"),
    )
    cycle.body, cycle.more_body = bytearray(b"body"), False
    return SimpleNamespace(cycle=cycle, flow=flow, transport=wire)


@pytest.fixture
def connection(server: Any) -> Connection:
    """The connection that it came on."""
    receiver: Any = SimpleNamespace(receive=None)
    return Connection(server, receiver)


async def test_a_whole_body_is_given_once_and_the_server_reads_on(server: Any, connection: Connection) -> None:
    server.flow.pause_reading()
    assert bytes(connection.whole(server.cycle.receive) or b"") == b"body"
    assert server.transport.reading
    assert (await server.cycle.receive())["body"] == b""


async def test_of_a_client_that_left_nothing_is_read_and_nothing_is_sent(server: Any, connection: Connection) -> None:
    server.cycle.disconnected = True
    assert connection.whole(server.cycle.receive) is None
    assert not connection.answer(server.cycle.send, 200, (), (b"reply",))
    assert server.transport.written == []


async def test_an_answered_request_is_over_for_whoever_asks(server: Any, connection: Connection) -> None:
    server.cycle.message_event.clear()
    server.cycle.waiting_for_100_continue = False
    waiting = asyncio.create_task(server.cycle.receive())
    await asyncio.sleep(0)
    server.cycle.waiting_for_100_continue = True
    assert connection.answer(server.cycle.send, 200, ((b"content-length", b"5"),), (b"reply",))
    async with asyncio.timeout(1):
        assert await waiting == await server.cycle.receive() == {"type": "http.disconnect"}
    assert b"".join(server.transport.written) == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nreply!"
    with pytest.raises(RuntimeError, match="already completed"):
        await server.cycle.send({"type": "http.response.start"})


async def test_a_client_that_reads_late_is_waited_for(port: int, answered: list[bool]) -> None:
    asked = request(b'{"logits": [%s]}' % b", ".join([b"0.5"] * 2500), JSON)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = 0

    def all_taken() -> bool:
        return len(answered) == sent

    async with asyncio.timeout(20):
        while False not in answered:
            writer.write(asked)
            sent += 1
            await until(all_taken)
        writer.write(CLOSE)
        replies = await reader.read()
    writer.close()
    assert answered.count(False) == 2
    assert replies.count(b"HTTP/1.1 200 OK") == sent + 1 > 10
