"""Mistakes in a JSON text: their place, and how to mend them."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from enum import StrEnum

from service.errors import MalformedBody

WINDOW = 32
"""Bytes around a mistake that are looked at."""


PIECE_BYTES = 2**16
"""Bytes that are decoded, or whose characters are counted, at once."""

CONTINUATIONS = bytes(range(0x80, 0xC0))
"""Bytes of UTF-8 that continue a character."""


class Mend(StrEnum):
    """Remedies for known mistakes."""

    UNKNOWN = "see RFC 8259"
    CONSTANT = 'JSON has no NaN and no Infinity; write "-Infinity" in quotes to exclude a class'
    CASE = "JSON has true, false and null in small letters, and no other words"
    COMMA = "remove the comma before the closing bracket"
    MISSING_COMMA = "put a comma between two values"
    MISSING_COLON = "put a colon between a name and its value"
    MISSING_VALUE = "a value is missing here"
    BRACKET = "this bracket does not close the one that was opened last"
    QUOTES = "write strings and names in double quotes"
    NUMBER = "write numbers like -1.5e-3, with a digit on both sides of the point, and no leading plus or zero"
    COMMENT = "remove the comment"
    TRUNCATED = "the text ends before all brackets and quotes are closed"
    AFTER = "remove what follows the closing brace"
    EMPTY = "the body is empty; send a JSON object with named fields"
    NOT_UTF8 = "the bytes are not UTF-8; encode the text as UTF-8"
    UTF16 = "the text looks like UTF-16 or UTF-32; encode it as UTF-8"
    COMPRESSED = "the bytes look like gzip; name the compression in Content-Encoding"
    NUMPY = "the bytes look like a NumPy file; set Content-Type to application/x-npy or application/x-npz"
    SURROGATE = "half of a surrogate pair does not stand for a character"
    CONTROL = "escape control characters in strings"
    TOO_DEEP = "it is nested too deeply; a tensor needs one level of arrays for each axis"
    TOO_LONG = (
        "there are more than 256 KiB of text outside of arrays of numbers, blanks included; "
        "send tensors as arrays of numbers, not as objects"
    )


class JsonMistake(Exception):
    """A mistake at an offset of a text, in bytes."""

    def __init__(self, offset: int, mend: Mend) -> None:
        super().__init__(offset, mend)
        self.offset = offset
        self.mend = mend


def malformed(text: bytes | bytearray, offset: int, mend: Mend) -> MalformedBody:
    """Return the error for a mistake: its line, its column and its offset, counted from 1, 1 and 0, and the mend."""
    if mend in (Mend.UNKNOWN, Mend.NOT_UTF8, Mend.TOO_LONG):
        offset, mend = _recognised(text, offset, mend)
    line = text.count(b"\n", 0, offset) + 1
    start = text.rfind(b"\n", 0, offset) + 1
    column = _characters(text, start, offset) + 1
    return MalformedBody(
        f"The body is not valid JSON at line {line}, column {column} (byte {offset}): {mend}.",
        (("line", line, "column", column, "byte", offset), str(mend)),
    )


def _characters(text: bytes | bytearray, start: int, end: int) -> int:
    """Return the number of characters in a part of a text, which may be long: it is neither copied nor decoded whole."""
    pieces = (text[each : min(each + PIECE_BYTES, end)] for each in range(start, end, PIECE_BYTES))
    # a look for other than ASCII is 10 times as fast
    return sum(len(piece if piece.isascii() else piece.translate(None, CONTINUATIONS)) for piece in pieces)


MAX_BLANKS = 2**10
"""Blanks before an object that are skipped to recognise it."""

BLANKS = b" \t\r\n"

OTHER_FORMATS = (
    (re.compile(rb"\x1f\x8b"), Mend.COMPRESSED),
    (re.compile(rb"\x93NUMPY|PK\x03\x04"), Mend.NUMPY),
    (re.compile(rb"\xff\xfe|\xfe\xff|.{0,3}\0", re.DOTALL), Mend.UTF16),
)
"""The first bytes of bodies that are not JSON, and what to do about them."""

SLIPS = (
    (re.compile(rb"[-+]?(NaN|Infinity|inf)\b", re.IGNORECASE), Mend.CONSTANT),
    (re.compile(rb"(true|false|null|none|nil|undefined)\b", re.IGNORECASE), Mend.CASE),
    (re.compile(rb"['`\xe2A-Za-z_$]"), Mend.QUOTES),
    (re.compile(rb"/[/*]|#"), Mend.COMMENT),
    (re.compile(rb"[-+.\d]"), Mend.NUMBER),
)
"""The text at the place of a mistake, and what to do about it."""


def _recognised(text: bytes | bytearray, offset: int, mend: Mend) -> tuple[int, Mend]:
    """Return the place and the mend of a mistake that the parser met at an offset."""
    if not text or text.isspace():
        return 0, Mend.EMPTY
    for pattern, format_mend in OTHER_FORMATS:
        if pattern.match(text):
            return 0, format_mend
    invalid_byte = _invalid_byte(text)
    if invalid_byte is not None:
        return invalid_byte, Mend.NOT_UTF8
    comma = None if mend is Mend.TOO_LONG else _trailing_comma(text, offset)
    if comma is not None:
        return comma, Mend.COMMA
    if text[:MAX_BLANKS].lstrip(BLANKS).startswith(b"{") and text.find(b"}", offset) == -1:
        return len(text), Mend.TRUNCATED
    if mend is Mend.UNKNOWN:
        before = bytes(text[max(0, offset - WINDOW) : offset])
        mend = _slip(before, bytes(text[offset : offset + WINDOW]).lstrip(BLANKS))
    return offset, mend


def _invalid_byte(text: bytes | bytearray) -> int | None:
    """Return the offset of the first byte that is not UTF-8, None if there is none. The text is not copied whole."""
    if text.isascii():
        return None
    decoder = getincrementaldecoder("utf-8")()
    for start in range(0, len(text), PIECE_BYTES):
        kept = len(decoder.getstate()[0])
        try:
            decoder.decode(text[start : start + PIECE_BYTES], final=start + PIECE_BYTES >= len(text))
        except UnicodeDecodeError as error:
            return start - kept + error.start
    return None


def _trailing_comma(text: bytes | bytearray, offset: int) -> int | None:
    """Return the place of a comma near an offset that is followed by a closing bracket, None if there is none."""
    before = bytes(text[max(0, offset - WINDOW) : offset])
    after = bytes(text[offset : offset + WINDOW])
    if before.rstrip(BLANKS).endswith(b",") and after.lstrip(BLANKS)[:1] in (b"]", b"}"):
        return text.rindex(b",", 0, offset)
    if after[:1] == b"," and after[1:].lstrip(BLANKS)[:1] in (b"]", b"}"):
        return offset
    return None


def _slip(before: bytes, after: bytes) -> Mend:
    """Return the mend for a mistake between two parts of a text."""
    if before[-1:].isdigit() and after[:1] not in b'[]{},:;"/#':
        return Mend.NUMBER
    before = before.rstrip(BLANKS)
    if before and before[-1:] in b'0123456789]}"' and after[:1] in b'[{"-;0123456789':
        return Mend.MISSING_COMMA
    if before[-1:] in b"[{:," and after[:1] in b",:]}":
        return Mend.MISSING_VALUE
    if after[:1] in b"]}":
        return Mend.BRACKET
    for pattern, mend in SLIPS:
        if pattern.match(after):
            return mend
    return Mend.UNKNOWN
