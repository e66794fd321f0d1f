"""The OpenAPI document: every path, with examples that the service computes."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from service import __version__
from service.api.openapi import examples
from service.api.openapi.components import (
    BEARER,
    BINARY,
    ERROR_HEADERS,
    HEADERS,
    PARAMETERS,
    PROBLEM,
    SECURITY_SCHEMES,
    add_header,
    error_responses,
    parameter,
    schema,
)
from service.api.problems import MEDIA_TYPE
from service.api.wire_formats import INFER_TYPES, JSON, PLAIN_TYPES
from service.formats.open_inference import HEADER_LENGTH
from service.operations import OPERATIONS
from service.schemas.definitions import message_schemas
from service.schemas.service import NAME

if TYPE_CHECKING:
    from fastapi import FastAPI

    from service.operations.spec import Operation
    from service.settings import Settings

SUMMARY = "Softmax, cross-entropy loss and its analytic gradient for batches of logits."

DESCRIPTION = """\
For logits `z` of `K` classes, temperature `T` and targets `t`:

    p_i     = exp(z_i / T) / sum_j exp(z_j / T)      softmax
    L       = -sum_i t_i ln p_i                      cross-entropy; L = -ln p_y for class y
    dL/dz_i = (p_i - t_i) / T                        gradient with respect to the logits
    dL/dW   = sum_n dL/dz[n] outer x[n]              with respect to the weights of a layer z = W x + b
    W      := W - learning_rate * dL/dW              one step of gradient descent

- **Tensors** are nested arrays with a name. In a shape, `...` is any number of batch axes (none for a single sample),
  `K` the classes, always last, and `D` the features in front of the layer.
- **Excluded classes**: `mask` excludes a class with false or 0, as `"-Infinity"` in the logits does.
- **Non-finite results**: a result may be `"Infinity"`, `"-Infinity"` or `"NaN"`.
- **Outputs**: `outputs` selects the outputs of an operation. Each operation has defaults.
- **NumPy files**: a `.npy` body is the logits, a `.npz` body has inputs by name. The parameters are in the query
  string: `?temperature=2&outputs=loss,entropy`. The response is a NumPy file too.
- **Compressed** bodies: `Content-Encoding: gzip`, `deflate` or `zstd`.
- **Errors** are RFC 9457 problems; `detail` says what to change. A 405 lists the methods of the path in the header
  `Allow`.
"""

FORMATS = {"number": "double", "integer": "int64"}

TAGS = [
    {"name": "operations", "description": "Softmax, its cross-entropy, and the gradient of the cross-entropy."},
    {"name": "open-inference", "description": "The same operations for clients of inference servers (KServe V2)."},
    {"name": "service", "description": "Health, limits and metrics."},
]


def document(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of an application."""
    openapi = get_openapi(
        title=NAME,
        version=__version__,
        summary=SUMMARY,
        description=DESCRIPTION,
        tags=TAGS,
        license_info={"name": "MIT", "identifier": "MIT"},
        servers=[{"url": settings.root_path or "/"}],
        routes=app.routes,
    )
    schemas = {**openapi["components"]["schemas"], **message_schemas(OPERATIONS)}
    names = [operation.name for operation in OPERATIONS]
    schemas["Model"] = {"type": "string", "enum": names, "description": "The name of a model."}
    _remove_titles(schemas)
    _add_formats(schemas)
    for operation in OPERATIONS:
        _allow_null(schemas[f"{operation.name.title()}Request"])
    security: list[dict[str, list[str]]] = [{BEARER: []}] if settings.needs_key else [{}, {BEARER: []}]
    paths = {f"/{operation.name}": {"post": _operation(operation, settings)} for operation in OPERATIONS}
    paths |= openapi["paths"]
    for path, name in (("", "v2_infer"), ("/versions/{version}", "v2_version_infer")):
        paths[f"/v2/models/{{model}}{path}/infer"] = {"post": _inference(name)}
    for path, methods in paths.items():
        for item in methods.values():
            if path.startswith("/v2/models/{model}"):
                _complete_model(item, path)
            _complete(item, schemas)
            if str(HTTPStatus.UNAUTHORIZED.value) in item["responses"]:
                item["security"] = security
    return {
        **openapi,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": HEADERS,
            "parameters": PARAMETERS,
            "securitySchemes": SECURITY_SCHEMES,
        },
        "security": [],
    }


