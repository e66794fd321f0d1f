"""The OpenAPI document: what FastAPI knows of the routes, with every refusal and with examples that are really run."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from service import __version__
from service.api import problems
from service.api.openapi import examples
from service.api.routes import open_inference, operations
from service.formats import json_encode
from service.formats.open_inference import HEADER_LENGTH, VERSION
from service.operations import OPERATIONS
from service.schemas.requests import request_model
from service.schemas.responses import reply_model

if TYPE_CHECKING:
    from fastapi import FastAPI
    from pydantic import BaseModel
    from pydantic.json_schema import JsonSchemaMode

    from service.operations.spec import Operation
    from service.settings import Settings

TITLE = "softmax-service"

SUMMARY = "Softmax, cross-entropy loss and its analytic gradient for batches of logits."

DESCRIPTION = """\
For logits `z` of `K` classes, temperature `T` and targets `t`:

    p_i     = exp(z_i / T) / sum_j exp(z_j / T)      softmax
    L       = -sum_i t_i ln p_i                      cross-entropy; L = -ln p_y for class y
    dL/dz_i = (p_i - t_i) / T                        gradient by the logits
    dL/dW   = sum_n dL/dz[n] outer x[n]              by the weights of a layer z = W x + b
    W      := W - learning_rate * dL/dW              one step of gradient descent

- **Tensors** are nested arrays with a name. In a shape, `...` is any number of batch axes (none for a single sample),
  `K` the classes, always last, `D` the features in front of the layer.
- **Not finite**: `"-Infinity"` among the logits excludes a class; a result may be `"Infinity"`, `"-Infinity"` or `"NaN"`.
- **Outputs**: each operation returns the usual ones unless `outputs` asks for others.
- **Files**: a `.npy` of logits or a `.npz` of inputs by name is answered in kind, with the parameters in the query
  string: `?temperature=2&outputs=loss,entropy`.
- **Compressed** bodies are welcome: `Content-Encoding: gzip` or `deflate`.
- **Refusals** are RFC 9457 problems; `detail` says what to change. A path that answers to other methods names them in the
  header `Allow`.
"""

TAGS = [
    {"name": "operations", "description": "Softmax, its cross-entropy, and the gradient of that."},
    {"name": "open-inference", "description": "The same operations for clients of inference servers (KServe V2)."},
    {"name": "service", "description": "Is it alive, does it take work, what are its limits."},
]

BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
"""A body that is no text."""

BEARER = "bearer"

KEY = "A key of this service, where it has any."

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "The id of the request: the one that came with it, or a new one.",
        "schema": {"type": "string"},
        "example": examples.REQUEST_ID,
    },
    "Server-Timing": {
        "description": "How long each stage took, in milliseconds.",
        "schema": {"type": "string"},
        "example": "decode;dur=0.021, compute;dur=0.038, encode;dur=0.006",
    },
    "Retry-After": {
        "description": "After how many seconds to ask again.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 2,
    },
    "WWW-Authenticate": {
        "description": "How to show a key.",
        "schema": {"type": "string"},
        "example": 'Bearer realm="softmax-service"',
    },
    HEADER_LENGTH: {
        "description": "The bytes of the JSON in front, where tensors follow as raw bytes.",
        "schema": {"type": "integer", "minimum": 0},
    },
}
"""The headers of replies, by name."""

ASIDE = {"401": "WWW-Authenticate", "503": "Retry-After"}
"""The header that a refusal has besides, by its status."""

PARAMETERS: dict[str, dict[str, Any]] = {
    "RequestID": {
        "name": "X-Request-ID",
        "in": "header",
        "description": "An id of your own, which comes back and is in the log: 1 to 128 letters, digits and `._:/+=@-`. For any "
        "other one is made.",
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
        "description": "Its version.",
        "schema": {"type": "string", "const": VERSION},
        "example": VERSION,
    },
}
"""The parameters of requests that several paths share, by the name of their component."""


def document(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """The OpenAPI 3.1 document of an application, made when first asked for."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=TITLE,
            version=__version__,
            summary=SUMMARY,
            description=DESCRIPTION,
            tags=TAGS,
            license_info={"name": "MIT", "identifier": "MIT"},
            servers=[{"url": settings.root_path or "/"}],
            routes=app.routes,
        )
        schema.setdefault("security", [])
        schema["components"] |= {"headers": HEADERS, "parameters": PARAMETERS}
        schemas = schema["components"]["schemas"]
        schemas |= _messages()
        schemas["Model"] = {
            "type": "string",
            "enum": list(open_inference.MODELS),
            "description": "The name of a model.",
        }
        for each in schemas.values():
            for field in each.get("properties", {}).values():
                field.pop("title", None)  # the name again
        for operation in OPERATIONS:
            _complete_operation(schema["paths"][f"/{operation.name}"]["post"], operation, settings)
        for path, methods in schema["paths"].items():
            for each in methods.values():
                if path.startswith("/v2/models/{model}"):
                    _complete_model(each, path)
                _complete(each, schemas)
        _secure(schema, settings)
        app.openapi_schema = schema
    return app.openapi_schema


