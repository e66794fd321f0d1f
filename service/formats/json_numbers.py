"""JSON text to arrays of numbers, with no Python object for any of them."""

from __future__ import annotations

import json
from itertools import chain
from math import inf, prod
from typing import TYPE_CHECKING, Any

import numpy as np
import simdjson

from service.errors import (
    DuplicateField,
    MalformedBody,
    NotANumber,
    NumberOutOfRange,
    RaggedTensor,
    ShapeMismatch,
)
from service.formats.nested import MAX_RANK, from_nested
from service.operations.spec import Domain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.arrays import Array

INTEGER_DIGITS = 20
"""Characters of the longest integers of 64 bits."""

TOO_DEEP = "The body is nested too deeply; a tensor needs one level of arrays for each axis."

TARGETS = Domain.TARGETS
"""Kept, since to look up a member of an enumeration is a call."""

MOST_COUNTED = 2**24 - 1
"""Items to which the parser counts; an array of more says that it has as many."""

NUMBER_REASONS = ("NUMBER_ERROR", "BIGINT_ERROR")
"""What the parser says of a number that it cannot read, which JSON may allow: an integer beyond 64 bits, say."""


def parse(text: bytes | bytearray) -> Any:
    """The document in a text, with integers beyond 64 bits as floats. Raises ServiceError."""
    try:
        return simdjson.Parser().parse(text)
    except (ValueError, RuntimeError) as error:
        rewritten = _rewritten(text, reason(error))
    try:
        return simdjson.Parser().parse(rewritten)
    except (ValueError, RuntimeError):
        raise MalformedBody(TOO_DEEP) from None


def reason(error: Exception) -> str:
    """The name that the parser gives to what it met: NUMBER_ERROR, say."""
    text = error.reason if isinstance(error, UnicodeDecodeError) else str(error)
    return text.partition(":")[0]


def tensor(name: str, value: simdjson.Array, domain: Domain) -> Array:
    """A nested array of numbers as an array, whose innermost rows may still hide arrays of one number."""
    shape = [len(value)]
    first: Any = value
    while shape[-1] and isinstance(first := first[0], simdjson.Array):
        try:
            lengths = set(map(len, value if len(shape) == 1 else _arrays(value, depth=len(shape))))
        except TypeError:
            raise RaggedTensor(name) from None
        if len(lengths) > 1:
            raise RaggedTensor(name)
        shape.append(lengths.pop())
        if len(shape) > MAX_RANK:
            raise ShapeMismatch(f"{name} has more than {MAX_RANK} axes; merge some.", ((name,), "is nested too deeply"))
    try:
        numbers = _numbers(value, integers=domain is TARGETS)
    except (TypeError, ValueError):
        if domain is Domain.LOGITS:
            return _mixed_rows(name, value, shape)
        raise NotANumber(name) from None
    if shape[-1] == MOST_COUNTED:
        shape[-1] = -1
    try:
        return numbers.reshape(shape)
    except ValueError:
        raise RaggedTensor(name) from None


def brackets(shape: tuple[int, ...]) -> int:
    """How many brackets a nested array of that shape opens."""
    opened = count = 1
    for length in shape[:-1]:
        count *= length
        opened += count
    return opened


def _mixed_rows(name: str, value: simdjson.Array, shape: list[int]) -> Array:
    """A tensor with strings in it; only the rows that have some are read an object at a time."""
    numbers = np.empty((prod(shape[:-1]), shape[-1]))
    rows: Iterable[Any] = [value] if len(shape) == 1 else _arrays(value, depth=len(shape) - 1)
    for target, row in zip(numbers, rows, strict=True):
        if not isinstance(row, simdjson.Array):
            raise NotANumber(name)
        try:
            source = _numbers(row, integers=False)
        except (TypeError, ValueError):
            source = from_nested(name, row.as_list())
        if source.shape != target.shape:
            raise RaggedTensor(name)
        target[:] = source
    return numbers.reshape(shape)


def _arrays(value: simdjson.Array, depth: int) -> Iterable[Any]:
    """The arrays that lie depth levels below value, 1 or more, one at a time."""
    level: Iterable[Any] = value
    for _ in range(depth - 1):
        level = chain.from_iterable(level)
    return level


def _numbers(value: simdjson.Array, *, integers: bool) -> Array:
    """Every number below value, flat: int64 if they are wanted and all are such, else float64."""
    if integers:
        try:
            return np.frombuffer(value.as_buffer(of_type="i"), np.int64)
        except (TypeError, ValueError):
            pass
    return np.frombuffer(value.as_buffer(of_type="d"))


def _rewritten(text: bytes | bytearray, reason: str) -> bytes:
    """A text that the fast parser gave up on, with its integers beyond 64 bits as floats; all else is refused."""
    if reason == "DEPTH_ERROR":
        raise MalformedBody(TOO_DEEP)
    if reason == "UTF8_ERROR":
        raise MalformedBody("The body is not valid UTF-8.")
    if reason not in NUMBER_REASONS:
        raise MalformedBody("The body is not valid JSON; see RFC 8259.")
    try:
        document = json.loads(text, parse_int=_integer, parse_constant=_refuse, object_pairs_hook=_object)
        if _overflows(document):
            raise NumberOutOfRange(None, "float64")
        return json.dumps(document, ensure_ascii=False).encode()
    except RecursionError:
        raise MalformedBody(TOO_DEEP) from None
    except ValueError:
        raise MalformedBody("The body is not valid JSON: a number is not written as RFC 8259 asks.") from None


def _integer(digits: str) -> int | float:
    if len(digits) <= INTEGER_DIGITS and -(2**63) <= int(digits) < 2**64:
        return int(digits)
    return float(digits)


def _refuse(_: str) -> Any:
    raise ValueError


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises DuplicateField."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise DuplicateField
    return members


def _overflows(value: Any) -> bool:
    """Is there a number in value that no float64 holds?"""
    if isinstance(value, dict):
        return any(map(_overflows, value.values()))
    return any(map(_overflows, value)) if isinstance(value, list) else value in (inf, -inf)
