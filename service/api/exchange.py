"""One request and its reply as ASGI has them, and what every reply carries: the request id, and the time of each stage."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from service.errors import BodyTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Receive, Scope, Send

REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
"""Ids that are taken over as they come; in place of any other, one is made."""

RawHeader = tuple[bytes, bytes]


class Disconnected(Exception):
    """The client left before its body was read."""


class Exchange:
    """A request, as yet unread, and the way to answer it.

    headers: by name in lower case, those that came in several lines as one list.
    stages: seconds by name, filled in by whoever works on the request.
    """

    __slots__ = ("_receive", "_scope", "_send", "headers", "request_id", "stages")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        if len(self.headers) < len(scope["headers"]):
            self.headers = _joined(scope["headers"])
        self.request_id = request_id(self.headers.get(b"x-request-id", b""))
        self.stages: dict[str, float] = {}

    def header(self, name: bytes) -> str | None:
        """The value of a header, None if it is not there."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def query(self) -> str:
        """The query string, still encoded."""
        query: bytes = self._scope["query_string"]
        return query.decode("latin-1")

    async def body(self, max_bytes: int) -> bytes:
        """The whole body, and not a byte more than max_bytes of it.

        Raises BodyTooLarge as soon as it is known to be longer, Disconnected if the client leaves.
        """
        if int(self.headers.get(b"content-length", 0)) > max_bytes:
            raise BodyTooLarge(max_bytes)
        chunks, size, more = [], 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > max_bytes:
                raise BodyTooLarge(max_bytes)
            chunks.append(chunk)
            more = message.get("more_body", False)
        return b"".join(chunks)

    async def reply(self, status: int, media_type: str, content: bytes, headers: Iterable[RawHeader] = ()) -> None:
        """Sends the reply, in one piece."""
        headers = [
            *headers,
            (b"content-type", media_type.encode()),
            (b"content-length", b"%d" % len(content)),
            *reply_headers(self.request_id, self.stages.items()),
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": content})


def _joined(headers: Iterable[RawHeader]) -> dict[bytes, bytes]:
    """The headers with the lines of each as one list, RFC 9110, 5.3."""
    joined: dict[bytes, bytes] = {}
    for name, value in headers:
        joined[name] = joined[name] + b", " + value if name in joined else value
    return joined


def request_id(sent: bytes) -> str:
    """The id that was sent, if it is one, else a new one."""
    return sent.decode() if REQUEST_ID.fullmatch(sent) else os.urandom(16).hex()


def reply_headers(request_id: str, stages: Iterable[tuple[str, float]] = ()) -> list[RawHeader]:
    """X-Request-ID, and Server-Timing if there are stages, which are in seconds."""
    headers = [(b"x-request-id", request_id.encode())]
    timing = ", ".join([f"{name};dur={seconds * 1e3:.3f}" for name, seconds in stages])
    if timing:
        headers.append((b"server-timing", timing.encode()))
    return headers
