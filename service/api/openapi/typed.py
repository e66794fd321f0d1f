"""The OpenAPI document for code generators: batches only, JSON only, and one type for each field.

OpenAPI 3.0, because every generator reads it. A non-finite result is a string, which no type says; a response to valid
logits within range has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service import __version__
from service.api.openapi import examples
from service.api.openapi.components import BEARER, SECURITY_SCHEMES, schema
from service.api.problems import MEDIA_TYPE
from service.api.wire_formats import JSON
from service.operations import OPERATIONS
from service.operations.spec import Domain
from service.schemas.problem import Problem
from service.schemas.service import NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.operations.spec import Axes, Operation, Output, Parameter
    from service.settings import Settings

Schema = dict[str, Any]

DESCRIPTION = """\
The operations on batches of logits, for code generators. `/openapi.json` describes everything else: single samples,
higher ranks, probability targets, `"-Infinity"` in logits, binary formats and the Open Inference Protocol.

A result that is not finite is the string `"Infinity"`, `"-Infinity"` or `"NaN"`, which these types do not have. To exclude
a class, use `mask` or a very negative logit, such as -1e300.
"""

NUMBER: Schema = {"type": "number", "format": "double"}
INTEGER: Schema = {"type": "integer", "format": "int64"}

TENSORS: dict[str, Schema] = {
    "Vector": {"type": "array", "items": NUMBER, "description": "A number for each row or class."},
    "Matrix": {"type": "array", "items": schema("Vector"), "description": "A vector for each row."},
    "Matrices": {"type": "array", "items": schema("Matrix"), "description": "A matrix for each row."},
    "IntegerVector": {"type": "array", "items": INTEGER, "description": "A class index or a count for each row."},
    "IntegerMatrix": {"type": "array", "items": schema("IntegerVector"), "description": "Class indices for each row."},
    "BooleanVector": {"type": "array", "items": {"type": "boolean"}, "description": "True for a class to keep."},
    "BooleanMatrix": {
        "type": "array",
        "items": schema("BooleanVector"),
        "description": "The classes to keep for each row.",
    },
}
"""Schemas of tensors by name."""

NAMES = {
    (1, "number"): "Vector",
    (2, "number"): "Matrix",
    (3, "number"): "Matrices",
    (1, "integer"): "IntegerVector",
    (2, "integer"): "IntegerMatrix",
    (2, "boolean"): "BooleanMatrix",
}
"""Names of TENSORS by rank and kind of element."""

KINDS = {Domain.TARGETS: "integer", Domain.MASK: "boolean"}
"""Kinds of the elements of inputs that are not numbers with a fraction."""

ONE_NUMBER = ("mean", "sum")
"""The reductions whose loss is one number. `row_losses` has the loss of each row."""


def typed_document(settings: Settings) -> dict[str, Any]:
    """Return the OpenAPI document for code generators."""
    schemas: dict[str, Schema] = {**TENSORS, **_problem()}
    for operation in OPERATIONS:
        schemas[f"{operation.name.title()}Request"] = _request(operation)
        schemas[f"{operation.name.title()}Reply"] = _reply(operation)
        for parameter in operation.parameters:
            if parameter.choices:
                schemas[parameter.name.title()] = _choice(parameter)
    # one enumeration for all operations: in Go and C, the names of its members are global
    named = {output.name: None for operation in OPERATIONS for output in _outputs(operation)}
    schemas["Output"] = {"type": "string", "enum": list(named), "description": "The name of an output."}
    schemas["Outputs"] = {"type": "array", "items": schema("Output"), "description": "Names of outputs."}
    return {
        "openapi": "3.0.3",
        "info": {
            "title": NAME,
            "version": __version__,
            "description": DESCRIPTION,
            "license": {"name": "MIT", "url": "https://spdx.org/licenses/MIT.html"},
        },
        "tags": [{"name": "operations", "description": "Softmax, its cross-entropy, and the gradient of it."}],
        "servers": [{"url": settings.root_path or "/"}],
        "paths": {f"/{operation.name}": {"post": _path(operation)} for operation in OPERATIONS},
        "components": {"schemas": schemas} | ({"securitySchemes": SECURITY_SCHEMES} if settings.needs_key else {}),
        # generators ask for a key wherever one is possible
        "security": [{BEARER: []}] if settings.needs_key else [],
    }


def _problem() -> dict[str, Schema]:
    """Return the schemas of a problem and of its places, in the terms of OpenAPI 3.0."""
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas: dict[str, Schema] = {**problem.pop("$defs"), "Problem": problem}
    for each in schemas.values():
        del each["title"]
        for field in each["properties"].values():
            del field["title"]
            field.pop("examples", None)
    problem["properties"]["status"] |= INTEGER
    # a name or an index
    schemas["ProblemError"]["properties"]["loc"]["items"] = {}
    return schemas


def _path(operation: Operation) -> dict[str, Any]:
    """Return the description of POST for an operation."""
    name = operation.name.title()
    shown = [example for example in operation.examples if _is_typed(operation, example.request)]
    requests, replies = examples.requests(shown), examples.replies(operation, shown)
    return {
        "tags": ["operations"],
        "summary": operation.summary,
        "description": operation.doc,
        "operationId": operation.name,
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": schema(f"{name}Request"), "examples": requests}},
        },
        "responses": {
            "200": {
                "description": "The outputs that the request asked for.",
                "content": {JSON: {"schema": schema(f"{name}Reply"), "examples": replies}},
            },
            "default": {"description": "An error.", "content": {MEDIA_TYPE: {"schema": schema("Problem")}}},
        },
    }


def _request(operation: Operation) -> Schema:
    """Return the schema of a request. No field is required: generators cannot express alternatives."""
    fields = {
        tensor.name: _tensor(tensor.axes[0], tensor.doc, KINDS.get(tensor.domain, "number"))
        for tensor in operation.inputs
    }
    fields |= {parameter.name: _parameter(parameter) for parameter in operation.parameters}
    fields["outputs"] = {
        # as a list of its own, it would be sent by Java's client even if it is empty
        "allOf": [schema("Outputs")],
        "description": f"The outputs to return. The defaults are {', '.join(operation.default_outputs)}, if available.",
    }
    return {"type": "object", "description": operation.doc, "properties": fields}


def _reply(operation: Operation) -> Schema:
    """Return the schema of a response."""
    fields = {
        output.name: _tensor(output.axes[0], output.doc, "integer" if output.integer else "number")
        for output in _outputs(operation)
    }
    return {"type": "object", "description": "The outputs that the request asked for.", "properties": fields}


def _outputs(operation: Operation) -> list[Output]:
    """Return the outputs of an operation that a typed request can have: it has no probability targets."""
    return [output for output in operation.outputs if "teacher_logits" not in output.unless]


def _tensor(axes: Axes, doc: str, kind: str) -> Schema:
    """Return the schema of a tensor for a batch of rows. kind: "number", "integer" or "boolean"."""
    if not axes:
        return {**(INTEGER if kind == "integer" else NUMBER), "description": doc}
    # a reference allows no description beside it, except in a list of one
    return {"allOf": [schema(NAMES[len(axes), kind])], "description": doc}


def _parameter(parameter: Parameter) -> Schema:
    """Return the schema of a parameter, without a default: some generators would send it."""
    if parameter.choices:
        return {"allOf": [schema(parameter.name.title())], "description": parameter.doc}
    kinds: Mapping[type, Schema] = {float: NUMBER, int: INTEGER, str: {"type": "string"}, bool: {"type": "boolean"}}
    return {**kinds[parameter.type], "description": parameter.doc}


def _choice(parameter: Parameter) -> Schema:
    """Return the schema of the words of a parameter."""
    words = ONE_NUMBER if parameter.name == "reduction" else parameter.choices
    return {"type": "string", "enum": list(words), "description": parameter.doc}


def _is_typed(operation: Operation, request: Mapping[str, Any]) -> bool:
    """Return whether a request has the types of this document."""
    ranks = {tensor.name: len(tensor.axes[0]) for tensor in operation.inputs}
    return all(_depth(value) == ranks[name] for name, value in request.items() if name in ranks) and not (
        "-Infinity" in str(request) or request.get("reduction") == "none"
    )


def _depth(value: float | Sequence[Any]) -> int:
    return 1 + _depth(value[0]) if isinstance(value, list) else 0
