"""Decode a JSON body: long tensors go from the text into arrays, without a Python object for each number."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from service.errors import NotAnObject
from service.formats.json_document import NOT_AN_OBJECT, Document, is_placeholder
from service.formats.names import check_names
from service.formats.query import merge, parameters

if TYPE_CHECKING:
    from service.operations.spec import Operation


def decode(
    body: bytes | bytearray, operation: Operation, query: str = "", *, max_elements: float = inf
) -> dict[str, Any]:
    """Return the fields of a JSON object and of the query string: tensors as arrays, other fields as Python objects.

    A field that is null is left out.

    max_elements: largest number of elements of a long tensor.

    Raises MalformedBody, NotAnObject, UnknownField, DuplicateField, RaggedTensor, NotANumber, NumberOutOfRange,
    ShapeMismatch and TensorTooLarge.
    """
    document = Document(body, max_elements=max_elements)
    if not isinstance(document.root, dict):
        raise NotAnObject(NOT_AN_OBJECT)
    check_names(document.root, operation)
    domains = operation.domains
    fields: dict[str, Any] = {}
    for name, value in document.root.items():
        if name in domains and value is not None:
            fields[name] = document.tensor(name, value, domains[name])
        elif value is not None:
            # a long array of numbers is neither a parameter nor a list of outputs
            fields[name] = [] if is_placeholder(value) else value
    return merge(fields, parameters(operation, query)) if query else fields
