"""Long arrays of numbers, taken out of a JSON text and read in pieces.

A parser takes several times the memory of its text. The memory of a piece stays in the cache, and is used again for the
next piece. A mistake is looked for in its piece only.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from secrets import randbelow, token_hex
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from service.errors import EmptyAxis, RaggedTensor, TensorTooLarge, written
from service.formats.codecs.numbers import NotNumbers
from service.formats.json_mistakes import JsonMistake, Mend
from service.formats.json_parse import MAX_SLOW_BYTES, parse_items
from service.formats.nested import from_nested
from service.operations.spec import MAX_RANK, Domain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.arrays import Array, Shape
    from service.errors import Location
    from service.formats.codecs import NumberReader

LONG_BYTES = 2**11
"""Length of an array from which on it is taken out of the text."""

PIECE_BYTES = 2**17
"""Length of a piece, without its last item; the fastest of 2**14 to 2**20 on a core with 1 MB of L2 cache."""

MAX_PIECE_BYTES = MAX_SLOW_BYTES - len(b"[]")
"""Length of a piece that the strict reader still accepts."""

MAX_ARRAYS = 64
"""Arrays of a text that are looked at; no operation has as many inputs."""

WINDOW_BYTES = 2**20
"""Length of text that is searched in one call, since a search holds the interpreter lock."""

OPENING = re.compile(rb":\s*+((?:\[\s*+)++)")
"""A member that is an array, and its opening brackets."""

PLACEHOLDER = token_hex(16)
"""Start of a string that stands for an array; a client cannot know it."""

DIGITS = b"%de%d" % (1000 + randbelow(9000), 200 + randbelow(90))
"""Digits that a client cannot know, so that it cannot send these numbers in every piece."""


class Word(NamedTuple):
    """A word for a non-finite number, and the number that is read in its place.

    number: begins with a blank, which keeps it apart from a number before it. It is as long as the word if possible, since
    such a word is replaced faster.
    letter: a byte of the word that no number has.
    """

    word: bytes
    number: bytes
    letter: bytes


STRINGS = (
    Word(b'"-Infinity"', b" -%b " % DIGITS, b"y"),
    Word(b'"Infinity"', b" %b " % DIGITS, b"y"),
    Word(b'"NaN"', b" 9%b" % DIGITS[2:], b"a"),
)
CONSTANTS = tuple(each._replace(word=each.word.strip(b'"'), number=each.number.rstrip()) for each in STRINGS)
VALUES = dict(zip((float(each.number) for each in STRINGS), (-np.inf, np.inf, np.nan), strict=True))

BOOLEANS = {b"true": b" 1 ", b"false": b" 0 "}


class Span(NamedTuple):
    """The place of an array in a text, and how many brackets it opens with."""

    start: int
    end: int
    rank: int


def extract_long_arrays(text: bytes | bytearray, start: int = 0) -> tuple[bytes | bytearray, list[Span]]:
    """Return the text with a string, `PLACEHOLDER` and a number, for each long array, and the places of the arrays.

    The end of an array is a guess that is right for an array of numbers. Both the text and the arrays are parsed later, and
    one of them is rejected if a span is not exactly one array.

    start: offset of the object. The search stops where the text outside of arrays is too long for a parser.
    """
    spans: list[Span] = []
    if len(text) < LONG_BYTES:
        return text, spans
    remainder: list[bytes | bytearray] = []
    position, kept = start, 0
    most = start + 2 * MAX_SLOW_BYTES
    for _ in range(MAX_ARRAYS):
        opening = OPENING.search(text, position, most)
        if opening is None:
            break
        position, rank = opening.start(1), opening[1].count(b"[")
        end = _array_end(text, position) if rank <= MAX_RANK else 0
        if end - position >= LONG_BYTES:
            remainder += [text[kept:position], b'"%b%d"' % (PLACEHOLDER.encode(), len(spans))]
            spans.append(Span(position, end, rank))
            most += end - position
            kept = position = end
        else:
            position = opening.end()
    # without a copy of a text that may be long
    return (b"".join([*remainder, text[kept:]]), spans) if spans else (text, spans)


def _search(pattern: re.Pattern[bytes], text: bytes | bytearray, start: int, end: int) -> re.Match[bytes] | None:
    """Return the first match between start and end, in which at most MAX_SLOW_BYTES of blanks may be."""
    for position in range(start, end, WINDOW_BYTES):
        match = pattern.search(text, position, min(end, position + WINDOW_BYTES + MAX_SLOW_BYTES))
        if match is not None:
            return match
    return None


def _array_end(text: bytes | bytearray, start: int) -> int:
    """Return where an array of numbers, and of strings that stand for numbers, would end; 0 if it is not one."""
    # the colon of the next member, else the end of the object: a search for one byte is 10 times as fast as a pattern
    colon = text.find(b":", start)
    limit = text.find(b"}", start, len(text) if colon == -1 else colon)
    if limit == -1:
        limit = len(text) if colon == -1 else _string_start(text, start, colon)
    return text.rfind(b"]", start, limit) + 1


def _string_start(text: bytes | bytearray, start: int, end: int) -> int:
    """Return where the last string between start and end begins; start if there is none."""
    return max(start, text.rfind(b'"', start, max(start, text.rfind(b'"', start, end))))


def original_offset(offset: int, spans: list[Span]) -> int:
    """Return the offset in the text for an offset in the text without its long arrays."""
    for index, span in enumerate(spans):
        if offset <= span.start:
            break
        offset += span.end - span.start - len(b'"%b%d"' % (PLACEHOLDER.encode(), index))
    return offset


class LongArray(NamedTuple):
    """Reader of one long array.

    bare: accept the bare tokens NaN, Infinity and -Infinity too.
    words: accept the strings that stand for non-finite numbers.
    """

    name: str
    text: bytes | bytearray
    domain: Domain
    words: bool
    bare: bool
    max_elements: float
    read_numbers: NumberReader

    def read(self, span: Span, origin: Shape = ()) -> Array:
        """Return the array in a span of the text.

        origin: index of the array in the tensor.

        Raises JsonMistake, NotANumber, NumberOutOfRange, RaggedTensor, EmptyAxis, and TensorTooLarge before there are
        more than max_elements.
        """
        parts: list[Array] = []
        items = size = 0
        for start, end in self._pieces(span):
            row_shape = parts[0].shape[1:] if parts else ()
            part = self._read_items(start, end, span, (*origin, items), row_shape)
            if parts and not (len(part) and len(parts[0])):
                raise JsonMistake(end, Mend.COMMA)
            if parts and part.shape[1:] != row_shape:
                raise RaggedTensor((self.name, *origin, items))
            if len(part) and not part.size:
                # millions of empty rows have no element to count
                place: Location = (self.name, *origin, items)
                raise EmptyAxis(f"{written(place)} is empty; a row must hold numbers.", (place, "is empty"))
            items, size = items + len(part), size + part.size
            if size > self.max_elements:
                rows = items if span.rank > 1 and not origin else 1
                raise TensorTooLarge(self.name, size, self.max_elements, rows)
            parts.append(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _pieces(self, span: Span) -> Iterator[tuple[int, int]]:
        """Yield the start and the end of some items of the array at a time, or of one that is longer than a piece."""
        text, separator = self.text, _separator(span.rank)
        end = text.rindex(b"]", span.start, span.end)
        start = text.index(b"[", span.start) + 1
        while start <= end:
            match = _search(separator, text, start + PIECE_BYTES, end)
            stop = _item_end(match) if match else end
            if stop - start > MAX_PIECE_BYTES:
                # the last of these items is long: leave it for the next piece
                for shorter in separator.finditer(text, start, start + PIECE_BYTES):
                    stop = _item_end(shorter)
            yield start, stop
            start = stop + 1

    def _read_items(self, start: int, end: int, span: Span, origin: Shape, row_shape: Shape) -> Array:
        """Return some items of the array in a span. origin: index of the first of them; row_shape: of those before it."""
        text = self.text
        if end - start > MAX_PIECE_BYTES and span.rank > 1:
            inner = Span(text.find(b"[", start, end), text.rfind(b"]", start, end) + 1, span.rank - 1)
            around = text[start : inner.start] + text[inner.end : end]
            if 0 <= inner.start < inner.end and not around.strip():
                return self.read(inner, origin)[np.newaxis]
        if end - start > MAX_PIECE_BYTES:
            # one item, which only blanks can make that long
            blanks = end - start - len(text[start:end].lstrip())
            start, end = start + blanks, start + blanks + len(text[start + blanks : end].rstrip())
        piece = b"".join((b"[", memoryview(text)[start:end], b"]"))
        if len(piece) <= MAX_SLOW_BYTES:
            with suppress(NotNumbers):
                return self._read_piece(piece)
        items, mistake = parse_items(piece, constants=self.bare)
        array = from_nested(self.name, items, self.domain, words=self.words, origin=origin, row_shape=row_shape)
        if mistake is None:
            return array
        # the items of a ragged array are cut in their middle
        is_cut = mistake.offset == len(piece)
        whole = memoryview(text)[span.start : span.end]
        if is_cut and _count(whole, b"[") == _count(whole, b"]"):
            raise RaggedTensor((self.name, *origin[:-1], origin[-1] + len(items)))
        raise JsonMistake(start + mistake.offset - 1, mistake.mend)

    def _read_piece(self, text: bytes) -> Array:
        """Return the array in a short text. Raises NotNumbers where only the strict reader can tell."""
        counts = dict.fromkeys(VALUES, 0)
        for word, number, letter in (STRINGS if self.words else ()) + (CONSTANTS if self.bare else ()):
            # a search for one byte is 10 times as fast as one for a word
            if letter in text:
                letters = _count(text, letter)
                text = text.replace(word, number)
                counts[float(number)] += letters - _count(text, letter)
        if self.domain is Domain.MASK:
            for word, digit in BOOLEANS.items():
                text = text.replace(word, digit)
        array = self.read_numbers(text, integers=self.domain is Domain.TARGETS)
        for value, count in counts.items():
            if count:
                places = array == value
                # a client has sent that very number by chance
                if np.count_nonzero(places) != count:
                    raise NotNumbers
                array[places] = VALUES[value]
        return array


def _count(text: bytes | memoryview, character: bytes) -> int:
    """Return how many bytes of a text are one character, 6 times as fast as bytes.count."""
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord(character)))


@cache
def _separator(rank: int) -> re.Pattern[bytes]:
    """Return the pattern of what is between two items of an array, or of brackets that no array of this rank has."""
    # not as a group with a count: a search for a literal first byte is faster
    closing = rb"\]\s*+" * (rank - 1)
    return re.compile(b"," if rank == 1 else closing + rb"[^\s]|\]\s*+[^\s\],]")


def _item_end(separator: re.Match[bytes]) -> int:
    """Return where the item before a separator ends. Without a comma, the mistake belongs to the item."""
    return separator.end() - separator[0].endswith(b",")