def _remove_titles(schemas: dict[str, Any]) -> None:
    """Remove the title of every field: it repeats the name."""
    for each in schemas.values():
        for field in each.get("properties", {}).values():
            field.pop("title", None)


def _allow_null(request: dict[str, Any]) -> None:
    """Allow null in place of every field of a request: it means that the field is left out."""
    for name, field in request["properties"].items():
        outer = {key: field.pop(key) for key in ("description", "default") if key in field}
        request["properties"][name] = {"anyOf": [*field.get("anyOf", [field]), {"type": "null"}], **outer}


def _add_formats(node: Any) -> None:
    """Add the format of every number: a generator takes it for a float of 32 bits otherwise."""
    if isinstance(node, list):
        for each in node:
            _add_formats(each)
    elif isinstance(node, dict):
        for each in node.values():
            _add_formats(each)
        kind = node.get("type")
        # a field may have the name "type", too
        if isinstance(kind, str) and kind in FORMATS:
            node.setdefault("format", FORMATS[kind])


def _operation(operation: Operation, settings: Settings) -> dict[str, Any]:
    """Return the description of a plain endpoint."""
    name = operation.name.title()
    request = dict.fromkeys(PLAIN_TYPES, BINARY)
    request[JSON] = {"schema": schema(f"{name}Request"), "examples": examples.requests(operation.examples)}
    reply = request | {
        JSON: {"schema": schema(f"{name}Reply"), "examples": examples.replies(operation, operation.examples)}
    }
    responses = {"200": {"content": reply}, **error_responses()}
    for status, refused in examples.refusals(operation, settings, PLAIN_TYPES).items():
        media = PROBLEM["content"][MEDIA_TYPE]
        responses[str(status)]["content"] = {MEDIA_TYPE: {**media, "examples": refused}}
    return {
        "tags": ["operations"],
        "summary": operation.summary,
        "description": operation.doc,
        "operationId": operation.name,
        "parameters": [parameter("RequestID")],
        "requestBody": {
            "required": True,
            "description": "A JSON object with inputs and parameters by name, or a NumPy file.",
            "content": request,
        },
        "responses": responses,
    }


def _inference(name: str) -> dict[str, Any]:
    """Return the description of an infer endpoint, except its path parameters."""
    request = dict.fromkeys(INFER_TYPES, BINARY)
    request[JSON] = {"schema": schema("InferRequest"), "examples": examples.inference_requests()}
    reply = request | {JSON: {"schema": schema("InferResponse"), "examples": examples.inference_replies()}}
    responses = {"200": {"content": reply}, **error_responses(HTTPStatus.BAD_REQUEST)}
    add_header(responses["200"], HEADER_LENGTH)
    return {
        "tags": ["open-inference"],
        "summary": "Run an operation",
        "description": "Run an operation on named tensors, as JSON or with binary data behind the JSON.",
        "operationId": name,
        "parameters": [parameter("HeaderLength"), parameter("RequestID")],
        "requestBody": {
            "required": True,
            "description": "JSON. Tensors with a `binary_data_size` in place of `data` follow as bytes.",
            "content": request,
        },
        "responses": responses,
    }


def _complete_model(item: dict[str, Any], path: str) -> None:
    """Add the path parameters of a model, and the response to an unknown one."""
    parameters = [parameter("Model"), parameter("Version")] if "{version}" in path else [parameter("Model")]
    item["parameters"] = parameters + [each for each in item.get("parameters", []) if "$ref" in each]
    item["responses"]["404"] = {**PROBLEM, "description": "The model or its version does not exist."}


def _complete(item: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Add the errors of every path, the headers of every response, and a description where there is none."""
    responses = item["responses"]
    success = responses["200"]
    reply = success.get("content", {}).get(JSON, {}).get("schema", {}).get("$ref")
    if reply is not None:
        success["description"] = schemas[reply.rpartition("/")[2]]["description"]
        item.setdefault("description", success["description"])
    responses["default"] = {**PROBLEM, "description": "Any other error; 500 is a bug of the service."}
    for status, response in responses.items():
        headers = ERROR_HEADERS.get(status, ()) if MEDIA_TYPE in response.get("content", ()) else ()
        for name in ("X-Request-ID", "Server-Timing", *headers):
            add_header(response, name)
    item["responses"] = dict(sorted(responses.items()))
