"""JSON text to Python objects, as strict as RFC 8259, for everything except long arrays of numbers."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from service.errors import DuplicateField
from service.formats.json_mistakes import BLANKS, WINDOW, JsonMistake, Mend

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SLOW_BYTES = 2**18
"""Longest text of which every value becomes a Python object."""

MAX_INTEGER_DIGITS = 400
"""Digits of an integer from which on it is beyond double range."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity)')
"""A string, or the first group: a token that is a number in JavaScript only."""

MENDS = {
    "Unterminated string": Mend.TRUNCATED,
    "Invalid control character": Mend.CONTROL,
    "Expecting ':' delimiter": Mend.MISSING_COLON,
}
"""Messages of the reader that tell what to do; for any other, the text around the mistake tells."""

ITEM_START = re.compile(r"\[\s*")
NEXT_ITEM = re.compile(r"\s*,\s*")

LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def parse(text: bytes | bytearray, *, constants: bool = False) -> Any:
    """Return the value of a JSON text of at most MAX_SLOW_BYTES.

    constants: return the bare tokens NaN, Infinity and -Infinity as BareConstant.

    Raises JsonMistake with the place of the first mistake, and DuplicateField.
    """
    if len(text) > MAX_SLOW_BYTES:
        raise _first_mistake(text, constants=constants)
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        if str(error).startswith("recursion limit"):
            # the strict reader has another limit on each version of Python
            raise JsonMistake(0, Mend.TOO_DEEP) from None
        return parse_strictly(text, constants=constants)
    # from_json keeps the last of several members of one name; a colon in a string needs the other reader as well
    colons = text.count(b":")
    if (type(value) is dict and len(value) == colons) or _count_members(value) == colons:
        return value
    return parse_strictly(text, constants=constants)


def _first_mistake(text: bytes | bytearray, *, constants: bool) -> JsonMistake:
    """Return the first mistake in the start of a text that is too long, or else that it is too long."""
    try:
        _, offset = parse_start(text[:MAX_SLOW_BYTES], constants=constants)
        mend = Mend.AFTER
    except JsonMistake as mistake:
        offset, mend = mistake.offset, mistake.mend
    # at the end of the start, or in a string without an end, the cut is the reason
    if mend is Mend.TRUNCATED or offset > MAX_SLOW_BYTES - WINDOW:
        return JsonMistake(MAX_SLOW_BYTES, Mend.TOO_LONG)
    return JsonMistake(offset, mend)


def _count_members(value: Any) -> int:
    """Return how many members the objects in a value have, those below a list of other values not included."""
    count, values = 0, [value]
    # the list grows on the way
    for each in values:
        if type(each) is dict:
            count += len(each)
            values += each.values()
        elif type(each) is list and each and type(each[0]) is dict:
            values += each
    return count


def parse_strictly(text: bytes | bytearray, *, constants: bool = False) -> Any:
    """Return the value of a JSON text of at most MAX_SLOW_BYTES. Raises as `parse` does."""
    value, length = parse_start(text, constants=constants)
    if text[length:].strip(BLANKS):
        raise JsonMistake(length, Mend.AFTER)
    return value


def parse_start(text: bytes | bytearray, *, constants: bool = False) -> tuple[Any, int]:
    """Return the value at the start of a text of at most MAX_SLOW_BYTES, and its length. Raises as `parse` does."""
    start = len(BYTE_ORDER_MARK) if text.startswith(BYTE_ORDER_MARK) else 0
    content = _decoded(text, start)
    first = len(content) - len(content.lstrip(BLANKS.decode()))
    try:
        value, end = (ALL_CONSTANTS if constants else NO_CONSTANTS).raw_decode(content, first)
    except json.JSONDecodeError as error:
        mend = next((mend for message, mend in MENDS.items() if error.msg.startswith(message)), Mend.UNKNOWN)
        if error.pos == len(content) and mend is Mend.MISSING_COLON:
            mend = Mend.TRUNCATED
        raise JsonMistake(start + _byte_length(content[: error.pos]), mend) from None
    except _BareConstantError:
        raise JsonMistake(start + _constant_offset(content), Mend.CONSTANT) from None
    except RecursionError:
        raise JsonMistake(start, Mend.TOO_DEEP) from None
    if "\\u" in content and LONE_SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise JsonMistake(start + _byte_length(content[: content.index("\\u")]), Mend.SURROGATE)
    return value, start + _byte_length(content[:end])


def parse_items(text: bytes, *, constants: bool = False) -> tuple[list[Any], JsonMistake | None]:
    """Return the complete items of an array, and the first mistake if there is one; of a long text, those of its start."""
    try:
        if len(text) > MAX_SLOW_BYTES:
            raise _first_mistake(text, constants=constants)
        value, length = parse_start(text, constants=constants)
    except JsonMistake as mistake:
        items = _complete_items(text[: mistake.offset].decode(errors="replace"))
        # a new one, since the traceback of this one leads to the caller's frame: a cycle that keeps the body in memory
        return items, JsonMistake(mistake.offset, mistake.mend)
    return value, JsonMistake(length, Mend.AFTER) if text[length:].strip(BLANKS) else None


def _complete_items(content: str) -> list[Any]:
    """Return the items at the start of an array that have a comma behind them."""
    with suppress(ValueError):
        # in one step, unless the last comma is inside of an item
        items: list[Any] = ALL_CONSTANTS.decode(content[: content.rindex(",")] + "]")
        return items
    items = []
    item = ITEM_START.match(content)
    with suppress(json.JSONDecodeError):
        while item is not None:
            value, end = ALL_CONSTANTS.raw_decode(content, item.end())
            item = NEXT_ITEM.match(content, end)
            if item is not None:
                items.append(value)
    return items


def _decoded(text: bytes | bytearray, start: int) -> str:
    """Return the characters of a text in UTF-8."""
    try:
        return text[start:].decode()
    except UnicodeDecodeError as error:
        raise JsonMistake(start + error.start, Mend.NOT_UTF8) from None


def _byte_length(characters: str) -> int:
    """Return how many bytes of UTF-8 some characters take."""
    return len(characters.encode(errors="surrogatepass"))


class BareConstant(str):
    """A bare NaN, Infinity or -Infinity that is accepted, unlike a string of these letters."""

    __slots__ = ()


class _BareConstantError(Exception):
    """A bare NaN, Infinity or -Infinity that is not accepted."""


def _reject(_: str) -> Any:
    raise _BareConstantError


def _constant_offset(content: str) -> int:
    """Return the offset, in bytes, of the first bare constant."""
    start = next(match.start() for match in CONSTANT.finditer(content) if match[1])
    return _byte_length(content[:start])


def _integer(digits: str) -> int | float:
    """Return an integer exactly, or as an infinity if it is far beyond double range."""
    return int(digits) if len(digits) <= MAX_INTEGER_DIGITS else float(digits)


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object. Raises DuplicateField."""
    value: dict[str, Any] = {}
    for name, member in members:
        if name in value:
            raise DuplicateField(name)
        value[name] = member
    return value


def _decoder(parse_constant: Callable[[str], Any]) -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=parse_constant)


NO_CONSTANTS = _decoder(_reject)
ALL_CONSTANTS = _decoder(BareConstant)
