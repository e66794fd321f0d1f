"""JSON: numbers go from the text into arrays, and from arrays into the text, with no Python object for any of them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import simdjson
import ssrjson

from service.codecs.document import read
from service.codecs.fields import unique
from service.errors import NotAnObject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from service.codecs import Piece
    from service.codecs.document import Document
    from service.description import Operation, Output

Array = npt.NDArray[Any]

MEDIA_TYPE = "application/json"

PIECE_ELEMENTS = 2**16
"""Elements of an array that are written at once, but for the last rows."""

ssrjson.setup_numpy_types(np)

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


def encode(outputs: Mapping[str, Array], operation: Operation) -> list[Piece]:
    """The outputs of an operation as one JSON object of nested arrays, a number for rank 0, piece by piece."""
    described = operation.named_outputs
    content: list[Piece] = []
    before = b'{"'
    for name, values in outputs.items():
        content += (before, name.encode(), b'":', *written(values, described[name]))
        before = b',"'
    content.append(b"}")
    return content


def written(values: Array, output: Output) -> Sequence[Piece]:
    """The text of an output, nested arrays, in pieces that stay in the cache.

    Floats are the shortest digits that read back to the same number of their dtype; what is not finite is a string, which
    is looked for only where there may be such a thing.
    """
    if values.size > PIECE_ELEMENTS:
        return [*_in_pieces(values, output)]
    if not values.flags.c_contiguous:
        values = np.ascontiguousarray(values)
    text = ssrjson.dumps_to_bytes(values if values.ndim else values[()])
    if not (output.finite or output.integer):
        finite = np.isfinite(values)
        if np.count_nonzero(finite) < values.size:
            text = _quoted(text, values[~finite])
    return (text,)


def _in_pieces(values: Array, output: Output) -> Iterator[Piece]:
    """The text of a long array."""
    rows = PIECE_ELEMENTS * len(values) // values.size
    before = b"["
    for start in range(0, len(values), rows or 1):
        yield before
        if rows:
            (text,) = written(values[start : start + rows], output)
            # without the outer brackets
            yield memoryview(text)[1:-1]
        else:
            yield from written(values[start], output)
        before = b","
    yield b"]"


def _quoted(text: bytes, strange: Array) -> bytes:
    """The text of numbers with quotes around those of them that are not finite: ProtoJSON's spelling."""
    if np.isnan(strange).any():
        text = text.replace(b"NaN", b'"NaN"')
    if np.isinf(strange).any():
        text = text.replace(b"Infinity", b'"Infinity"').replace(b'-"', b'"-')
    return text


def dumps(value: Any) -> bytes:
    """The JSON text of a value that may hold C-contiguous arrays of finite numbers, none of rank 0."""
    return ssrjson.dumps_to_bytes(value)
