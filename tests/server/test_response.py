"""Test the date of responses, and requests whose head has been parsed before."""

from __future__ import annotations

import asyncio
import socket

import pytest

from service.api.security import Keys
from tests.bodies import BODY, JSON
from tests.connections import answer, application, connection, post, statuses
from tests.server.sockets import serving, until
from tests.server.streams import Server


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://a.example"}], ids=["at once", "by messages"])
async def test_date_is_that_of_the_response(headers: dict[str, str]) -> None:
    server = Server(application(cors_origins=("https://a.example",)))
    theirs, ours = socket.socketpair()
    with ours:
        ours.settimeout(0)
        await server.accept(theirs)
        request = post("/softmax", BODY, {**JSON, **headers})
        ours.send(request[:-1])
        await until(lambda: bool(server.state.tasks))
        server.state.default_headers = [(b"date", b"now")]
        ours.send(request[-1:])
        received = await asyncio.get_running_loop().sock_recv(ours, 2**16)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\ndate: now\r\n" in received


async def test_requests_with_one_head_differ_in_what_it_does_not_say() -> None:
    app = application(trusted_hosts=["test"])
    with serving(app) as port:
        async with connection(port) as peer:
            request = post("/softmax", BODY, {**JSON, "Authorization": "Bearer first"})
            first, second = await peer.ask(request), await peer.ask(request)
            assert (first.status, second.status) == (200, 200)
            assert first.headers["x-request-id"] != second.headers["x-request-id"]
            app.runtime.keys = Keys(["second"])
            assert (await peer.ask(request)).status == 401
            app.runtime.keys = Keys(["first"])
            assert (await peer.ask(request)).status == 200
            app.runtime.lifecycle.refusing = True
            assert (await peer.ask(request)).status == 503


async def test_request_with_a_refused_head_is_refused_again() -> None:
    with serving(application(trusted_hosts=["test"])) as port:
        async with connection(port) as peer:
            for _ in range(3):
                assert (await peer.ask(post("/softmax", BODY).replace(b"Host: test", b"Host: other"))).status == 400
                assert (await peer.ask(post("/softmax", BODY, {}))).status == 415


async def test_percent_encoded_path_is_decoded_once() -> None:
    with serving(application()) as port:
        for path, status in ((b"/%6Civez", 200), (b"/%256Civez", 404)):
            assert statuses(
                await answer(port, b"GET %b HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n" % path)
            ) == [status]
