"""Nested lists of numbers to arrays, and the places of what is not a number.

Short tensors are read here, and the pieces of long ones that a codec rejects.
"""

from __future__ import annotations

from itertools import chain, compress, islice
from math import inf, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from service.errors import MAX_ERRORS, NotANumber, NumberOutOfRange, RaggedTensor, ShapeMismatch
from service.operations.spec import MAX_RANK, Domain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.arrays import Array, Shape
    from service.errors import Location, ServiceError

NONFINITE = {"Infinity": inf, "-Infinity": -inf, "NaN": nan}
"""The strings that stand for non-finite numbers, as in ProtoJSON."""

BEYOND_DOUBLES = 2**1024 - 2**970
"""Least integer whose nearest double is infinite."""

TYPED_ARRAY = " with numbered members, as JSON has a typed array of JavaScript (convert it with Array.from)"
"""The remedy for an object such as {"0": 1.5, "1": 2}."""

INFERENCE_TENSOR = " of the Open Inference Protocol (send it to a path below /v2/models)"
"""The remedy for an object with a datatype."""

KIND_NAMES = {bool: "a boolean", str: "a string", dict: "an object", type(None): "null"}
"""The JSON values that are not numbers, as an error names them."""


def from_numbers(value: Any) -> Array | None:
    """Return a number, or a nested list of numbers without booleans, as an array; None for any other value.

    The dtype is that which NumPy chooses: int64 or uint64 if all are integers, else float64.
    """
    try:
        array = np.array(value)
    except ValueError:
        return None
    if array.dtype.kind not in "iuf" or array.ndim > MAX_RANK:
        return None
    finite = np.isfinite(array)
    # `all` takes twice as long as the first place that is not finite
    return array if not array.size or finite.item(finite.argmin()) else None


def from_nested(
    name: str, value: Any, domain: Domain, *, words: bool = False, origin: Shape = (), row_shape: Shape = ()
) -> Array:
    """Return a number, or a nested list of numbers, as an array.

    The dtype is int64 for targets that are all integers of 64 bits, else float64.

    words: accept the strings of NONFINITE as numbers.
    origin: index of the first item of value, where value is a part of a tensor.
    row_shape: shape of the items before that part; () if there are none.

    Raises NotANumber, NumberOutOfRange, RaggedTensor and ShapeMismatch with the places of the first bad values.
    """
    shape: list[int] = []
    level: list[Any] = [value]
    while (kinds := set(map(type, level))) == {list}:
        # the rows of the first axis are items, and those before them have row_shape
        length = row_shape[len(shape) - 1] if 0 < len(shape) <= len(row_shape) else len(level[0])
        if set(map(len, level)) != {length}:
            raise RaggedTensor(*_places(name, (len(row) != length for row in level), shape, origin))
        shape.append(length)
        if len(shape) > MAX_RANK:
            raise ShapeMismatch(f"{name} has more than {MAX_RANK} axes; merge some.", ((name,), "has too many axes"))
        level = list(chain.from_iterable(level))
    if float in kinds and (inf in level or -inf in level):
        raise NumberOutOfRange("float64", *_places(name, (item in (inf, -inf) for item in level), shape, origin))
    if words and any(issubclass(kind, str) for kind in kinds):
        level = [NONFINITE.get(item, item) if isinstance(item, str) else item for item in level]
        kinds = set(map(type, level))
    if domain is Domain.MASK and kinds <= {bool, int, float}:
        kinds = {int}
    if not kinds <= {int, float}:
        raise _not_numbers(name, level, shape, origin, domain)
    try:
        return _from_numbers(level, integers=domain is Domain.TARGETS and kinds == {int}).reshape(shape)
    except OverflowError:
        raise NumberOutOfRange("float64", *_places(name, map(_overflows, level), shape, origin)) from None


def _from_numbers(numbers: list[Any], *, integers: bool) -> Array:
    """Return int64 if integers are wanted and fit, else float64. Raises OverflowError."""
    if integers and min(numbers) >= -(2**63) and max(numbers) < 2**63:
        return np.array(numbers, np.int64)
    return np.array(numbers, np.float64)


def _overflows(number: float) -> bool:
    """Return whether a number is beyond double range."""
    return isinstance(number, int) and abs(number) >= BEYOND_DOUBLES


def _not_numbers(name: str, level: list[Any], shape: list[int], origin: Shape, domain: Domain) -> ServiceError:
    """Return the error for values of one level of which some are not numbers."""
    accepted = {int, float, bool, list} if domain is Domain.MASK else {int, float, list}
    flags = [type(item) not in accepted for item in level]
    if not any(flags):
        is_row = type(level[0]) is list
        return RaggedTensor(*_places(name, ((type(item) is list) != is_row for item in level), shape, origin))
    wrong = list(compress(level, flags))
    places = _places(name, flags, shape, origin)
    members = wrong[0] if type(wrong[0]) is dict else {}
    return NotANumber(
        name,
        *((place, f"is {KIND_NAMES[type(item)]}") for place, item in zip(places, wrong, strict=False)),
        hint=TYPED_ARRAY if "0" in members else INFERENCE_TENSOR if "datatype" in members else "",
    )


def _places(name: str, wrong: Iterable[bool], shape: list[int], origin: Shape) -> list[Location]:
    """Return the locations of the first items that are wrong, in a level of that shape."""
    found = islice((index for index, is_wrong in enumerate(wrong) if is_wrong), MAX_ERRORS)
    indices = [tuple(map(int, np.unravel_index(index, shape))) for index in found]
    if origin:
        *batch, start = origin
        indices = [(*batch, start + first, *rest) for first, *rest in indices]
    return [(name, *index) for index in indices]
