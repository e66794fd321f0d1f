"""Encode outputs as JSON: numbers go from arrays into the text, with no Python object for any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import ssrjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from service.arrays import Array
    from service.formats import Piece
    from service.operations.spec import Operation, Output

MEDIA_TYPE = "application/json"

PIECE_ELEMENTS = 2**16
"""Elements of an array that are written at once; of 2**14 to 2**17 the fastest where a core has 1 MB of L2 cache."""

# once, for the whole process: until then it writes no arrays
ssrjson.setup_numpy_types(np)


def encode(outputs: Mapping[str, Array], operation: Operation) -> list[Piece]:
    """The outputs of an operation as one JSON object of nested arrays, a number for rank 0: at once if they are short.

    Floats are the shortest digits that read back to the same number of their dtype; what is not finite is a string.
    """
    described = operation.named_outputs
    members: dict[str, Any] = {}
    floats: list[Array] = []
    size = 0
    for name, values in outputs.items():
        size += values.size
        # most are as they must be, which is told without a call
        members[name] = values if values.ndim and values.flags.c_contiguous else _plain(values)
        if not described[name].finite:
            floats.append(values)
    if size <= PIECE_ELEMENTS:
        return [_text(members, floats)]
    content: list[Piece] = []
    before = b'{"'
    for name, values in outputs.items():
        content += (before, name.encode(), b'":', *written(values, described[name]))
        before = b',"'
    content.append(b"}")
    return content


def written(values: Array, output: Output) -> Sequence[Piece]:
    """The text of one output, in pieces that stay in the cache."""
    if values.size > PIECE_ELEMENTS:
        return [*_in_pieces(values, output)]
    return (_text(_plain(values), () if output.finite else (values,)),)


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


def _plain(values: Array) -> Any:
    """What stands for an array in a value to be written: one that is C-contiguous, or a number for rank 0."""
    return np.asarray(values, order="C") if values.ndim else values[()]


def _text(value: Any, floats: Sequence[Array]) -> bytes:
    """The text of a value; floats: those of the arrays in it that may hold what is not finite, which ProtoJSON puts in quotes."""
    text = ssrjson.dumps_to_bytes(value)
    for values in floats:
        if np.count_nonzero(np.isfinite(values)) < values.size:
            return _quoted(text, floats)
    return text


def _quoted(text: bytes, floats: Sequence[Array]) -> bytes:
    """The text of numbers, and names of outputs, with quotes around what is no number."""
    if any(np.isnan(values).any() for values in floats):
        text = text.replace(b"NaN", b'"NaN"')
    return text.replace(b"Infinity", b'"Infinity"').replace(b'-"', b'"-')


def dumps(value: Any) -> bytes:
    """The JSON text of a value that may hold C-contiguous arrays of finite numbers, none of rank 0."""
    return ssrjson.dumps_to_bytes(value)
