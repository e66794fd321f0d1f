"""HTTP by hand: bytes as they stand on the wire, for clients that no library would be."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

JSON = {"Content-Type": "application/json"}


class Reply(NamedTuple):
    """What came back; the names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection(NamedTuple):
    """Both directions of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, sent: bytes) -> None:
        """Sends bytes, and returns when most of them have left."""
        self.writer.write(sent)
        await self.writer.drain()

    async def receive(self) -> Reply:
        """The next reply. Raises IncompleteReadError or ConnectionError if the server closes first."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Reply(int(first.split()[1]), headers, body)

    async def ask(self, sent: bytes) -> Reply:
        """The reply to a request."""
        await self.send(sent)
        return await self.receive()

    async def ended(self) -> bytes:
        """What else comes until the server closes."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""


@asynccontextmanager
async def connection(address: str) -> AsyncIterator[Connection]:
    """A connection to a server."""
    url = urlsplit(address)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


def request(path: str, body: bytes = b"", headers: Mapping[str, str] = JSON) -> bytes:
    """The bytes of a POST."""
    return head(path, len(body), headers) + body


def head(path: str, length: int, headers: Mapping[str, str] = JSON) -> bytes:
    """The first line and the headers of a POST that announces so many bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: test", f"Content-Length: {length}"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode()


def get(path: str) -> bytes:
    """The bytes of a GET."""
    return f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
