"""Response models of the operations, for the OpenAPI documents."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, create_model

from service.schemas.tensors import Result, nested, optional

if TYPE_CHECKING:
    from service.operations.spec import Operation, Output


@cache
def reply_model(operation: Operation) -> type[BaseModel]:
    """Return the response model of an operation, for example SoftmaxReply. It is documentation: responses are arrays."""
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
