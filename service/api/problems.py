"""Refusals as RFC 9457 problems: one table from error to status."""

from __future__ import annotations

import random
from http import HTTPStatus
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, Field
from starlette.responses import Response

from service import errors
from service.formats import json_encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.exceptions import HTTPException
    from starlette.requests import Request

    from service.api.context import RequestContext
    from service.errors import Location, ServiceError

MEDIA_TYPE = "application/problem+json"

MOST = 20
"""Entries of `errors` in a problem."""


class ProblemType(NamedTuple):
    """What all problems of a kind share."""

    status: int
    slug: str
    title: str


INTERNAL = ProblemType(500, "internal-error", "Internal error")

PROBLEM_TYPES: dict[type[ServiceError], ProblemType] = {
    errors.MalformedHeader: ProblemType(400, "malformed-header", "Malformed header"),
    errors.MalformedBody: ProblemType(400, "malformed-body", "Malformed body"),
    errors.InvalidDatatype: ProblemType(400, "invalid-datatype", "Invalid datatype"),
    errors.UntrustedHost: ProblemType(400, "untrusted-host", "Untrusted host"),
    errors.Unauthenticated: ProblemType(401, "unauthenticated", "Key needed"),
    errors.UnknownPath: ProblemType(404, "unknown-path", "Unknown path"),
    errors.UnknownMethod: ProblemType(405, "unknown-method", "Unknown method"),
    errors.UnwritableMediaType: ProblemType(406, "unwritable-media-type", "Answer format not available"),
    errors.SlowBody: ProblemType(408, "slow-body", "Body too slow"),
    errors.BodyTooLarge: ProblemType(413, "body-too-large", "Body too large"),
    errors.TensorTooLarge: ProblemType(413, "tensor-too-large", "Tensor too large"),
    errors.TooMuchWork: ProblemType(413, "too-much-work", "Too much work"),
    errors.UnreadableMediaType: ProblemType(415, "unreadable-media-type", "Body format not understood"),
    errors.NotAnObject: ProblemType(422, "not-an-object", "Not an object"),
    errors.UnknownField: ProblemType(422, "unknown-field", "Unknown field"),
    errors.DuplicateField: ProblemType(422, "duplicate-field", "Duplicate field"),
    errors.MissingField: ProblemType(422, "missing-field", "Missing field"),
    errors.ConflictingFields: ProblemType(422, "conflicting-fields", "Conflicting fields"),
    errors.InvalidParameter: ProblemType(422, "invalid-parameter", "Invalid parameter"),
    errors.InvalidOutputs: ProblemType(422, "invalid-outputs", "Invalid outputs"),
    errors.RaggedTensor: ProblemType(422, "ragged-tensor", "Ragged tensor"),
    errors.NotANumber: ProblemType(422, "not-a-number", "Not a number"),
    errors.NumberOutOfRange: ProblemType(422, "number-out-of-range", "Number out of range"),
    errors.ShapeMismatch: ProblemType(422, "shape-mismatch", "Shape mismatch"),
    errors.EmptyAxis: ProblemType(422, "empty-axis", "Empty axis"),
    errors.InvalidValue: ProblemType(422, "invalid-value", "Invalid value"),
    errors.NonFiniteLogit: ProblemType(422, "non-finite-logit", "Non-finite logit"),
    errors.ExcludedRow: ProblemType(422, "excluded-row", "Excluded row"),
    errors.InvalidLabel: ProblemType(422, "invalid-label", "Invalid label"),
    errors.Overloaded: ProblemType(503, "overloaded", "Overloaded"),
    errors.Draining: ProblemType(503, "draining", "Draining"),
}
"""Every refusal, by its class."""


RETRY_SECONDS = (1, 5)
"""Between which a caller is told to ask again: not all at once."""


def headers(kind: ProblemType) -> list[tuple[bytes, bytes]]:
    """What HTTP asks a refusal to say besides its body."""
    if kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return [(b"retry-after", b"%d" % random.randint(*RETRY_SECONDS))]  # noqa: S311
    if kind.status == HTTPStatus.UNAUTHORIZED:
        return [(b"www-authenticate", b'Bearer realm="softmax-service"')]
    if kind.status == HTTPStatus.REQUEST_TIMEOUT:
        return [(b"connection", b"close")]
    return []


class ProblemError(BaseModel):
    """One place that a problem speaks of."""

    loc: list[str | int] = Field(description="A field, and the indices in it.", examples=[["logits", 3, 17]])
    msg: str = Field(description="What is wrong there.")


class Problem(BaseModel):
    """A refusal, RFC 9457. It never repeats the input."""

    type: str = Field(description="The kind of problem; stable.", examples=["/problems/ragged-tensor"])
    title: str = Field(description="The kind of problem, for people.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="One sentence that says what to change.")
    instance: str = Field(description="The request id, as in X-Request-ID.")
    errors: list[ProblemError] = Field(description="Where; at most 20 places.", max_length=MOST)
    error: str = Field(description="The same as detail, for clients of inference servers, which read only this.")


RESPONSE: dict[str, Any] = {
    "description": "A problem.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}},
}
"""Any refusal, as OpenAPI has it."""


def responses() -> dict[int | str, dict[str, Any]]:
    """Every refusal of an operation as OpenAPI has it, by status."""
    statuses = {kind.status for kind in PROBLEM_TYPES.values()} - {404, 405}
    return {
        status: {
            "description": "\n".join(
                f"- `{kind.slug}`: {(error.__doc__ or '').splitlines()[0]}"
                for error, kind in PROBLEM_TYPES.items()
                if kind.status == status
            ),
            "content": RESPONSE["content"],
        }
        for status in sorted(statuses)
    }


def problem(
    kind: ProblemType, status: int, detail: str, request_id: str, locations: Iterable[tuple[Location, str]] = ()
) -> bytes:
    """The body of a problem."""
    content = {
        "type": f"/problems/{kind.slug}",
        "title": kind.title,
        "status": status,
        "detail": detail,
        "instance": request_id,
        "errors": [{"loc": loc, "msg": msg} for loc, msg in islice(locations, MOST)],
        "error": detail,
    }
    return json_encode.dumps(content)


async def refuse(
    context: RequestContext, error: ServiceError, status_of: Callable[[ProblemType], int] = attrgetter("status")
) -> None:
    """Answers with the problem that an error is; status_of: the status of a kind, where it is not the one in the table."""
    kind = PROBLEM_TYPES[type(error)]
    status = status_of(kind)
    content = problem(kind, status, error.detail, context.request_id, error.locations)
    await context.reply(status, MEDIA_TYPE, (content,), headers(kind))


def internal_error_body(request_id: str) -> bytes:
    """The body of what should never have happened."""
    return problem(INTERNAL, INTERNAL.status, "The service failed; please report this with the request id.", request_id)


async def handle_http_exception(request: Request, error: HTTPException) -> Response:
    """Answers what the router found no route for."""
    headers = error.headers or {}
    refusal: ServiceError
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        refusal = errors.UnknownMethod(f"This path answers to {headers['Allow']} only.")
    else:
        refusal = errors.UnknownPath("Nothing lives at this path; GET / names what there is.")
    kind = PROBLEM_TYPES[type(refusal)]
    return Response(
        problem(kind, kind.status, refusal.detail, request.state.request_id), kind.status, headers, MEDIA_TYPE
    )


async def handle_unexpected(request: Request, _: Exception) -> Response:
    """Answers what should never have happened outside of the operations; the server logs it."""
    return Response(internal_error_body(request.state.request_id), INTERNAL.status, media_type=MEDIA_TYPE)
