"""Test the values of the header Host that the service accepts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from tests.bodies import BODY
from tests.connections import application, connect, piece

if TYPE_CHECKING:
    from starlette.types import Message

TRUSTED = ("example.org", "*.example.net", "192.0.2.7", "[2001:db8::7]")

OURS = [
    "example.org",
    "example.org:8000",
    "EXAMPLE.org",
    "a.example.net",
    "a.b.example.net:1",
    "192.0.2.7",
    "192.0.2.7:8000",
    "[2001:db8::7]",
    "[2001:db8::7]:8000",
    "[2001:DB8::7]",
]
OTHERS = [
    "",
    "example.com",
    "a.example.org",
    ".example.net",
    "example.net",
    "badexample.net",
    "example.org.evil.com",
    "192.0.2.70",
    "[2001:db8::8]",
    ":8000",
]
INVALID = [
    "example.org, example.com",
    "example.com,a.example.net",
    "example.com, a.example.net",
    "user@example.org",
    "user:word@example.org",
    "example.org:port",
    "example.org:8000:8000",
    "example.org/",
    "example.org?",
    "example.org#",
    "http://example.org",
    "exa mple.org",
    "exa\tmple.org",
    "[2001:db8::7",
    "[2001:db8::7]]",
    "[",
    "2001:db8::7",
]
"""Values that are not one host with an optional port."""


async def status(host: str, path: str = "/softmax", **settings: Any) -> int:
    """Return the status of a request with this header."""
    async with connect(**settings) as client:
        reply = await client.request(
            "POST" if path == "/softmax" else "GET",
            path,
            content=BODY,
            headers=[("Content-Type", "application/json"), ("Host", host)],
        )
    return reply.status_code


@pytest.mark.parametrize("host", OURS)
@pytest.mark.parametrize("path", ["/softmax", "/info"])
async def test_a_host_of_ours_is_answered(host: str, path: str) -> None:
    assert await status(host, path, trusted_hosts=TRUSTED) == 200


@pytest.mark.parametrize("host", OTHERS)
@pytest.mark.parametrize("path", ["/softmax", "/info", "/docs"])
async def test_any_other_host_is_refused(host: str, path: str) -> None:
    assert await status(host, path, trusted_hosts=TRUSTED) == 400


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
@pytest.mark.parametrize("prefix", ["", "/ml"])
async def test_a_cluster_may_probe_by_address(path: str, prefix: str) -> None:
    assert await status("10.0.0.1:8000", path, trusted_hosts=TRUSTED, root_path=prefix) == 200
    assert await status("10.0.0.1:8000", prefix + path, trusted_hosts=TRUSTED, root_path=prefix) == 200


@pytest.mark.parametrize("host", [*OURS, *OTHERS])
async def test_unless_hosts_are_named_all_are_answered(host: str) -> None:
    assert await status(host) == 200


@pytest.mark.parametrize("settings", [{}, {"trusted_hosts": TRUSTED}], ids=["any host", "some hosts"])
@pytest.mark.parametrize("path", ["/softmax", "/info", "/livez"])
@pytest.mark.parametrize("host", INVALID)
async def test_an_invalid_host_is_refused(host: str, path: str, settings: dict[str, Any]) -> None:
    assert await status(host, path, **settings) == 400


@pytest.mark.parametrize("path", ["/softmax", "/info"])
async def test_a_repeated_host_is_refused(path: str) -> None:
    async with connect() as client:
        headers = [("Content-Type", "application/json"), ("Host", "example.org"), ("Host", "example.org")]
        reply = await client.request("POST" if path == "/softmax" else "GET", path, content=BODY, headers=headers)
    assert (reply.status_code, reply.json()["type"]) == (400, "/problems/invalid-host")


@pytest.mark.parametrize(("version", "expected"), [("1.1", 400), ("1.0", 200)])
@pytest.mark.parametrize("path", ["/softmax", "/info"])
async def test_only_http_1_1_needs_a_host(path: str, version: str, expected: int) -> None:
    sent: list[Message] = []
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": version,
        "method": "POST" if path == "/softmax" else "GET",
        "path": path,
    }
    scope |= {"headers": [(b"content-type", b"application/json")], "query_string": b"", "scheme": "http"}

    async def receive() -> Message:
        return piece(BODY)

    async def send(message: Message) -> None:
        sent.append(message)

    await application()(scope, receive, send)
    assert sent[0]["status"] == expected


async def test_an_asterisk_among_the_names_is_every_host() -> None:
    assert await status("example.com", trusted_hosts=("example.org", "*")) == 200


async def test_refused_host_gets_a_problem_and_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    app = application(trusted_hosts=TRUSTED)
    with caplog.at_level(logging.INFO, "service.requests"):
        async with connect(app) as client:
            reply = await client.get("/info", headers={"X-Request-ID": "7"})
            counted = (await client.get("/metrics")).text
    assert (reply.status_code, reply.json()["type"]) == (400, "/problems/untrusted-host")
    assert reply.headers.get_list("X-Request-ID") == ["7"]
    assert 'http_requests_total{method="GET",route="",status="400"} 1.0' in counted
    assert "GET 400" in caplog.messages[0]
