"""Problem responses (RFC 9457): the table from error to status, and the one function that builds a response."""

from __future__ import annotations

import logging
import random
import re
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from fastapi.routing import iter_route_contexts
from starlette.responses import Response
from starlette.routing import Route, compile_path

from service import errors
from service.errors import MAX_ERRORS, ServiceError
from service.formats import json_encode
from service.formats.compression import ENCODINGS

if TYPE_CHECKING:
    from starlette.exceptions import HTTPException
    from starlette.requests import Request

    from service.errors import TooLarge
    from service.settings import Settings

log = logging.getLogger("service")

MEDIA_TYPE = "application/problem+json"

CLIENT_CLOSED_REQUEST = 499
"""Status in the log where the client left before a response."""

RETRY_SECONDS = (1, 5)
"""Range of Retry-After, so that clients do not all return at once."""


class ProblemType(NamedTuple):
    """Properties of all problems of one type."""

    status: int
    slug: str
    title: str
    description: str

    @classmethod
    def of(cls, error: type[ServiceError], status: int) -> ProblemType:
        """Return the type of an error: its class name gives slug and title, its docstring the description."""
        words = re.sub(r"(?<!^)(?=[A-Z])", " ", error.__name__).lower()
        return cls(status, words.replace(" ", "-"), words.capitalize(), (error.__doc__ or "").splitlines()[0])


