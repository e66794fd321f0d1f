"""Tensors of the Open Inference Protocol, from JSON numbers or raw bytes, in their shape and datatype."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from service.errors import InvalidDatatype, NumberOutOfRange, ShapeMismatch, written
from service.formats.datatypes import FLOATS, STORED, from_bytes, to_datatype

if TYPE_CHECKING:
    from service.arrays import Array, Shape
    from service.errors import Location


def from_raw(name: str, raw: memoryview, size: int, datatype: str, shape: Shape) -> Array:
    """Return the tensor in the first bytes of raw."""
    expected = prod(shape) * STORED[datatype].itemsize
    if size != expected or size > len(raw):
        raise ShapeMismatch(
            f"{name} of shape {shape} and datatype {datatype} has {expected} bytes; "
            "its binary_data_size, and the bytes behind the JSON, must agree with that.",
            ((name,), "has the wrong size"),
        )
    return _shaped(name, from_bytes(raw[:size], datatype, (prod(shape),)), shape)


def from_values(name: str, values: Array, datatype: str, shape: Shape) -> Array:
    """Return values that came flat or nested, in their shape, rounded to their datatype."""
    if values.shape != shape and (values.ndim != 1 or values.size != prod(shape)):
        raise ShapeMismatch(
            f"{name} has data of shape {values.shape}; its shape {shape} asks for that or for {prod(shape)} numbers in a row.",
            ((name,), "has the wrong size"),
        )
    if datatype in FLOATS:
        doubles = values.astype(np.float64, copy=False)
        values = to_datatype(doubles, datatype)
        wrong = np.isinf(values) & ~np.isinf(doubles) if values is not doubles else np.False_
    elif datatype == "BOOL":
        wrong = np.False_  # the values of a mask are checked later
    else:
        limits = np.iinfo(STORED[datatype])
        wrong = ~((values >= limits.min) & (values <= limits.max))
        fractions = values != np.floor(values)
        if fractions.any():
            place = _first(name, fractions)
            detail = f"{written(place)} is not an integer, and {name} has the datatype {datatype}; change one of them."
            raise InvalidDatatype(detail, (place, "is not an integer"))
    if wrong.any():
        raise NumberOutOfRange(datatype, _first(name, np.asarray(wrong)))
    return _shaped(name, values, shape)


def _first(name: str, wrong: Array) -> Location:
    """Return the location of the first element that is wrong."""
    return (name, *map(int, np.unravel_index(int(np.flatnonzero(wrong)[0]), wrong.shape)))


def _shaped(name: str, values: Array, shape: Shape) -> Array:
    """Return values in a shape. Raises ShapeMismatch for one that no array can have, even without elements."""
    try:
        return values.reshape(shape)
    except (ValueError, OverflowError):
        raise ShapeMismatch(f"{name} has a shape that no tensor can have.", ((name,), "has the wrong size")) from None
