"""The request id on every reply that is not an operation's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.api.exchange import reply_headers, request_id

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Envelope:
    """ASGI middleware: sets `request.state.request_id`, and writes it to the headers of the reply."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, and puts the header on its reply."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        own = request_id(dict(scope["headers"]).get(b"x-request-id", b""))
        scope.setdefault("state", {})["request_id"] = own

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *reply_headers(own)]
            await send(message)

        return await self.app(scope, receive, send_with_headers)
