"""GET /problems and /problems/{slug}: the descriptions of the problem types."""

from __future__ import annotations

from html import escape
from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from service.api.negotiation import wants_html
from service.api.problems import INTERNAL, PROBLEM_TYPES, ProblemType
from service.errors import UnknownPath

BY_SLUG = {kind.slug: kind for kind in [*PROBLEM_TYPES.values(), INTERNAL]}

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept",
}

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<h1>{title}</h1>
<dl>
{entries}</dl>
</html>
"""

ENTRY = """\
<dt><a href="{prefix}{slug}">{slug}</a>, status {status}</dt>
<dd>{description}</dd>
"""

router = APIRouter(prefix="/problems", include_in_schema=False)


@router.get("")
async def problem_types(request: Request) -> Response:
    """Return every problem type, as HTML for a browser and as JSON otherwise."""
    if wants_html(request.headers.get("accept", "")):
        entries = "".join(_entry(kind, "problems/") for kind in BY_SLUG.values())
        return HTMLResponse(PAGE.format(title="Problem types", entries=entries), headers=HEADERS)
    return JSONResponse({slug: _content(kind) for slug, kind in BY_SLUG.items()}, headers=HEADERS)


@router.get("/{slug}")
async def problem_type(slug: str, request: Request) -> Response:
    """Return one problem type, as HTML for a browser and as JSON otherwise. Raise UnknownPath."""
    if slug not in BY_SLUG:
        raise UnknownPath(f"/problems/{slug}", [f"/problems/{known}" for known in BY_SLUG], "/problems")
    kind = BY_SLUG[slug]
    if wants_html(request.headers.get("accept", "")):
        return HTMLResponse(PAGE.format(title=escape(kind.title), entries=_entry(kind, "")), headers=HEADERS)
    return JSONResponse(_content(kind), headers=HEADERS)


def _content(kind: ProblemType) -> dict[str, object]:
    """Return a problem type with its status, and the status under /v2."""
    v2_status = HTTPStatus.BAD_REQUEST if kind.status == HTTPStatus.UNPROCESSABLE_ENTITY else kind.status
    return {
        "type": f"/problems/{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "v2_status": int(v2_status),
        "description": kind.description,
    }


def _entry(kind: ProblemType, prefix: str) -> str:
    return ENTRY.format(prefix=prefix, slug=kind.slug, status=kind.status, description=escape(kind.description))
