"""Clients of an application in this process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx

from service.api.app import create_app
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from fastapi import FastAPI
    from starlette.types import Message

    from service.api.app import Service

JSON = {"Content-Type": "application/json"}

BODY = b'{"logits": [0, 0]}'


def body_of(length: int) -> bytes:
    """Return a request with as many numbers of 20 bytes as make a body of that length."""
    return (b'{"logits": [%b0]}' % (b"0.12345678901234567," * ((length - 14) // 20))).ljust(length)


LEFT: Message = {"type": "http.disconnect"}


def application(**settings: Any) -> Service:
    """An application with those settings."""
    return create_app(Settings(**settings))


def connect(app: FastAPI | None = None, **settings: Any) -> httpx.AsyncClient:
    """A client of that application, or of a new one with those settings; a crash inside is a reply like any other."""
    transport = httpx.ASGITransport(app or application(**settings), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


def piece(body: bytes, *, more: bool = False) -> Message:
    """A piece of a body, as a server hands it over."""
    return {"type": "http.request", "body": body, "more_body": more}


async def converse(app: FastAPI, path: str, messages: Iterable[Message], **headers: str) -> list[Message]:
    """What an application sends to a client that sends those messages, and then waits for ever unless it has left."""
    waiting = iter(messages)
    sent: list[Message] = []

    async def receive() -> Message:
        for message in waiting:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    written = {"host": "test", "content-type": "application/json", **headers}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in written.items()],
    }
    await app(scope, receive, send)
    return sent


class Upload:
    """A body of so many chunks that counts those which are read."""

    def __init__(self, chunk: bytes, count: int) -> None:
        self.chunk = chunk
        self.count = count
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The chunks."""
        for _ in range(self.count):
            self.read += 1
            yield self.chunk
