"""Test the framing of requests and the order of responses."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from service.formats import json_encode
from tests.bodies import BODY
from tests.connections import answer, application, connection, statuses
from tests.processes import PATIENCE
from tests.server.sockets import CLIENT_TIMEOUT, HEAD, LENGTH, serving
from tests.server.streams import LOOPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive, Scope, Send

POST = HEAD + LENGTH + b"\r\n" + BODY
LIVE = b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n"
LAST = b"GET /livez HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
REFUSED = b"POST /softmax HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 9000000\r\n\r\n"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEA\r\n"
LONG = json_encode.dumps({"logits": [[0.5] * 100] * 2000, "outputs": ["logits"]})
LONG_POST = HEAD + b"Content-Length: %d\r\n\r\n" % len(LONG) + LONG


@pytest.fixture(scope="module", params=LOOPS)
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Yield the port of a server on each event loop."""
    with serving(application(), request.param) as port:
        yield port


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("place", [0, 30, 120, 190])
@pytest.mark.parametrize("before", [b"", LIVE], ids=["first", "behind another"])
async def test_the_body_of_an_upgrade_is_never_a_request(port: int, framing: str, place: int, before: bytes) -> None:
    inner = BODY.ljust(500) + b"\r\nGET /livez HTTP/1.1\r\nHost: test\r\n\r\n"
    if framing == "length":
        request = HEAD + UPGRADE + b"Content-Length: %d\r\n\r\n%b" % (len(inner), inner)
    else:
        request = HEAD + UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner)
    request = before + request
    received = await answer(port, request[:place], request[place:], LAST)
    assert statuses(received)[-2:] == [400, 200]
    assert received.count(b'{"live":true}') == 1 + bool(before)


async def test_a_half_closed_connection_is_answered(port: int) -> None:
    for request in (POST, LIVE + POST, LONG_POST) * 4:
        async with connection(port) as (reader, writer):
            writer.write(request)
            writer.write_eof()
            assert set(statuses(await asyncio.wait_for(reader.read(), PATIENCE))) == {200}


async def test_a_request_behind_a_long_body_is_answered_before_the_end(port: int) -> None:
    assert statuses(await answer(port, LONG_POST + LAST + LIVE)) == [200, 200]


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_request_that_timed_out_is_not_continued(loop: Any) -> None:
    with serving(application(body_timeout_seconds=0.2), loop) as port:
        received = await answer(port, HEAD + LENGTH + b"\r\n" + BODY[:5], *[b""] * 20, BODY[5:] + LIVE)
    assert statuses(received) == [408]
    assert b"\r\nconnection: close\r\n" in received


@pytest.mark.parametrize("wrong", [b"garbage\r\n\r\n", b"GET / HTTP/1.1\nHost: a\n\n", b"GET / RTSP/1.0\r\n\r\n"])
async def test_a_malformed_request_is_answered_in_order(port: int, wrong: bytes) -> None:
    received = await answer(port, POST + LIVE + wrong + LIVE)
    assert statuses(received) == [200, 200, 400]
    received = await answer(port, LONG_POST, wrong)
    assert statuses(received) == [200, 400]
    length = int(re.findall(rb"content-length: (\d+)", received)[0])
    assert received.partition(b"\r\n\r\n")[2][length:].startswith(b"HTTP/1.1 400 ")


async def test_fields_of_trailers_are_dropped(port: int) -> None:
    chunks = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
    trailers = b"X-Request-ID: smuggled\r\nHost: a\r\nHost: b\r\nContent-Type: text/csv\r\n\r\n"
    received = await answer(port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + trailers + LAST)
    assert statuses(received) == [200, 200]
    assert b"smuggled" not in received


async def test_a_trailer_does_not_authenticate() -> None:
    with serving(application(api_keys="key")) as port:
        request = HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: Bearer key\r\n\r\n"
        assert statuses(await answer(port, request, LAST)) == [401, 200]


