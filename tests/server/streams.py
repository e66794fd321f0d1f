"""Streams of requests as bytes, cut anywhere, for a server protocol, and the expected responses.

`python -m tests.server.streams COUNT [SEED]` tries that many streams on each event loop.
"""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import uvicorn
import uvloop
from uvicorn.server import ServerState

from service.server.protocol import HttpProtocol
from tests.connections import application
from tests.processes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.api.app import Service

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}

SETTINGS: tuple[dict[str, int], ...] = ({}, {"inline_body_bytes": 10})
"""Settings to try: the default ones, and those with which each body of known length is read into its place."""

IDS = re.compile(rb"[0-9a-f]{32}")
"""Request ids that the service makes."""


class Response(NamedTuple):
    """A response without its headers; request ids are removed from the body."""

    status: int
    body: bytes


@dataclass
class Request:
    """A request and its expected outcome.

    framing: of the body. Plain uvicorn may answer differently to a request that is not in `h11`.
    closes: the connection is closed after the response. malformed: the server answers 400 without the application.
    """

    method: str
    path: str
    body: bytes = b""
    headers: tuple[str, ...] = ("Content-Type: application/json",)
    framing: str = "length"
    version: str = "1.1"
    closes: bool = False
    malformed: bool = False
    h11: bool = True
    raw: bytes = b""
    expected: Response = field(default=Response(0, b""), compare=False)

    def encode(self, random: Random) -> bytes:
        """Return the bytes of the request. Chunks are cut at random."""
        if self.raw:
            return self.raw
        lines = [f"{self.method} {self.path} HTTP/{self.version}", "Host: test", "X-Request-ID: one", *self.headers]
        if self.framing == "length" and self.body:
            lines.append(f"Content-Length: {len(self.body)}")
        elif self.framing != "length":
            lines.append("Transfer-Encoding: chunked")
        if self.closes and self.version == "1.1":
            lines.append("Connection: close")
        head = "\r\n".join((*lines, "", "")).encode()
        return head + (self.body if self.framing == "length" else self._chunks(random))

    def _chunks(self, random: Random) -> bytes:
        pieces = [
            b"%x%b\r\n%b\r\n" % (len(piece), random.choice((b"", b";a=b", b';c="d"')), piece)
            for piece in cut(self.body, random, most=6)
            if piece
        ]
        trailers = b"Authorization: Bearer x\r\nX-Request-ID: two\r\n" if self.framing == "trailers" else b""
        return b"".join(pieces) + b"0\r\n" + trailers + b"\r\n"


