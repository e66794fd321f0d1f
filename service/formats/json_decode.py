"""Decode a JSON body: numbers go from the text into arrays, with no Python object for any of them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import simdjson

from service.errors import NotAnObject
from service.formats.json_document import read
from service.formats.names import unique

if TYPE_CHECKING:
    from service.formats.json_document import Document
    from service.operations.spec import Operation

LONGEST_LIST = 64
"""Items that are looked at of a list which is no tensor; no operation has as many outputs."""


def decode(body: bytes | bytearray, operation: Operation) -> dict[str, Any]:
    """The fields of a JSON object: tensors as arrays, anything else as Python objects.

    Raises MalformedBody, NotAnObject, UnknownField, DuplicateField, RaggedTensor, NotANumber, NumberOutOfRange.
    """
    return read(body, _fields, operation)


def _fields(document: Document, operation: Operation) -> dict[str, Any]:
    root = document.root
    if not isinstance(root, simdjson.Object):
        raise NotAnObject("The body must be a JSON object with named fields.")
    domains = operation.domains
    fields: dict[str, Any] = {}
    lists = 0
    for name in unique(root.keys(), operation.names):
        value = root[name]
        tensor = document.tensor(name, value, domains[name]) if name in domains else None
        if tensor is not None:
            fields[name] = tensor
        elif isinstance(value, simdjson.Array):
            fields[name] = _list(value)
            lists += 1
        else:
            fields[name] = {} if isinstance(value, simdjson.Object) else value
    document.check_depths(others=lists)
    return fields


def _list(value: simdjson.Array) -> list[Any]:
    """A list that is no tensor: its first items, with an empty object for whatever is nested."""
    items = islice(value, LONGEST_LIST)
    return [{} if isinstance(item, simdjson.Array | simdjson.Object) else item for item in items]