async def test_expect_is_obeyed_with_trailing_whitespace(port: int) -> None:
    head = HEAD + b"Expect: 100-continue \t\r\n" + LENGTH + b"\r\n"
    received = await answer(port, head, BODY + LAST)
    assert statuses(received) == [100, 200, 200]


async def test_http_1_0_gets_no_interim_response(port: int) -> None:
    head = HEAD.replace(b"1.1", b"1.0") + b"Expect: 100-continue\r\n" + LENGTH + b"\r\n"
    assert statuses(await answer(port, head, BODY)) == [200]


async def test_a_body_behind_a_refused_expect_is_not_a_request(port: int) -> None:
    head = b"POST /softmax HTTP/1.1\r\nHost: a\r\nContent-Type: text/csv\r\nExpect: 100-continue\r\n" + LENGTH + b"\r\n"
    received = await answer(port, head, LIVE)
    assert statuses(received) == [415]
    assert b"\r\nconnection: close\r\n" in received


@pytest.mark.parametrize(
    ("codings", "version", "status"),
    [
        ([b"Chunked"], b"1.1", 200),
        ([b"chunked"], b"1.0", 400),
        ([b"identity"], b"1.1", 400),
        ([b"gzip, chunked"], b"1.1", 400),
        ([b"gzip", b"chunked"], b"1.1", 400),
        ([b"chunked", b"gzip"], b"1.1", 400),
        ([b"chunked", b"chunked"], b"1.1", 400),
    ],
)
async def test_a_body_has_the_chunked_coding_alone(
    port: int, codings: list[bytes], version: bytes, status: int
) -> None:
    lines = b"".join(b"Transfer-Encoding: %b\r\n" % coding for coding in codings)
    request = HEAD.replace(b"1.1", version) + lines + b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    assert statuses(await answer(port, request + LAST)) == ([status, 200] if status == 200 else [status])


async def test_whitespace_around_values_is_not_part_of_them(port: int) -> None:
    request = POST.replace(b"application/json", b" \tapplication/json \t").replace(b"Host: test", b"Host: \ttest ")
    assert statuses(await answer(port, request + LAST)) == [200, 200]


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"http://test/livez", 200),
        (b"HTTPS://test/livez", 200),
        (b"http://test", 200),
        (b"http://test?a=1", 200),
        (b"http:///livez", 400),
        (b"ftp://test/livez", 400),
        (b"livez", 400),
        (b"*", 400),
        (b"/livez#part", 400),
        (b"/\xc3\xa9", 400),
    ],
)
async def test_a_target_is_a_path_or_an_address_of_http(port: int, target: bytes, status: int) -> None:
    received = await answer(port, b"GET %b HTTP/1.1\r\nHost: test\r\n\r\n" % target + LAST)
    assert statuses(received) == ([status, 200] if status == 200 else [status])


async def test_connect_opens_no_tunnel(port: int) -> None:
    received = await answer(port, b"CONNECT test:80 HTTP/1.1\r\nHost: test\r\n\r\n" + LIVE)
    assert statuses(received) == [405]
    assert b"\r\nallow: " in received


