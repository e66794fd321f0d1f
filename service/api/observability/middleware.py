"""What every reply carries that is not an operation's, and what is noted of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.api.context import RequestContext

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from service.api.runtime import Runtime


class RequestIdMiddleware:
    """ASGI middleware: sets `request.state.request_id`, writes it to the headers of the reply, counts and logs it.

    HEAD is asked of the application as GET; the server leaves the body of the reply out.
    """

    def __init__(self, app: ASGIApp, runtime: Runtime) -> None:
        self.app = app
        self.runtime = runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        context = RequestContext(scope, receive, send, self.runtime.lifecycle)
        scope.setdefault("state", {})["request_id"] = context.request_id
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                context.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *context.reply_headers()]
            else:
                context.bytes_out += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            context.route = _template(scope)
            self.runtime.record(context)


def _template(scope: Scope) -> str:
    """The template of the path that was found, "" if none was."""
    route = scope.get("route")
    if route is None and "endpoint" in scope:
        # FastAPI names its own routes only, not a page or a folder of files
        found = scope["endpoint"]
        route = next(
            (
                each
                for each in scope["app"].routes
                if found in (getattr(each, "endpoint", None), getattr(each, "app", None))
            ),
            None,
        )
    return getattr(route, "path", "")
