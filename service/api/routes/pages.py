"""Swagger UI and the playground, without requests to other hosts. Their links are relative, below any root path."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import FileResponse, JSONResponse
from starlette.staticfiles import StaticFiles

from service.api.openapi.typed import typed_document

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

    from service.settings import Settings

STATIC = Path(__file__).parents[2] / "static"

DOCS_HEADERS = {
    # Swagger UI sets style attributes, and its icons are data: addresses
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
    # a browser asks each time, so that it never mixes the modules of two versions
    "Cache-Control": "no-cache",
}


MAX_PATH_LENGTH = 200
"""Longest path of a static file. The file system would resolve a longer one part by part."""


class Files(StaticFiles):
    """A folder of static files, sent with some headers."""

    def __init__(self, folder: Path, headers: Mapping[str, str]) -> None:
        super().__init__(directory=folder)
        self.headers = headers

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Return the file at a path, and None as its status if there is none."""
        return super().lookup_path(path) if len(path) <= MAX_PATH_LENGTH else ("", None)

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return the file, or a 304. A worker of a page takes its policy from its own response."""
        response = super().file_response(*args, **kwargs)
        response.headers.update(self.headers)
        return response


def add_pages(app: FastAPI, settings: Settings) -> None:
    """Add /openapi/typed.json, and the pages /docs and /playground with their files."""

    @cache
    def typed() -> dict[str, Any]:
        return typed_document(settings)

    async def typed_json(_: Request) -> Response:
        return JSONResponse(typed())

    async def docs(_: Request) -> Response:
        return FileResponse(STATIC / "docs.html", headers=DOCS_HEADERS)

    async def playground(_: Request) -> Response:
        return FileResponse(PLAYGROUND / "index.html", headers=PLAYGROUND_HEADERS)

    app.add_route("/openapi/typed.json", typed_json, include_in_schema=False)
    if not settings.pages:
        return
    app.add_route("/docs", docs, include_in_schema=False)
    app.mount("/static", Files(STATIC, {"X-Content-Type-Options": "nosniff"}))
    app.add_route("/playground", playground, include_in_schema=False)
    app.mount("/playground", Files(PLAYGROUND, PLAYGROUND_HEADERS))
