"""Clients of the service: of an application in this process, and of a server, byte by byte."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from service.api.app import create_app
from service.api.context import SERVER
from service.settings import Settings
from tests.bodies import JSON
from tests.processes import PATIENCE

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterable, Mapping

    from fastapi import FastAPI
    from starlette.types import Message

    from service.api.app import Service

# --- an application in this process -----------------------------------------------------------------------------------

LEFT: Message = {"type": "http.disconnect"}
"""Message of a server whose client left."""


def application(**settings: Any) -> Service:
    """Return a new application with these settings."""
    return create_app(Settings(**settings))


def connect(app: FastAPI | None = None, **settings: Any) -> httpx.AsyncClient:
    """Return a client of an application, by default of a new one. A crash in the application becomes a response."""
    transport = httpx.ASGITransport(app or application(**settings), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


def piece(body: bytes, *, more: bool = False) -> Message:
    """Return the message of a server for a piece of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


class _Server:
    """A server that has the first of some messages already."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self.known: dict[Any, Any] = {}
        self.messages = [*messages]
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if not self.messages:
            await asyncio.Event().wait()
        return self.messages.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    def take_body(self) -> bytes | None:
        first = self.messages[0]
        if first["type"] == "http.disconnect" or first["more_body"]:
            return None
        body: bytes = self.messages.pop(0)["body"]
        return body

    def gather(self) -> None:
        return None


async def converse(
    app: FastAPI, path: str, messages: Iterable[Message], headers: Mapping[str, str] = JSON, *, arrived: bool = False
) -> list[Message]:
    """Return the messages of an application to a client that sends `messages` and then stays connected.

    arrived: the server has a body in one message as soon as the request begins.
    """
    server = _Server(messages)

    written = {"host": "test", **JSON, **headers}
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in written.items()],
    }
    if arrived:
        scope["extensions"] = {SERVER: server}
    await app(scope, server.receive, server.send)
    return server.sent


class Upload:
    """A body of equal chunks that counts the chunks read."""

    def __init__(self, chunk: bytes, count: int) -> None:
        self.chunk = chunk
        self.count = count
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the chunks."""
        for _ in range(self.count):
            self.read += 1
            yield self.chunk


# --- a server ---------------------------------------------------------------------------------------------------------


def ask(http: httpx.Client, operation: str, **request: Any) -> Any:
    """Return the answer of a server to the request of an operation."""
    return http.post(f"/{operation}", json=request).raise_for_status().json()


class Reply(NamedTuple):
    """A response. The names of its headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection(NamedTuple):
    """Both directions of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, sent: bytes) -> None:
        """Send bytes, and wait until most of them have left."""
        self.writer.write(sent)
        await self.writer.drain()

    async def receive(self) -> Reply:
        """Return the next response. Raise IncompleteReadError or ConnectionError if the server closes first."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Reply(int(first.split()[1]), headers, body)

    async def ask(self, sent: bytes) -> Reply:
        """Send a request, and return the response. The server may respond before it has read the request."""
        self.writer.write(sent)
        return await self.receive()

    async def ended(self) -> bytes:
        """Return all further bytes until the server closes."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""


@asynccontextmanager
async def connection(server: str | int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Connection]:
    """Yield a connection to a server, given its address or its port on loopback."""
    url = urlsplit(server if isinstance(server, str) else f"http://127.0.0.1:{server}")
    if url.scheme == "unix":
        reader, writer = await asyncio.open_unix_connection(url.path)
    else:
        reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=tls)
    try:
        yield Connection(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


async def ask_once(server: str | int, sent: bytes) -> Reply:
    """Return the response to a request on its own connection."""
    async with asyncio.timeout(PATIENCE), connection(server) as peer:
        return await peer.ask(sent)


async def answer(server: str | int, *pieces: bytes, seconds: float = PATIENCE) -> bytes:
    """Return all that a client of some pieces receives until the server closes the connection."""
    async with connection(server) as (reader, writer), asyncio.timeout(seconds):
        try:
            for sent in pieces:
                if reader.at_eof() or reader.exception():
                    break
                writer.write(sent)
                await asyncio.sleep(0.02)
            return await reader.read()
        except ConnectionError:
            return b""


def statuses(received: bytes) -> list[int]:
    """Return the statuses of all responses in order."""
    return [int(status) for status in re.findall(rb"HTTP/1.1 (\d+) ", received)]


def post(path: str, body: bytes = b"", headers: Mapping[str, str] = JSON) -> bytes:
    """Return the bytes of a POST request."""
    return head(path, len(body), headers) + body


def head(path: str, length: int, headers: Mapping[str, str] = JSON) -> bytes:
    """Return the head of a POST request that declares the length of its body."""
    lines = [f"POST {path} HTTP/1.1", "Host: test", f"Content-Length: {length}"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode()


def get(path: str) -> bytes:
    """Return the bytes of a GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
