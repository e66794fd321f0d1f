"""JSON: numbers go from the text into arrays, and from arrays into the text, with no Python object for any of them."""

from __future__ import annotations

from itertools import chain, islice
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import orjson
import simdjson

from service.codecs.document import read
from service.codecs.fields import unique
from service.errors import NotAnObject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.codecs.document import Document
    from service.description import Operation

Array = npt.NDArray[Any]

MEDIA_TYPE = "application/json"

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
        if name in domains and document.has_array(value):
            fields[name] = document.tensor(name, value, domains[name])
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


def encode(outputs: Mapping[str, Array], operation: Operation) -> bytes:
    """The outputs of an operation as one JSON object of nested arrays, a number for rank 0.

    Floats are the shortest digits that read back to the same number of their dtype; what is not finite is a string,
    which is looked for only in outputs that may hold such a thing.
    """
    described = operation.named_outputs
    written: dict[str, Any] = {}
    for name, values in outputs.items():
        output = described[name]
        written[name] = values if output.finite or output.integer else writable(values)
    return dumps(written)


def dumps(value: Any) -> bytes:
    """The JSON text of a value that may hold arrays in which all is finite, and what `writable` makes of others."""
    return orjson.dumps(value, plain, orjson.OPT_SERIALIZE_NUMPY)


def plain(values: Array) -> Any:
    """What orjson takes in place of an array that it does not: a copy that is C-contiguous, or a number for rank 0."""
    return np.ascontiguousarray(values) if values.ndim else values[()]


def writable(values: Array) -> Any:
    """An array as `dumps` takes it, as text if something in it is not finite."""
    if values.dtype.kind != "f" or np.count_nonzero(np.isfinite(values)) == values.size:
        return values
    return orjson.Fragment(_with_words(dumps(values), values[~np.isfinite(values)]))


def _with_words(text: bytes, strange: Array) -> bytes:
    """The text with a word in place of each null, which orjson writes for what is not finite."""
    words = [_spelling(value) for value in strange]
    if len(set(words)) == 1:
        return text.replace(b"null", words[0])
    first, *rest = text.split(b"null")
    return first + b"".join(chain.from_iterable(zip(words, rest, strict=True)))


def _spelling(value: float) -> bytes:
    """What JSON has no number for, as ProtoJSON spells it."""
    return b'"NaN"' if isnan(value) else b'"Infinity"' if value > 0 else b'"-Infinity"'
