"""What every reply carries: the request id, and how long each stage took."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import uuid4

from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
"""Ids that are taken over as they come; in place of any other, one is made."""


class Envelope:
    """ASGI middleware: sets `request.state.request_id` and `.stages`, and writes both to the headers of the reply.

    stages: seconds by name, filled in by whoever works on the request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, and puts the headers on its reply."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        sent = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        request_id = sent.decode() if REQUEST_ID.fullmatch(sent) else uuid4().hex
        stages: dict[str, float] = {}
        scope.setdefault("state", {}).update(request_id=request_id, stages=stages)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                if stages:
                    headers["Server-Timing"] = ", ".join(
                        f"{name};dur={seconds * 1e3:.3f}" for name, seconds in stages.items()
                    )
            await send(message)

        return await self.app(scope, receive, send_with_headers)
