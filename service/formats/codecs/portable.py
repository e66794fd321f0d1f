"""Read and write numbers with pydantic_core, which has wheels for every platform."""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic_core import SchemaSerializer, core_schema, from_json, to_json

from service.formats.codecs.numbers import NotNumbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.arrays import Array

OTHER_VALUES = (b'"', b"{", b"u", b"s")
"""A character of every JSON value that is not a number: a string, an object, `true` or `null`, `false`."""

MAX_DIGITS = 10
"""Decimal digits with which every float32 reads back, and one for the error of a logarithm."""

POWERS = np.array([float(f"1e{exponent}") for exponent in range(23)])
"""The powers of ten that are exact in double precision."""


def read(text: bytes, *, integers: bool) -> Array:
    """Return the rectangular array of numbers that a JSON text holds. Raises NotNumbers."""
    if any(character in text for character in OTHER_VALUES):
        raise NotNumbers
    try:
        shape, rows = _rows(from_json(text))
        array = _array(rows, shape[-1], integers=integers)
    except (TypeError, ValueError, struct.error):
        raise NotNumbers from None
    # a number beyond double range is read as an infinity
    if not np.isfinite(array).all():
        raise NotNumbers
    return array.reshape(shape)


def _rows(value: list[Any]) -> tuple[list[int], list[list[Any]]]:
    """Return the shape of a nested list and its innermost lists. Raises TypeError and ValueError if it is ragged."""
    shape, rows = [len(value)], [value]
    while shape[-1] and type(rows[0][0]) is list:
        rows = list(chain.from_iterable(rows))
        (length,) = set(map(len, rows))
        shape.append(length)
    return shape, rows


def _array(rows: list[list[Any]], length: int, *, integers: bool) -> Array:
    """Return int64 if integers are wanted and every number is one of 64 bits, else float64. Raises struct.error."""
    if integers:
        with suppress(struct.error):
            return _packed(rows, length, "q")
    return _packed(rows, length, "d")


def _packed(rows: list[list[Any]], length: int, code: str) -> Array:
    """Return rows as a flat array of a dtype that has the same code in NumPy and in struct. Raises struct.error."""
    # a third of the time of np.array
    pack = struct.Struct(f"{length}{code}").pack
    return np.frombuffer(bytearray().join([pack(*row) for row in rows]), code)


def write(values: Array | Mapping[str, Array]) -> bytes:
    """Return the JSON text of an array, or of an object of named arrays; non-finite numbers are strings."""
    if not isinstance(values, np.ndarray):
        return to_json({name: _items(each) for name, each in values.items()}, inf_nan_mode="strings")
    if values.dtype.kind == "f":
        return _float_writer(values.ndim)(_items(values))
    return to_json(_items(values))


@cache
def _float_writer(rank: int) -> Callable[[Any], bytes]:
    """Return a writer of nested lists of floats. It does not look up the type of each number."""
    schema: core_schema.CoreSchema = core_schema.float_schema()
    for _ in range(rank):
        schema = core_schema.list_schema(schema)
    return SchemaSerializer(schema, core_schema.CoreConfig(ser_json_inf_nan="strings")).to_json


def _items(values: Array) -> Any:
    """Return the numbers as Python objects; narrow floats as the doubles with the fewest digits that read back."""
    if values.dtype.kind == "f" and values.itemsize < np.dtype(np.float64).itemsize:
        values = _shortest(values)
    return values.tolist()


@np.errstate(divide="ignore", over="ignore", invalid="ignore")
def _shortest(values: Array) -> Array:
    """Return for each narrow float the double whose shortest decimal is that of the float.

    Rounds to fewer and fewer digits for as long as the result still reads back. A product or a quotient with an exact power
    of ten is the double nearest to its decimal.
    """
    floats = values.reshape(-1)
    shortest = floats.astype(np.float64)
    exponents = np.floor(np.log10(np.abs(shortest)))
    has_powers = (exponents >= MAX_DIGITS - len(POWERS)) & (exponents < len(POWERS))
    others = ~has_powers & np.isfinite(exponents)
    shortest[others] = floats[others].astype("S").astype(np.float64)
    left = np.flatnonzero(has_powers)
    exact, wanted, exponents = shortest[left], floats[left], exponents[left].astype(np.intp)
    for digits in range(MAX_DIGITS, 0, -1):
        up, down = POWERS[np.maximum(digits - 1 - exponents, 0)], POWERS[np.maximum(exponents - digits + 1, 0)]
        rounded = np.rint(exact / down * up) / up * down
        reads_back = rounded.astype(values.dtype) == wanted
        left = left[reads_back]
        shortest[left] = rounded[reads_back]
        exact, wanted, exponents = exact[reads_back], wanted[reads_back], exponents[reads_back]
    return shortest.reshape(values.shape)