class ProblemResponse(NamedTuple):
    """A whole response: everything except X-Request-ID and Server-Timing, which every response has."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


INTERNAL = ProblemType(500, "internal-error", "Internal error", "The service has a bug.")

INTERNAL_DETAIL = "The service failed; please report this with the request id."

STATUSES: dict[int, tuple[type[ServiceError], ...]] = {
    400: (
        errors.MalformedHeader,
        errors.InvalidHost,
        errors.UntrustedHost,
        errors.RefusedPreflight,
        errors.MalformedBody,
        errors.InvalidDatatype,
    ),
    401: (errors.Unauthenticated,),
    404: (errors.UnknownPath, errors.UnknownModel),
    405: (errors.UnknownMethod,),
    406: (errors.UnwritableMediaType,),
    408: (errors.SlowBody,),
    413: (errors.BodyTooLarge, errors.TensorTooLarge, errors.TooMuchWork),
    415: (errors.UnreadableMediaType, errors.UnreadableEncoding),
    422: (
        errors.NotAnObject,
        errors.UnknownField,
        errors.DuplicateField,
        errors.MissingField,
        errors.ConflictingFields,
        errors.InvalidParameter,
        errors.InvalidOutputs,
        errors.RaggedTensor,
        errors.NotANumber,
        errors.NumberOutOfRange,
        errors.ShapeMismatch,
        errors.EmptyAxis,
        errors.InvalidValue,
        errors.NonFiniteLogit,
        errors.ExcludedRow,
        errors.InvalidLabel,
    ),
    503: (errors.Overloaded, errors.Draining),
}  # fmt: skip
"""The errors of each HTTP status."""

PROBLEM_TYPES: dict[type[ServiceError], ProblemType] = {
    error: ProblemType.of(error, status) for status, classes in STATUSES.items() for error in classes
}
"""The problem type of each error."""

BEARER = b'Bearer realm="softmax-service"'
"""The challenge to a client without a key (RFC 6750)."""

PLACES: dict[type[ServiceError], str] = {
    errors.MalformedHeader: "head",
    errors.InvalidHost: "Host",
    errors.UntrustedHost: "Host",
    errors.MalformedBody: "body",
    errors.NotAnObject: "body",
    errors.Unauthenticated: "Authorization",
    errors.UnknownPath: "path",
    errors.UnknownModel: "path",
    errors.UnknownMethod: "method",
    errors.UnwritableMediaType: "Accept",
    errors.SlowBody: "body",
    errors.BodyTooLarge: "body",
    errors.TooMuchWork: "body",
    errors.UnreadableMediaType: "Content-Type",
    errors.UnreadableEncoding: "Content-Encoding",
}
"""The place of an error that names none: a header, or a part of the request."""


def problem_response(error: Exception, request_id: str, invalid_status: int = 422) -> ProblemResponse:
    """Return the response to an error. Log an error that is a bug of the service, and answer it with status 500.

    invalid_status: the status that stands for 422; the Open Inference Protocol has 400.
    """
    kind = PROBLEM_TYPES.get(type(error))  # type: ignore[arg-type]  # any other class is a bug
    if kind is None or not isinstance(error, ServiceError):
        log.error("request %s failed", request_id, exc_info=error)
        error, kind = ServiceError(INTERNAL_DETAIL), INTERNAL
    status = invalid_status if kind.status == HTTPStatus.UNPROCESSABLE_ENTITY else kind.status
    places = [{"loc": loc, "msg": msg} for loc, msg in islice(error.locations, MAX_ERRORS)]
    if not places and type(error) in PLACES:
        places = [{"loc": (PLACES[type(error)],), "msg": error.detail}]
    content = {
        "type": f"/problems/{kind.slug}",
        "title": kind.title,
        "status": status,
        "detail": error.detail,
        "instance": request_id,
        "errors": places,
        "error": error.detail,
    }
    headers = [(b"content-type", MEDIA_TYPE.encode())]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"%d" % random.randint(*RETRY_SECONDS)))  # noqa: S311  not a secret
    elif status == HTTPStatus.REQUEST_TIMEOUT:
        # RFC 9110, 15.5.9
        headers.append((b"connection", b"close"))
    elif isinstance(error, errors.Unauthenticated):
        # a place means that a key was sent
        headers.append((b"www-authenticate", BEARER + b', error="invalid_token"' * bool(error.locations)))
    elif isinstance(error, errors.UnreadableMediaType):
        headers.append((b"accept", ", ".join(error.accepted).encode()))
    elif isinstance(error, errors.UnreadableEncoding):
        headers.append((b"accept-encoding", ", ".join(ENCODINGS).encode()))
    return ProblemResponse(status, headers, json_encode.dumps(content))


def name_limits(error: TooLarge, settings: Settings) -> None:
    """Add both limits of a request to the sentence of an error."""
    limits = f"A body has at most {settings.max_body_bytes} bytes, and a tensor {settings.max_elements} elements"
    error.detail += f" {limits}; docs/recipes.md shows how to send a batch in parts."


async def handle_error(request: Request, error: Exception) -> Response:
    """Answer an exception that a route raised."""
    path = getattr(request.scope.get("route"), "path", "")
    invalid_status = HTTPStatus.BAD_REQUEST if path.startswith("/v2") else HTTPStatus.UNPROCESSABLE_ENTITY
    return _as_response(problem_response(error, request.state.request_id, invalid_status))


async def handle_disconnect(request: Request, error: Exception) -> Response:  # noqa: ARG001  as Starlette calls it
    """Return a response that nobody receives, so that the request is counted as one whose client left."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def handle_http_exception(request: Request, error: HTTPException) -> Response:
    """Answer a request for which the router found no route."""
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = set(headers["Allow"].split(", "))
        allowed = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
        headers = {"Allow": allowed}
        problem: ServiceError = errors.UnknownMethod(f"This path accepts {allowed} only.")
    else:
        problem = _unknown_path(request)
    response = _as_response(problem_response(problem, request.state.request_id))
    response.headers.update(headers)
    return response


def _unknown_path(request: Request) -> errors.UnknownPath:
    """Return the error for the path of a request."""
    scope = request.scope
    # a folder of files has a root path of its own, and no page
    path = scope["path"].removeprefix(scope.get("app_root_path", scope.get("root_path", "")))
    found = iter_route_contexts(request.app.routes)
    paths = [each.path or "" for each in found if isinstance(each.original_route, Route)]
    bare = path.rstrip("/")
    exists = any(compile_path(template)[0].match(bare) for template in paths)
    return errors.UnknownPath(path, [bare] if exists else paths)


def _as_response(problem: ProblemResponse) -> Response:
    headers = {name.decode(): value.decode() for name, value in problem.headers}
    return Response(problem.body, problem.status, headers)
