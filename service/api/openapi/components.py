"""Parts that several paths of an OpenAPI document share."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from service.api.openapi.examples import REQUEST_ID
from service.api.problems import MEDIA_TYPE, PROBLEM_TYPES
from service.formats.open_inference import HEADER_LENGTH, VERSION

BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
"""A body that is not text."""

BEARER = "bearer"

SECURITY_SCHEMES = {BEARER: {"type": "http", "scheme": "bearer", "description": "An API key, if the service has keys."}}

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "The id of the request: the id that the client sent, or a new one.",
        "schema": {"type": "string"},
        "example": REQUEST_ID,
    },
    "Server-Timing": {
        "description": "Milliseconds of each stage of an operation, and until the response began.",
        "schema": {"type": "string"},
        "example": "decode;dur=0.021, compute;dur=0.038, encode;dur=0.006, total;dur=0.164",
    },
    "Retry-After": {
        "description": "Seconds to wait before a retry.",
        "schema": {"type": "integer", "format": "int64", "minimum": 1},
        "example": 2,
    },
    "WWW-Authenticate": {
        "description": "The authentication scheme, with an error code if a key was sent.",
        "schema": {"type": "string"},
        "example": 'Bearer realm="softmax-service"',
    },
    "Accept": {
        "description": "The accepted formats of the body, if its Content-Type is not one of them.",
        "schema": {"type": "string"},
        "example": "application/json, application/x-npy, application/x-npz",
    },
    "Accept-Encoding": {
        "description": "The accepted compressions of the body, if its Content-Encoding is not one of them.",
        "schema": {"type": "string"},
        "example": "gzip, x-gzip, deflate",
    },
    HEADER_LENGTH: {
        "description": "Bytes of JSON at the start of a body that has binary tensors behind it.",
        "schema": {"type": "integer", "format": "int64", "minimum": 0},
    },
}
"""Response headers by name."""

ERROR_HEADERS = {"401": ("WWW-Authenticate",), "415": ("Accept", "Accept-Encoding"), "503": ("Retry-After",)}
"""The headers that an error status adds."""

PARAMETERS: dict[str, dict[str, Any]] = {
    "RequestID": {
        "name": "X-Request-ID",
        "in": "header",
        "description": "An id for the response and the log: 1 to 128 letters, digits and `._:/+=@-`. "
        "Any other value is replaced.",
        "schema": {"type": "string"},
    },
    "HeaderLength": {"name": HEADER_LENGTH, "in": "header", **HEADERS[HEADER_LENGTH]},
    "Model": {
        "name": "model",
        "in": "path",
        "required": True,
        "description": "An operation.",
        "schema": {"$ref": "#/components/schemas/Model"},
    },
    "Version": {
        "name": "version",
        "in": "path",
        "required": True,
        "description": "The version of the model.",
        "schema": {"type": "string", "const": VERSION},
        "example": VERSION,
    },
}
"""Request parameters by the name of their component."""

PROBLEM: dict[str, Any] = {
    "description": "A problem.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
"""Any error response."""


def error_responses(invalid_status: int = HTTPStatus.UNPROCESSABLE_ENTITY) -> dict[str, dict[str, Any]]:
    """Return the error responses of an operation by status, each with a list of its problem types.

    invalid_status: the status that stands for 422; the Open Inference Protocol has 400.
    """
    lines: dict[int, list[str]] = {}
    for kind in PROBLEM_TYPES.values():
        if kind.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
            status = invalid_status if kind.status == HTTPStatus.UNPROCESSABLE_ENTITY else kind.status
            lines.setdefault(status, []).append(f"- `{kind.slug}`: {kind.description}")
    return {
        str(status): {"description": "\n".join(lines[status]), "content": PROBLEM["content"]}
        for status in sorted(lines)
    }


def parameter(name: str) -> dict[str, str]:
    """Return a reference to one of PARAMETERS."""
    return {"$ref": f"#/components/parameters/{name}"}


def schema(name: str) -> dict[str, str]:
    """Return a reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def add_header(response: dict[str, Any], name: str) -> None:
    """Add one of HEADERS to a response."""
    response["headers"] = {**response.get("headers", {}), name: {"$ref": f"#/components/headers/{name}"}}
