"""Swagger UI from the service itself: no page it serves asks another host for anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

STATIC = Path(__file__).parents[2] / "static"

DOCS_HEADERS = {
    # Swagger UI sets style attributes and draws its icons from data: addresses
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


PLAYGROUND = STATIC / "playground"

PLAYGROUND_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # the modules of one version, never of two: a browser asks each time, and is mostly told that nothing has changed
    "Cache-Control": "no-cache",
}


class PlaygroundFiles(StaticFiles):
    """The files of the page. A worker takes its policy from its own reply, so every file carries it."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """The file, or that it has not changed."""
        response = super().file_response(*args, **kwargs)
        response.headers.update(PLAYGROUND_HEADERS)
        return response


def add_playground(app: FastAPI) -> None:
    """GET /playground and the files it needs. Its links are relative, so it works below any root path."""

    async def playground(_: Request) -> Response:
        return FileResponse(PLAYGROUND / "index.html", headers=PLAYGROUND_HEADERS)

    app.add_route("/playground", playground, include_in_schema=False)
    app.mount("/playground", PlaygroundFiles(directory=PLAYGROUND))


def add_docs(app: FastAPI) -> None:
    """GET /docs and the files it needs. Its links are relative, so it works below any root path."""

    async def docs(_: Request) -> Response:
        return FileResponse(STATIC / "docs.html", headers=DOCS_HEADERS)

    app.add_route("/docs", docs, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC))