async def test_options_of_the_server_are_answered(port: int) -> None:
    received = await answer(port, b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n" + LAST)
    assert statuses(received) == [204, 200]
    assert b"\r\nallow: GET, HEAD, OPTIONS, POST\r\n" in received


@pytest.mark.parametrize("loop", LOOPS)
async def test_options_of_the_server_need_no_root_path(loop: Any) -> None:
    with serving(application(root_path="/ml"), loop) as port:
        received = await answer(port, b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n" + LAST)
    assert statuses(received) == [204, 200]


@pytest.mark.parametrize("host", [b"", b"Host: a\r\nHost: a\r\n", b"Host: a b\r\n", b"Host: a@b\r\n"])
@pytest.mark.parametrize("target", [b"/livez", b"http://test/livez"])
async def test_a_request_without_one_valid_host_is_rejected(port: int, host: bytes, target: bytes) -> None:
    valid_by_target = target != b"/livez" and host.count(b"Host") == 1
    received = await answer(port, b"GET %b HTTP/1.1\r\n%b\r\n" % (target, host) + LAST)
    assert statuses(received) == [200 if valid_by_target else 400, 200]


async def test_a_malformed_request_is_counted_logged_and_dated(caplog: pytest.LogCaptureFixture) -> None:
    with serving(application()) as port, caplog.at_level("INFO", "service.requests"):
        received = await answer(port, b"HELO\r\n\r\n")
        metrics = (await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{port}/metrics")).text
    headers = dict(line.split(b": ") for line in received.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:])
    assert headers[b"date"].endswith(b" GMT")
    assert 'http_requests_total{method="OTHER",route="",status="400"} 1.0' in metrics
    logged = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    assert logged[0]["request_id"].encode() == headers[b"x-request-id"]
    assert (logged[0]["status"], logged[0]["message"]) == (400, "400")


async def test_an_application_that_fails_is_answered_with_a_problem() -> None:
    app = application()

    async def broken(*_: Any) -> None:
        raise ZeroDivisionError

    app.others = broken  # type: ignore[assignment]  # any ASGI application
    with serving(app) as port:
        received = await answer(port, LIVE)
    assert statuses(received) == [500]
    assert b"/problems/internal-error" in received
    assert b"\r\nconnection: close\r\n" in received


@pytest.mark.parametrize("body", [BODY, LONG], ids=["short", "long"])
async def test_a_header_with_a_line_end_is_answered_with_a_problem(
    monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr("service.api.wire_formats.JSON_HEADERS", ((b"content-type", b"a\r\nSet-Cookie: b"),))
    with serving(application()) as port:
        received = await answer(port, HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body), LAST)
    assert statuses(received)[0] == 500
    assert b"/problems/internal-error" in received
    assert b"Set-Cookie" not in received


@pytest.mark.parametrize(
    ("status", "header"),
    [(200, (b"a", b"\n")), (204, (b"a", b"\n")), (299, (b"a", b"b")), (200, (b"content-length", b""))],
)
async def test_a_response_that_cannot_start_is_replaced_by_a_problem(status: int, header: tuple[bytes, bytes]) -> None:
    app = application()

    async def wrong(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": status, "headers": [header]})

    app.others = wrong  # type: ignore[assignment]  # any ASGI application
    with serving(app) as port:
        async with connection(port) as peer:
            reply = await peer.ask(LIVE)
            assert (reply.status, json.loads(reply.body)["type"]) == (500, "/problems/internal-error")
            assert "transfer-encoding" not in reply.headers
            assert await peer.ended() == b""


async def test_a_body_is_not_asked_for_within_the_response() -> None:
    app = application()

    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await receive()
        await send({"type": "http.response.body", "body": b"b"})

    app.others = early  # type: ignore[assignment]  # any ASGI application
    with serving(app) as port:
        head = LIVE.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        received = await answer(port, head, b"c")
    assert (statuses(received), received.partition(b"\r\n\r\n")[2]) == ([200], b"ab")


async def test_a_client_that_goes_on_sending_reads_its_refusal(port: int) -> None:
    async with connection(port) as (reader, writer):
        writer.write(REFUSED)
        for _ in range(90):
            writer.write(b" " * 100_000)
            await asyncio.sleep(0)
        assert statuses(await asyncio.wait_for(reader.read(), PATIENCE)) == [415]


async def test_a_client_is_not_waited_for_after_its_refusal() -> None:
    with serving(application(), client_timeout=CLIENT_TIMEOUT) as impatient:
        async with connection(impatient) as (_, writer), asyncio.timeout(20 * CLIENT_TIMEOUT):
            writer.write(REFUSED)
            while not writer.transport.is_closing():
                writer.write(b" ")
                await asyncio.sleep(0.02)
