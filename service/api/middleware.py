"""Middleware of every path that is not an operation."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response

from service.api.context import RequestContext
from service.errors import ServiceError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from service.api.runtime import Runtime


class RequestIdMiddleware:
    """ASGI middleware: check the host, answer a preflight, add the headers of every response, and count and log the request.

    `request.state.request_id` has the id. HEAD becomes GET; the server leaves out the body of the response.
    """

    def __init__(self, app: ASGIApp, runtime: Runtime) -> None:
        self.app = app
        self.runtime = runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        context = RequestContext(scope, receive, send, self.runtime.lifecycle, self.runtime.origins)
        scope.setdefault("state", {})["request_id"] = context.request_id
        # the routes read the first header of a name, and a repeated one is a list
        scope = {**scope, "headers": [*context.headers.items()]}
        if scope["method"] == "HEAD":
            scope["method"] = "GET"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                context.status = message["status"]
                if self.runtime.traces:
                    # here, because the span of FastAPI ends before this middleware
                    self.runtime.note_trace(context)
                message["headers"] = [*message.get("headers", ()), *context.reply_headers()]
            elif context.method != "HEAD":
                context.bytes_out += len(message.get("body", b""))
            await send(message)

        try:
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            self.runtime.hosts.check(context.headers.get(b"host"), context.http_version, path)
            if self.runtime.origins.is_preflight(context.method, context.headers):
                await context.reply(HTTPStatus.OK, self.runtime.origins.preflight(context.headers), ())
            else:
                await self.app(scope, receive, send_with_headers)
        except ServiceError as error:
            await context.refuse(error)
        finally:
            context.route = _template(scope)
            self.runtime.record(context)


def answer_asterisk(app: ASGIApp) -> ASGIApp:
    """Return `app`, except that `OPTIONS *` is answered: it asks about the server as a whole (RFC 9110, 9.3.7)."""
    answer = Response(status_code=HTTPStatus.NO_CONTENT, headers={"Allow": "GET, HEAD, OPTIONS, POST"})

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await (answer if scope["path"] == "*" else app)(scope, receive, send)

    return serve


def _template(scope: Scope) -> str:
    """Return the template of the path that the router found, "" if it found none."""
    route = scope.get("route")
    if route is None and "endpoint" in scope:
        # FastAPI names its own routes only, not a page or a folder of files
        found = scope["endpoint"]
        routes = scope["app"].routes
        route = next((r for r in routes if found in (getattr(r, "endpoint", None), getattr(r, "app", None))), None)
    return getattr(route, "path", "")
