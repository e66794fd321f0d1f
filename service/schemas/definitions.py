"""JSON schemas of the messages of the operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import models_json_schema

from service.schemas.open_inference import InferRequest, InferResponse
from service.schemas.problem import Problem
from service.schemas.requests import request_model
from service.schemas.responses import reply_model

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import BaseModel
    from pydantic.json_schema import JsonSchemaMode

    from service.operations.spec import Operation


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
        models += [(request_model(operation), "validation"), (reply_model(operation), "serialization")]
    _, definitions = models_json_schema(models, ref_template="#/components/schemas/{model}")
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas
