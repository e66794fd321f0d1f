"""Swagger UI from the service itself: no page it serves asks another host for anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

STATIC = Path(__file__).parent.parent / "static"

HEADERS = {
    # Swagger UI sets style attributes and draws its icons from data: addresses
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def add_docs(app: FastAPI) -> None:
    """GET /docs and the files it needs. Its links are relative, so it works below any root path."""

    async def docs(_: Request) -> Response:
        return FileResponse(STATIC / "docs.html", headers=HEADERS)

    app.add_route("/docs", docs, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC))
