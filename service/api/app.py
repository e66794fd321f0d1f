"""The ASGI application: the one module that knows every layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service.api import problems
from service.api.context import REJECTION, RequestContext
from service.api.middleware import RequestIdMiddleware, answer_asterisk
from service.api.openapi.document import document
from service.api.routes.health import METRICS, PROBES, about_router, probe_router
from service.api.routes.metrics import metrics_router
from service.api.routes.open_inference import router as open_inference_router
from service.api.routes.operations import operation_routes
from service.api.routes.pages import add_pages
from service.api.routes.problems import router as problems_router
from service.api.runtime import Runtime
from service.errors import ServiceError
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route
    from starlette.types import Receive, Scope, Send


class Service(FastAPI):
    """FastAPI with the probes, except that a request for an operation skips its middleware and its router.

    They would double the time of a row of ten classes. With telemetry no request skips them: FastAPI makes it.
    """

    def __init__(self, runtime: Runtime, operations: Sequence[Route] = ()) -> None:
        settings = runtime.settings
        super().__init__(
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            telemetry={
                "tracing": settings.tracing,
                "auto_configure": settings.has_telemetry,
                "operation_spans": False,
                "metrics": settings.otlp_metrics,
                "logs": False,
            },
        )
        self.runtime = runtime
        self.root = settings.root_path
        self.router.routes.extend(operations)
        framework = super().__call__
        self.operations = {route.path: framework if settings.has_telemetry else route.app for route in operations}
        self.others = RequestIdMiddleware(answer_asterisk(framework), runtime)
        self.state.runtime = runtime
        self.include_router(probe_router())
        self.add_exception_handler(HTTPException, problems.handle_http_exception)  # type: ignore[arg-type]
        self.add_exception_handler(ClientDisconnect, problems.handle_disconnect)
        self.add_exception_handler(ServiceError, problems.handle_error)
        self.add_exception_handler(Exception, problems.handle_error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or the start and the end of the application."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        if REJECTION in scope.get("extensions", ()):
            context = RequestContext(scope, receive, send, self.runtime.lifecycle, self.runtime.origins)
            await context.refuse(scope["extensions"][REJECTION])
            self.runtime.record(context)
            return
        path, root = scope["path"], self.root
        if root and path != "*":
            # a proxy may strip the root path or leave it; /softmax below /softmax is the operation
            path = path[len(root) :] if path.startswith(f"{root}/") else path
            scope = {**scope, "root_path": root, "path": root + path}
        app = self.operations.get(path) if scope["method"] == "POST" else None
        await (app or self.others)(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        return document(self, self.runtime.settings)


def create_app(settings: Settings | None = None) -> Service:
    """Return the application. Settings come from the environment unless they are given."""
    runtime = Runtime(settings or Settings())
    app = Service(runtime, operation_routes(runtime))
    app.include_router(about_router(runtime.settings))
    if runtime.settings.metrics_port is None:
        app.include_router(metrics_router(runtime))
    app.include_router(open_inference_router)
    app.include_router(problems_router)
    add_pages(app, runtime.settings)
    return app


def create_metrics_app(runtime: Runtime) -> Service:
    """Return the application of `metrics_port`: /metrics and the probes."""
    app = Service(runtime)
    app.include_router(metrics_router(runtime))

    @app.get("/")
    async def links() -> dict[str, str]:
        return METRICS | PROBES

    return app