SMALL = b'{"logits": [[1, 2, 3]]}'
LONG = SMALL.ljust(200_000)
UPGRADE = ("Content-Type: application/json", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: A")
JSON = "Content-Type: application/json"

REQUESTS = [
    Request("GET", "/livez", headers=()),
    Request("GET", "/livez", headers=("X-Long: " + "a" * 3000, "X-Space: b  \t")),
    Request("HEAD", "/livez", headers=()),
    Request("GET", "/nowhere?a=b", headers=()),
    Request("PUT", "/softmax", SMALL),
    Request("POST", "/livez", SMALL),
    Request("POST", "/softmax", SMALL),
    Request("POST", "/softmax", SMALL, framing="chunked"),
    Request("POST", "/softmax", SMALL, framing="trailers"),
    Request("POST", "/softmax", LONG),
    Request("POST", "/softmax", LONG, framing="chunked"),
    Request("POST", "/softmax", SMALL, headers=(JSON, "Expect: 100-continue")),
    Request("POST", "/softmax", SMALL, headers=UPGRADE, h11=False),
    Request("POST", "/softmax", SMALL, headers=UPGRADE, framing="chunked", h11=False),
    Request("POST", "/softmax", b'{"logits": [1, "a"]}'),
    Request("POST", "/softmax", b"{"),
    Request("POST", "/softmax", LONG, headers=("Content-Type: text/csv",)),
    Request("POST", "/loss", b'{"logits": [1, 2], "targets": 1}'),
]

LAST = [
    Request("GET", "/livez", headers=(), closes=True),
    Request("POST", "/softmax", SMALL, closes=True),
    Request("POST", "/softmax", LONG, closes=True),
    Request("POST", "/softmax", SMALL, framing="trailers", closes=True),
    Request("GET", "/livez", headers=(), version="1.0", closes=True),
]
"""Requests after which the connection is closed."""

MALFORMED = [
    Request("", "", raw=raw, malformed=True, closes=True, h11=False)
    for raw in (
        b"HELO test\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /softmax HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /softmax HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /softmax HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /softmax HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcdeX\n",
        b"POST /softmax HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"POST /softmax HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        + b"a: b\r\n" * 12_000,
    )
]

BEHIND = [b"", b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", b"garbage \x00", b"\r\n"]
"""Bytes behind the last request, without a response."""


class Stream(NamedTuple):
    """Requests on one connection, in pieces. half_close: the client closes its sending side behind them."""

    requests: list[Request]
    pieces: list[bytes]
    half_close: bool

    @property
    def expected(self) -> list[Response]:
        """The responses in order."""
        return [request.expected for request in self.requests]


def seeded(seed: object) -> Random:
    """Return a repeatable source of randomness."""
    return Random(str(seed))  # noqa: S311 - not a secret


def cut(data: bytes, random: Random, most: int) -> list[bytes]:
    """Return `data` in up to `most` + 1 pieces."""
    edges = sorted(random.randrange(len(data) + 1) for _ in range(random.randint(0, most)))
    return [data[start:end] for start, end in zip([0, *edges], [*edges, len(data)], strict=True)]


def stream(random: Random, *, h11: bool = False) -> Stream:
    """Return a random stream; with `h11` one that plain uvicorn must answer in the same way."""
    kinds = [request for request in REQUESTS if request.h11 or not h11]
    requests = random.choices(kinds, k=random.randint(0, 5))
    half_close = not h11 and bool(requests) and random.random() < 0.3
    behind = b""
    if not half_close:
        requests.append(random.choice(LAST if h11 or random.random() < 0.6 else MALFORMED))
        behind = b"" if h11 else random.choice(BEHIND)
    # RFC 9112, 2.2: empty lines in front of a request are ignored, and h11 does not
    empty = (b"",) if h11 else (b"", b"", b"\r\n", b"\r\n\r\n")
    data = b"".join(random.choice(empty) + request.encode(random) for request in requests) + behind
    if len(data) < 600 and random.random() < 0.1:
        return Stream(requests, [data[place : place + 1] for place in range(len(data))], half_close)
    return Stream(requests, [piece for piece in cut(data, random, most=12) if piece], half_close)


async def prepare(app: Service) -> None:
    """Fill in the expected responses: those of the application without a server."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        for request in (*REQUESTS, *LAST):
            headers = dict(line.split(": ", 1) for line in (*request.headers, "X-Request-ID: one"))
            response = await client.request(request.method, request.path, content=request.body, headers=headers)
            body = b"" if request.method == "HEAD" else response.content
            request.expected = Response(response.status_code, IDS.sub(b"", body))
    for request in MALFORMED:
        request.expected = Response(400, b"")


def parse(data: bytes, requests: list[Request]) -> list[Response]:
    """Return the responses in `data`. Interim responses are skipped; of a malformed request only the status counts."""
    found: list[Response] = []
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        assert end, head
        status = int(head.split()[1])
        if status == 100:
            continue
        assert b"\r\ndate: " in head.lower(), head
        request = requests[len(found)] if len(found) < len(requests) else MALFORMED[0]
        length = 0 if request.method == "HEAD" else int(head.lower().partition(b"content-length: ")[2].split()[0])
        body, data = data[:length], data[length:]
        assert len(body) == length
        found.append(Response(status, b"" if request.malformed else IDS.sub(b"", body)))
    return found


class Server:
    """Runs a server protocol on socket pairs of the running event loop."""

    def __init__(
        self, app: Service, protocol: type[asyncio.BaseProtocol] = HttpProtocol, *, client_timeout: float = 5
    ) -> None:
        http = "h11" if protocol is not HttpProtocol else "httptools"
        self._config = uvicorn.Config(app, http=http, ws="none", log_config=None, access_log=False, proxy_headers=False)
        self._config.load()
        self._config.timeout_keep_alive = client_timeout  # type: ignore[assignment]  # as in `serving`
        self.state = ServerState()
        self.state.default_headers = [(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")]
        self._protocol = protocol

    def _make(self) -> asyncio.Protocol:
        loop = asyncio.get_running_loop()
        return self._protocol(self._config, self.state, {}, loop)  # type: ignore[call-arg, return-value]

    async def accept(self, accepted: socket.socket) -> set[Any]:
        """Serve an accepted connection, and return all open connections, which change."""
        await asyncio.get_running_loop().connect_accepted_socket(self._make, accepted)
        return self.state.connections

    async def answers(self, stream: Stream) -> list[Response]:
        """Return the responses to a stream whose pieces the server reads one by one."""
        theirs, ours = socket.socketpair()
        ours.settimeout(0)
        await self.accept(theirs)
        receiving = asyncio.create_task(self._receive(ours))
        try:
            async with asyncio.timeout(PATIENCE):
                for piece in stream.pieces:
                    try:
                        await asyncio.get_running_loop().sock_sendall(ours, piece)
                    except (BrokenPipeError, ConnectionResetError):
                        break
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                if stream.half_close:
                    ours.shutdown(socket.SHUT_WR)
                return parse(await receiving, stream.requests)
        finally:
            receiving.cancel()
            ours.close()

    @staticmethod
    async def _receive(ours: socket.socket) -> bytes:
        received = b""
        try:
            while data := await asyncio.get_running_loop().sock_recv(ours, 2**16):
                received += data
        except ConnectionResetError:
            pass
        return received


async def compare(app: Service, count: int, seed: int) -> None:
    """Raise AssertionError, with the stream, if a stream is not answered as the application answers its requests."""
    await prepare(app)
    server = Server(app)
    for number in range(count):
        tried = stream(seeded(f"{seed} {number}"))
        answers = await server.answers(tried)
        assert answers == tried.expected, (seed, number, tried, answers)


def main() -> None:
    """Try many streams on each event loop."""
    count, seed = int(sys.argv[1]), int((sys.argv[2:] or ["0"])[0])
    for name, factory in LOOPS.items():
        for settings in SETTINGS:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(compare(application(log_level="error", **settings), count, seed))
            sys.stdout.write(f"{count} streams on {name} with {settings or 'default settings'}: as expected\n")


if __name__ == "__main__":
    main()