def _secure(schema: dict[str, Any], settings: Settings) -> None:
    """Says of every operation that it takes a key, and whether it takes no key too."""
    schema["components"]["securitySchemes"] = {BEARER: {"type": "http", "scheme": "bearer", "description": KEY}}
    security: list[dict[str, list[str]]] = [{BEARER: []}] if settings.keys else [{}, {BEARER: []}]
    for path in schema["paths"].values():
        if "post" in path:
            path["post"]["security"] = security


def _messages() -> dict[str, Any]:
    """The schemas of what operations take, give and refuse. FastAPI would round the bounds of integers to floats."""
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [(problems.Problem, "serialization")]
    for operation in OPERATIONS:
        models += [(request_model(operation), "validation"), (reply_model(operation), "serialization")]
    _, definitions = models_json_schema(models, ref_template="#/components/schemas/{model}")
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas


def _complete(path: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Adds what holds of every path: its refusals, the headers of its replies, and words for what has none."""
    responses = path["responses"]
    success = responses["200"]
    answer = success.get("content", {}).get(json_encode.MEDIA_TYPE, {}).get("schema", {}).get("$ref")
    if answer is not None:
        success["description"] = schemas[answer.rpartition("/")[2]]["description"]
        path.setdefault("description", success["description"])
    responses["default"] = {
        **problems.RESPONSE,
        "description": "Any other refusal is a problem too; 500 is a bug here.",
    }
    for status, response in responses.items():
        _add_header(response, "X-Request-ID")
        if status in ASIDE:
            _add_header(response, ASIDE[status])
    path["responses"] = dict(sorted(responses.items()))


def _complete_operation(path: dict[str, Any], operation: Operation, settings: Settings) -> None:
    """Adds the binary bodies, and the examples and their replies."""
    body, reply = path["requestBody"], path["responses"]["200"]
    body["description"] = "An object of inputs and parameters by name, or NumPy's files."
    for media_type in operations.READABLE[1:]:
        body["content"][media_type] = reply["content"][media_type] = BINARY
    body["content"][json_encode.MEDIA_TYPE]["examples"] = examples.requests(operation)
    reply["content"][json_encode.MEDIA_TYPE]["examples"] = examples.replies(operation)
    for status, refused in examples.refusals(operation, settings, operations.READABLE).items():
        path["responses"][str(status)]["content"] = {
            problems.MEDIA_TYPE: {**problems.RESPONSE["content"][problems.MEDIA_TYPE], "examples": refused}
        }
    path["parameters"] = [_parameter("RequestID")]
    _add_header(reply, "Server-Timing")


def _complete_model(path: dict[str, Any], name: str) -> None:
    """Adds what a path of a model takes, and what infer requests look like."""
    path["parameters"] = [_parameter("Model")]
    if "{version}" in name:
        path["parameters"].append(_parameter("Version"))
    path["responses"]["404"] = {**problems.RESPONSE, "description": "There is no such model or version."}
    if not name.endswith("/infer"):
        return
    path["parameters"] += [_parameter("HeaderLength"), _parameter("RequestID")]
    body, reply = path["requestBody"], path["responses"]["200"]
    body["description"] = (
        "JSON; or JSON, and behind it the tensors that it gives a `binary_data_size` in place of `data`."
    )
    body["content"][open_inference.BINARY] = reply["content"][open_inference.BINARY] = BINARY
    body["content"][json_encode.MEDIA_TYPE]["examples"] = examples.inference_requests()
    reply["content"][json_encode.MEDIA_TYPE]["examples"] = examples.inference_replies()
    _add_header(reply, HEADER_LENGTH)
    _add_header(reply, "Server-Timing")
    for status, response in problems.responses().items():
        if status != HTTPStatus.UNPROCESSABLE_ENTITY:
            path["responses"][str(status)] = response


def _parameter(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/parameters/{name}"}


def _add_header(response: dict[str, Any], name: str) -> None:
    response["headers"] = {**response.get("headers", {}), name: {"$ref": f"#/components/headers/{name}"}}
