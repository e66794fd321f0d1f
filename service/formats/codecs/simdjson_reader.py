"""Read numbers with simdjson, straight into an array."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import simdjson

from service.formats.codecs import portable
from service.formats.codecs.numbers import NotNumbers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.arrays import Array

OPENING_BRACKET = ord("[")


class SimdjsonReader:
    """Reader that keeps the memory of its parser from one text to the next."""

    def __init__(self) -> None:
        self._parser = simdjson.Parser()

    def __call__(self, text: bytes, *, integers: bool) -> Array:
        """Return the rectangular array of numbers that a JSON text holds. Raises NotNumbers."""
        try:
            value: Any = self._parser.parse(text)
        except (ValueError, RuntimeError):
            # it has no integers of more than 64 bits
            return portable.read(text, integers=integers)
        try:
            shape = _shape(value)
            array = _numbers(value, integers=integers).reshape(shape)
        except (TypeError, ValueError, RuntimeError):
            raise NotNumbers from None
        # [1, [2]] has the numbers of [1, 2], and a bracket more
        if np.count_nonzero(np.frombuffer(text, np.uint8) == OPENING_BRACKET) != _count_brackets(shape):
            raise NotNumbers
        return array


def _shape(value: Any) -> tuple[int, ...]:
    """Return the shape that the first item of each level suggests. Raises TypeError and ValueError if another differs."""
    shape = [len(value)]
    first: Any = value
    while shape[-1] and isinstance(first := first[0], simdjson.Array):
        (length,) = set(map(len, _arrays(value, depth=len(shape))))
        shape.append(length)
    return tuple(shape)


def _arrays(value: simdjson.Array, depth: int) -> Iterable[Any]:
    """Yield the arrays that are `depth` levels below value, 1 or more."""
    level: Iterable[Any] = value
    for _ in range(depth - 1):
        level = chain.from_iterable(level)
    return level


def _numbers(value: simdjson.Array, *, integers: bool) -> Array:
    """Return every number below value, flat."""
    if integers:
        try:
            return np.frombuffer(value.as_buffer(of_type="i"), np.int64)
        except (TypeError, ValueError):
            pass
    return np.frombuffer(value.as_buffer(of_type="d"))


def _count_brackets(shape: tuple[int, ...]) -> int:
    """Return how many brackets a nested array of a shape opens."""
    opened = count = 1
    for length in shape[:-1]:
        count *= length
        opened += count
    return opened
