"""The OpenAPI document: what FastAPI knows of the routes, with every refusal and with examples that are really run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from fastapi.openapi.utils import get_openapi

from service import __version__
from service.api import problems
from service.codecs import json, numpy
from service.operations import OPERATIONS, run
from service.schemas.messages import request_model

if TYPE_CHECKING:
    from fastapi import FastAPI

    from service.description import Example, Operation
    from service.settings import Settings

TITLE = "softmax-service"

SUMMARY = "Softmax, cross-entropy loss and its analytic gradient for batches of logits, right to the last digits."

DESCRIPTION = """\
For logits `z` of `K` classes and temperature `T`:

- **softmax** `p_i = exp(z_i / T) / sum_j exp(z_j / T)`
- **loss** `L = -sum_i t_i ln p_i`, for one right class `y`: `L = -ln p_y`
- **gradient** `dL/dz_i = p_i - t_i`, for the layer in front `dL/dW = dL/dz outer inputs`, and one step down it

Every input and output is a named tensor, written as nested arrays. Shapes: `...` any number of batch axes (none for a
single sample), `K` classes, always last, `D` features of the layer in front. The string `"-Infinity"` among the logits
excludes a class; a result that is not finite is the string `"Infinity"`, `"-Infinity"` or `"NaN"`.

Array users may send a `.npy` file of logits, or a `.npz` archive whose members carry the names of inputs, with the
parameters by name in the query string (`?temperature=2&outputs=loss,entropy`), and are answered in kind.

Unless `outputs` asks for others, each operation returns the usual ones. A refusal is an RFC 9457 problem whose `detail`
says what to change.
"""

BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
"""A body that is no text."""

BEARER = "bearer"

KEY = "A key of this service, where it has any."

TAGS = [
    {"name": "operations", "description": "The maths."},
    {"name": "open inference", "description": "The same maths for clients of inference servers (KServe V2)."},
    {"name": "service", "description": "Is it alive, what are its limits."},
]


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
            contact={"name": "the softmax-service authors"},
            servers=[{"url": settings.root_path or "/"}],
            routes=app.routes,
        )
        components = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schema["components"]["schemas"] |= {**components.pop("$defs"), "Problem": components}
        for operation in OPERATIONS:
            _complete(schema["paths"][f"/{operation.name}"]["post"], operation)
        for path in ("/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer"):
            infer = schema["paths"][path]["post"]
            infer["requestBody"]["content"]["application/octet-stream"] = BINARY
            infer["responses"]["200"]["content"]["application/octet-stream"] = BINARY
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


def _complete(path: dict[str, Any], operation: Operation) -> None:
    """Adds the examples and their replies to the description of a path."""
    for media_type in (numpy.NPY, numpy.NPZ):
        path["requestBody"]["content"][media_type] = BINARY
        path["responses"]["200"]["content"][media_type] = BINARY
    request = path["requestBody"]["content"][json.MEDIA_TYPE]
    request["examples"] = {each.name: {"summary": each.summary, "value": each.request} for each in operation.examples}
    reply = path["responses"]["200"]
    reply["description"] = "The outputs asked for."
    reply["content"][json.MEDIA_TYPE]["examples"] = {
        each.name: {"summary": each.summary, "value": _answer(operation, each)} for each in operation.examples
    }


def _answer(operation: Operation, example: Example) -> Any:
    """What the service really answers."""
    message = request_model(operation).read(json.decode(orjson.dumps(example.request), operation))
    return orjson.loads(json.encode(run(operation, message.fields, message.wanted)))
