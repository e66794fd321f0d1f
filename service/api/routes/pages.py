"""Swagger UI and the playground, without requests to other hosts. Their links are relative, below any root path."""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles

from service.api.openapi.typed import typed_document

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.types import Scope

    from service.settings import Settings

STATIC = Path(__file__).parents[2] / "static"

STATIC_HEADERS = {
    "Accept-Ranges": "none",
    "X-Content-Type-Options": "nosniff",
    # a browser asks each time, so that it never mixes the files of two versions
    "Cache-Control": "no-cache",
}

DOCS_HEADERS = {
    # Swagger UI sets style attributes, and its icons are data: addresses
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    **STATIC_HEADERS,
}

PLAYGROUND = STATIC / "playground"

PLAYGROUND_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    **STATIC_HEADERS,
}

MAX_PATH_LENGTH = 200
"""Longest path of a static file. The file system would resolve a longer one part by part."""


class Files(StaticFiles):
    """A folder of static files, sent whole with some headers. Each has an ETag, and a request that names it gets a 304."""

    def __init__(self, folder: Path, headers: Mapping[str, str]) -> None:
        super().__init__(directory=folder)
        self.headers = headers

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the response to a request, whose header Range is ignored (RFC 9110, 14.2)."""
        scope["headers"] = [each for each in scope["headers"] if each[0] != b"range"]
        return await super().get_response(path, scope)

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Return the file at a path, and None as its status if there is none."""
        return super().lookup_path(path) if len(path) <= MAX_PATH_LENGTH else ("", None)

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return the file, or a 304. A worker of a page takes its policy from its own response."""
        response = super().file_response(*args, **kwargs)
        response.headers.update(self.headers)
        return response


STATIC_FILES = Files(STATIC, STATIC_HEADERS)
DOCS_FILES = Files(STATIC, DOCS_HEADERS)
PLAYGROUND_FILES = Files(PLAYGROUND, PLAYGROUND_HEADERS)


def add_pages(app: FastAPI, settings: Settings) -> None:
    """Add both OpenAPI documents, and the pages /docs and /playground with their files."""
    add_document(app, "/openapi.json", app.openapi)
    add_document(app, "/openapi/typed.json", lambda: typed_document(settings))
    if not settings.pages:
        return

    async def docs(request: Request) -> Response:
        return await DOCS_FILES.get_response("docs.html", request.scope)

    async def playground(request: Request) -> Response:
        return await PLAYGROUND_FILES.get_response("index.html", request.scope)

    app.add_route("/docs", docs)
    app.mount("/static", STATIC_FILES)
    app.add_route("/playground", playground)
    app.mount("/playground", PLAYGROUND_FILES)


def add_document(app: FastAPI, path: str, build: Callable[[], dict[str, Any]]) -> None:
    """Add a JSON document that is built on the first request. It has an ETag, as `Files` have."""

    @cache
    def built() -> tuple[bytes, str]:
        content = json.dumps(build(), ensure_ascii=False, separators=(",", ":")).encode()
        return content, f'"{sha256(content).hexdigest()[:32]}"'

    async def document(request: Request) -> Response:
        # building takes 0.2 s, in which other requests are answered
        content, etag = await run_in_threadpool(built)
        response = Response(content, media_type="application/json", headers={"ETag": etag, "Cache-Control": "no-cache"})
        if STATIC_FILES.is_not_modified(response.headers, request.headers):
            return NotModifiedResponse(response.headers)
        return response

    app.add_route(path, document)
