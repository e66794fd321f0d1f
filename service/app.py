"""The one place that sees every layer."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from service.api import problems
from service.api.docs import add_docs
from service.api.envelope import Envelope
from service.api.health import health_router
from service.api.openapi import document
from service.api.routes import operations_router
from service.errors import ServiceError
from service.settings import Settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application, with settings from the environment unless they are given."""
    settings = settings or Settings()
    app = FastAPI(docs_url=None, redoc_url=None, redirect_slashes=False, root_path=settings.root_path)
    app.state.settings = settings
    app.openapi = partial(document, app)  # type: ignore[method-assign]
    app.include_router(operations_router(settings))
    app.include_router(health_router(settings))
    add_docs(app)
    app.add_middleware(Envelope)
    app.add_exception_handler(ServiceError, problems.refuse)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, problems.refuse_route)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, problems.apologize)
    return app
