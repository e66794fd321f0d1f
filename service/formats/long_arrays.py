"""Long arrays of a JSON text, cut out and parsed a piece at a time.

A parser takes several times the memory of its text. That of a piece stays in the cache, and is used again for the next.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import simdjson

from service.errors import MalformedBody, RaggedTensor
from service.formats.json_numbers import NUMBER_REASONS, brackets, parse, reason, tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.arrays import Array
    from service.operations.spec import Domain

LONG_BYTES = 2**18
"""Length of a text, and of an array in it, from which on the array is cut out."""

PIECE_BYTES = 2**17
"""Length of a piece, but for its last row; the fastest of 2**14 to 2**20 where a core has 1 MB of L2 cache."""

MOST_ARRAYS = 64
"""Arrays of a text that are looked at; no operation has as many inputs."""

MAX_RANK = 4
"""Axes of an array that is cut out."""

OPENING = re.compile(rb":\s*((?:\[\s*){1,%d})" % (MAX_RANK + 1))
"""A member that is an array, and whether of too many axes."""

CLOSINGS = [re.compile(rb"\]\s*" * rank) for rank in range(MAX_RANK + 1)]
"""The end of an array of each rank from 1 on."""

SEPARATORS = [re.compile(rb"\]\s*" * (rank - 1) + rb",") for rank in range(MAX_RANK + 1)]
"""What stands between two items of an array of each rank."""

PLACEHOLDER = "\0"
"""Begins the string that stands for an array: a text without a backslash cannot hold that character."""

OPEN = ord("[")


class NotAnArray(Exception):
    """What was cut out is no array by itself: only the text as a whole tells what it is."""


class Span(NamedTuple):
    """Where an array is in the text, and how many brackets it opens with."""

    start: int
    end: int
    rank: int


def cut(text: bytes | bytearray) -> tuple[bytes | bytearray, list[Span]]:
    """The text with a string, `PLACEHOLDER` and a number, for each long array, and the spans of the arrays.

    Where an array starts and ends is a guess, which holds for arrays of numbers. Both text and spans are parsed in the
    end, and one of them is refused if a span is not exactly one array: it started in a string, say.
    """
    spans: list[Span] = []
    kept: list[bytes | bytearray] = []
    start = position = 0
    for _ in range(MOST_ARRAYS):
        opening = OPENING.search(text, position)
        if opening is None:
            break
        position, rank = opening.start(1), opening[1].count(b"[")
        end = _end(text, position, rank) if rank <= MAX_RANK else 0
        if end is None:
            break
        if end - position >= LONG_BYTES:
            kept += [text[start:position], b'"\\u0000%d"' % len(spans)]
            spans.append(Span(position, end, rank))
            start = position = end
        else:
            position = opening.end()
    kept.append(text[start:])
    if any(b"\\" in each for each in kept[::2]):
        return text, []
    return b"".join(kept), spans


def _end(text: bytes | bytearray, start: int, rank: int) -> int | None:
    """Where an array of numbers, and excluded classes, would end that starts there.

    0 if it is none, None if nothing of that rank ends in the rest of the text, so that it is not searched again.
    """
    limit = text.find(b'"', start)
    if limit == -1:
        limit = len(text)
    elif text.startswith(b'"-Infinity"', limit):
        closing = CLOSINGS[rank].search(text, start)
        return closing.end() if closing else None
    brace = text.find(b"}", start, limit)
    return text.rfind(b"]", start, limit if brace == -1 else brace) + 1


def parse_skeleton(text: bytes | bytearray) -> Any:
    """The document in a text that arrays were cut out of. Raises NotAnArray, and what `parse` does for its numbers."""
    try:
        return _parse(simdjson.Parser(), text)
    except MalformedBody:
        raise NotAnArray from None


def read(name: str, text: bytes | bytearray, span: Span, domain: Domain) -> Array:
    """The array in a span of the text, as `tensor` would read it. Raises NotAnArray, and ServiceError."""
    parser = simdjson.Parser()
    parts = [_read_piece(name, parser, piece, domain) for piece in _pieces(text, span)]
    if len({part.shape[1:] for part in parts}) > 1:
        raise RaggedTensor(name)
    return np.concatenate(parts)


def _pieces(text: bytes | bytearray, span: Span) -> Iterator[bytes]:
    """Arrays that hold the items of the array in the span, one after the other."""
    view = memoryview(text)
    end = text.rindex(b"]", span.start, span.end)
    start = text.index(b"[", span.start) + 1
    while start <= end:
        separator = SEPARATORS[span.rank].search(text, start + PIECE_BYTES, end)
        stop = end if separator is None else separator.end() - 1
        yield b"".join((b"[", view[start:stop], b"]"))
        start = stop + 1


def _read_piece(name: str, parser: simdjson.Parser, piece: bytes, domain: Domain) -> Array:
    """The items in a piece."""
    items = _parse(parser, piece)
    if not isinstance(items, simdjson.Array) or not len(items):
        raise NotAnArray
    values = tensor(name, items, domain)
    if np.count_nonzero(np.frombuffer(piece, np.uint8) == OPEN) != brackets(values.shape):
        raise RaggedTensor(name)
    return values


def _parse(parser: simdjson.Parser, text: bytes | bytearray) -> Any:
    """The document in a text; only numbers that the parser cannot read are reason for another try."""
    try:
        return parser.parse(text)
    except (ValueError, RuntimeError) as error:
        if reason(error) not in NUMBER_REASONS:
            raise NotAnArray from None
    return parse(text)
