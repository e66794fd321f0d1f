"""JSON schemas of the messages of the operations, and the models of responses, which serve for nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, create_model
from pydantic.json_schema import models_json_schema

from service.schemas.open_inference import InferRequest, InferResponse
from service.schemas.problem import Problem
from service.schemas.requests import request_model
from service.schemas.tensors import Result, nested, optional

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic.json_schema import JsonSchemaMode

    from service.operations.spec import Operation, Output


def message_schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the schemas of all requests, responses and problems, by name.

    FastAPI would round the bounds of integers to floats.
    """
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (Problem, "serialization"),
        (InferRequest, "validation"),
        (InferResponse, "serialization"),
    ]
    for operation in operations:
        models += [(request_model(operation), "validation"), (_reply_model(operation), "serialization")]
    _, definitions = models_json_schema(models, ref_template="#/components/schemas/{model}")
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas


def _reply_model(operation: Operation) -> type[BaseModel]:
    """Return the response model of an operation, for example SoftmaxReply."""
    fields = {each.name: _output(each) for each in operation.outputs}
    return create_model(
        f"{operation.name.title()}Reply",
        __config__=ConfigDict(extra="forbid"),
        __doc__="The outputs that the request asks for, by name.",
        **fields,
    )


def _output(each: Output) -> Any:
    scalar = int if each.integer else float if each.finite else Result
    return optional(nested(scalar, each.axes), each.doc)
