"""Long arrays of numbers, taken out of a JSON text and read in pieces.

A parser takes several times the memory of its text. The memory of a piece stays in the cache, and is used again for the
next piece. A mistake is looked for in its piece only.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from secrets import token_hex
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

ENDING = re.compile(rb"\]\s*+(?:,\s*+\"|\})")
"""The end of an array of numbers, or of strings that stand for numbers, and what follows a member."""

PLACEHOLDER = token_hex(16)
"""Start of a string that stands for an array; a client cannot know it."""


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
    Word(b'"-Infinity"', b" -1.79e308 ", b"y"),
    Word(b'"Infinity"', b" 1.79e308 ", b"y"),
    Word(b'"NaN"', b" 9e299", b"a"),
)
CONSTANTS = tuple(each._replace(word=each.word.strip(b'"'), number=each.number.rstrip()) for each in STRINGS)
VALUES = dict(zip((float(each.number) for each in STRINGS), (-np.inf, np.inf, np.nan), strict=True))

BOOLEANS = {b"true": b" 1 ", b"false": b" 0 "}


class Span(NamedTuple):
    """The place of an array in a text, and how many brackets it opens with."""

    start: int
    end: int
    rank: int


def extract_long_arrays(text: bytes | bytearray) -> tuple[bytes | bytearray, list[Span]]:
    """Return the text with a string, `PLACEHOLDER` and a number, for each long array, and the places of the arrays.

    The end of an array is a guess that is right for an array of numbers. Both the text and the arrays are parsed later, and
    one of them is rejected if a span is not exactly one array.
    """
    spans: list[Span] = []
    remainder: list[bytes | bytearray] = []
    start = position = 0
    for _ in range(MAX_ARRAYS):
        opening = _search(OPENING, text, position, len(text))
        if opening is None:
            break
        position, rank = opening.start(1), opening[1].count(b"[")
        end = _array_end(text, position) if rank <= MAX_RANK else 0
        if end - position >= LONG_BYTES:
            remainder += [text[start:position], b'"%b%d"' % (PLACEHOLDER.encode(), len(spans))]
            spans.append(Span(position, end, rank))
            start = position = end
        else:
            position = opening.end()
    # without a copy of a text that may be long
    return (b"".join([*remainder, text[start:]]), spans) if spans else (text, spans)


def _search(pattern: re.Pattern[bytes], text: bytes | bytearray, start: int, end: int) -> re.Match[bytes] | None:
    """Return the first match between start and end that is not longer than a window."""
    for position in range(start, end, WINDOW_BYTES):
        match = pattern.search(text, position, min(end, position + 2 * WINDOW_BYTES))
        # a match that starts late may go on behind the window
        if match is not None and (match.start() < position + WINDOW_BYTES or end <= position + 2 * WINDOW_BYTES):
            return match
    return None


def _array_end(text: bytes | bytearray, start: int) -> int:
    """Return where an array of numbers, and of strings that stand for numbers, would end; 0 if it is not one."""
    # A search for one byte is 10 times as fast as one for a pattern.
    first = min((place for place in (text.find(b":", start), text.find(b"}", start)) if place != -1), default=len(text))
    if text[first : first + 1] == b":":
        # The two quotes of the name of the next member.
        first = text.rfind(b'"', start, text.rfind(b'"', start, first))
    bracket = text.rfind(b"]", start, first)
    if bracket == -1 or not ENDING.match(text, bracket):
        ending = _search(ENDING, text, start, len(text))
        bracket = text.rfind(b"]", start) if ending is None else ending.start()
    return bracket + 1 if text.find(b"{", start, bracket) == -1 else 0


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
            part = self._read_items(start, end, span, (*origin, items))
            if parts and not (len(part) and len(parts[0])):
                raise JsonMistake(end, Mend.COMMA)
            if parts and part.shape[1:] != parts[0].shape[1:]:
                raise RaggedTensor((self.name, *origin, items))
            if len(part) and not part.size:
                # millions of empty rows have no element to count
                place: Location = (self.name, *origin, items)
                raise EmptyAxis(f"{written(place)} is empty; a row must hold numbers.", (place, "is empty"))
            items, size = items + len(part), size + part.size
            if size > self.max_elements:
                raise TensorTooLarge(self.name, size, self.max_elements)
            parts.append(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _pieces(self, span: Span) -> Iterator[tuple[int, int]]:
        """Yield the start and the end of some items of the array at a time, or of one that is longer than a piece."""
        text, separator = self.text, _separator(span.rank)
        end = text.rindex(b"]", span.start, span.end)
        start = text.index(b"[", span.start) + 1
        while start <= end:
            match = _search(separator, text, start + PIECE_BYTES, end)
            stop = match.end() - 1 if match else end
            if stop - start > MAX_PIECE_BYTES:
                # the last of these items is long: leave it for the next piece
                for shorter in separator.finditer(text, start, start + PIECE_BYTES):
                    stop = shorter.end() - 1
            yield start, stop
            start = stop + 1

    def _read_items(self, start: int, end: int, span: Span, origin: Shape) -> Array:
        """Return some items of the array in a span. origin: index of the first of them."""
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
        array = from_nested(self.name, items, self.domain, words=self.words, origin=origin)
        if mistake is None:
            return array
        # between the items of a rectangular array there are as many opening brackets as closing ones
        if not _is_balanced(piece) and _is_balanced(memoryview(text)[span.start : span.end]):
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
                # a client may send that very number
                if np.count_nonzero(places) != count:
                    raise NotNumbers
                array[places] = VALUES[value]
        return array


def _is_balanced(text: bytes | memoryview) -> bool:
    """Return whether a text has as many opening brackets as closing ones."""
    return _count(text, b"[") == _count(text, b"]")


def _count(text: bytes | memoryview, character: bytes) -> int:
    """Return how many bytes of a text are one character, in a sixth of the time of bytes.count."""
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord(character)))


@cache
def _separator(rank: int) -> re.Pattern[bytes]:
    """Return the pattern of what is between two items of an array."""
    # not as a group with a count: a search for a literal first byte is faster
    return re.compile(rb"\]\s*+" * (rank - 1) + b",")
