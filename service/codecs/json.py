"""JSON: numbers go from the text into arrays, and from arrays into the text, with no Python object for any of them."""

from __future__ import annotations

import json
from itertools import accumulate, chain, islice
from math import inf, isnan
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import orjson
import simdjson

from service.description import Domain
from service.errors import (
    DuplicateField,
    MalformedBody,
    NotAnObject,
    NotANumber,
    NumberOutOfRange,
    RaggedTensor,
    ShapeMismatch,
    UnknownField,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from service.description import Operation

Array = npt.NDArray[Any]

MEDIA_TYPE = "application/json"

LONGEST_LIST = 64
"""Items that are looked at of a list which is no tensor; no operation has as many outputs."""

MOST_AXES = 32
"""Axes of a tensor; NumPy counts to 64, and the answer may have two more."""


def decode(body: bytes, operation: Operation) -> dict[str, Any]:
    """The fields of a JSON object: tensors as arrays, anything else as Python objects.

    A tensor of numbers is an array; one with strings in it stays a nested list, for the message to judge.

    Raises MalformedBody, NotAnObject, UnknownField, DuplicateField, RaggedTensor, NotANumber, NumberOutOfRange.
    """
    domains = {each.name: each.domain for each in operation.inputs}
    try:
        document = simdjson.Parser().parse(body)
    except (ValueError, RuntimeError) as error:
        return _decode_slowly(body, operation.names, _reason(error))
    if not isinstance(document, simdjson.Object):
        raise NotAnObject("The body must be a JSON object with named fields.")
    fields: dict[str, Any] = {}
    for name in unique(document.keys(), operation.names):
        value = document[name]
        if isinstance(value, simdjson.Array):
            fields[name] = _tensor(name, value, domains[name]) if name in domains else _list(value)
        else:
            fields[name] = {} if isinstance(value, simdjson.Object) else value
    _check_depths(body, document, fields)
    return fields


def unique(names: Iterable[str], known: Collection[str]) -> list[str]:
    """names, each known and there once. Raises UnknownField and DuplicateField at the first that is not."""
    seen: list[str] = []
    for name in names:
        if name not in known:
            raise UnknownField(name, known)
        if name in seen:
            raise DuplicateField(name)
        seen.append(name)
    return seen


def _tensor(name: str, value: simdjson.Array, domain: Domain) -> Array | list[Any]:
    """A nested array of numbers as an array, whose innermost rows may still hide arrays of one number."""
    shape = [len(value)]
    level: Any = [value]
    while shape[-1] and isinstance(level[0][0], simdjson.Array):
        level = [row for rows in level for row in rows] if len(shape) > 1 else value
        try:
            lengths = set(map(len, level))
        except TypeError:
            raise RaggedTensor(name) from None
        if len(lengths) > 1:
            raise RaggedTensor(name)
        shape.append(lengths.pop())
        if len(shape) > MOST_AXES:
            raise ShapeMismatch(
                f"{name} has more than {MOST_AXES} axes; merge some.", ((name,), "is nested too deeply")
            )
    try:
        numbers = _numbers(value, integers=domain is Domain.TARGETS)
    except (TypeError, ValueError):
        if domain is Domain.LOGITS:
            return value.as_list()
        raise NotANumber(name) from None
    try:
        return numbers.reshape(shape)
    except ValueError:
        raise RaggedTensor(name) from None


def _numbers(value: simdjson.Array, *, integers: bool) -> Array:
    """Every number below value, flat: int64 if they are wanted and all are such, else float64."""
    if integers:
        try:
            return np.frombuffer(value.as_buffer(of_type="i"), np.int64)
        except (TypeError, ValueError):
            pass
    return np.frombuffer(value.as_buffer(of_type="d"))


def _list(value: simdjson.Array) -> list[Any]:
    """A list that is no tensor: its first items, with an empty object for whatever is nested."""
    items = islice(value, LONGEST_LIST)
    return [{} if isinstance(item, simdjson.Array | simdjson.Object) else item for item in items]


def _check_depths(body: bytes, document: simdjson.Object, fields: Mapping[str, Any]) -> None:
    """Raises RaggedTensor where a row hides an array of one number: [1, [2]] flattens like [1, 2].

    The tensors read account for every opening bracket of the body, or one of them has brackets too many.
    """
    brackets = {name: _brackets(value.shape) for name, value in fields.items() if isinstance(value, np.ndarray)}
    lists = sum(isinstance(value, list) for value in fields.values())
    if body.count(b"[") == sum(brackets.values()) + lists:
        return
    for name, expected in brackets.items():
        tensor: Any = document[name]
        if tensor.mini.count(b"[") != expected:
            raise RaggedTensor(name)


def _brackets(shape: tuple[int, ...]) -> int:
    """How many brackets a nested array of that shape opens."""
    return 1 + sum(accumulate(shape[:-1], int.__mul__))


def _reason(error: Exception) -> str:
    """The name that simdjson gives to what it met: NUMBER_ERROR, say."""
    text = error.reason if isinstance(error, UnicodeDecodeError) else str(error)
    return text.partition(":")[0]


def _decode_slowly(body: bytes, known: Collection[str], reason: str) -> dict[str, Any]:
    """A body that the fast parser gave up on: integers beyond 64 bits are numbers too; all else is refused."""
    if reason == "DEPTH_ERROR":
        raise MalformedBody("The body is nested too deeply; a tensor needs one level of arrays for each axis.")
    if reason == "UTF8_ERROR":
        raise MalformedBody("The body is not valid UTF-8.")
    if reason not in ("NUMBER_ERROR", "BIGINT_ERROR"):
        raise MalformedBody("The body is not valid JSON; see RFC 8259.")
    try:
        document = json.loads(body, parse_int=float, parse_constant=_refuse, object_pairs_hook=_Object)
    except (ValueError, RecursionError):
        raise MalformedBody("The body is not valid JSON: a number is not written as RFC 8259 asks.") from None
    if not isinstance(document, _Object):
        raise NotAnObject("The body must be a JSON object with named fields.")
    unique((name for name, _ in document.pairs), known)
    for name, value in document.pairs:
        if _overflows(value):
            raise NumberOutOfRange(name, "float64")
    return dict(document.pairs)


class _Object:
    """A JSON object as its pairs, so that a name given twice shows."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


def _refuse(_: str) -> Any:
    raise ValueError


def _overflows(value: Any) -> bool:
    """Is there a number in value that no float64 holds?"""
    return any(map(_overflows, value)) if isinstance(value, list) else value in (inf, -inf)


def encode(outputs: Mapping[str, Array]) -> bytes:
    """Named arrays as one JSON object of nested arrays, a number for rank 0.

    Floats are the shortest digits that read back to the same number of their dtype; what is not finite is a string.
    """
    return b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), _encode_array(values)) for name, values in outputs.items())


def _encode_array(values: Array) -> bytes:
    # orjson takes C-contiguous arrays of rank 1 and up, and writes null for what is not finite
    text = orjson.dumps(np.ascontiguousarray(values) if values.ndim else values[()], option=orjson.OPT_SERIALIZE_NUMPY)
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return text
    spelled = (_spelling(value) for value in values[~np.isfinite(values)])
    first, *rest = text.split(b"null")
    return first + b"".join(chain.from_iterable(zip(spelled, rest, strict=True)))


def _spelling(value: float) -> bytes:
    """What JSON has no number for, as ProtoJSON spells it."""
    return b'"NaN"' if isnan(value) else b'"Infinity"' if value > 0 else b'"-Infinity"'
