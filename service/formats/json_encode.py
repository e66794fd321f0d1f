"""Encode outputs as JSON: numbers go from arrays into the text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from service.formats import codecs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from service.arrays import Array
    from service.formats import Piece

MEDIA_TYPE = "application/json"

PIECE_ELEMENTS = 2**14
"""Elements of an array that are written at once. More take longer with the portable codec, and more memory."""


def encode(outputs: Mapping[str, Array]) -> list[Piece]:
    """Return the outputs of an operation as one JSON object of nested arrays, in one piece if it is short.

    An array of rank 0 is a number. Floats have the fewest digits that read back to the same number of their dtype. A
    non-finite number is a string.
    """
    if sum([values.size for values in outputs.values()]) <= PIECE_ELEMENTS:
        return [codecs.active.write(outputs)]
    content: list[Piece] = []
    before = b'{"'
    for name, values in outputs.items():
        content += (before, name.encode(), b'":', *array_text(values))
        before = b',"'
    content.append(b"}")
    return content


def array_text(values: Array) -> Sequence[Piece]:
    """Return the text of an array, in pieces that fit into the cache."""
    if values.size > PIECE_ELEMENTS:
        return [*_pieces(values)]
    return (codecs.active.write(values),)


def _pieces(values: Array) -> Iterator[Piece]:
    """Yield the text of a long array."""
    rows = PIECE_ELEMENTS * len(values) // values.size
    before = b"["
    for start in range(0, len(values), rows or 1):
        yield before
        if rows:
            (text,) = array_text(values[start : start + rows])
            # without the outer brackets
            yield memoryview(text)[1:-1]
        else:
            yield from array_text(values[start])
        before = b","
    yield b"]"


def dumps(value: Any) -> bytes:
    """Return the JSON text of a value without arrays."""
    return to_json(value)
