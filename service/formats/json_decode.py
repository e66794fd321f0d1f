"""Decode a JSON body: long tensors go from the text into arrays, without a Python object for each number."""

from __future__ import annotations

import re
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from service.errors import NotAnObject
from service.formats import codecs
from service.formats.json_mistakes import BLANKS, JsonMistake, Mend, malformed
from service.formats.json_parse import MAX_SLOW_BYTES, parse
from service.formats.long_arrays import (
    LONG_BYTES,
    MAX_ARRAYS,
    OPENING,
    PLACEHOLDER,
    WINDOW_BYTES,
    LongArray,
    Span,
    extract_long_arrays,
    original_offset,
)
from service.formats.nested import from_nested, from_numbers
from service.formats.query import merge, parameters
from service.operations.names import check_names
from service.operations.spec import MAX_RANK, Domain

if TYPE_CHECKING:
    from service.arrays import Array
    from service.operations.spec import Operation

NAME = re.compile(rb'"(\w{1,64})"\s*$')
"""The name of a member, before its colon."""

BLANK_BYTES = 2**14
"""Length of text in which blanks are looked for in one call."""

NOT_AN_OBJECT = "The body must be a JSON object with named fields."


def decode(
    body: bytes | bytearray, operation: Operation, query: str = "", *, max_elements: float = inf
) -> dict[str, Any]:
    """Return the fields of a JSON object and of the query string: tensors as arrays, other fields as Python objects.

    A field that is null is left out.

    max_elements: largest number of elements of a long tensor.

    Raises MalformedBody, NotAnObject, UnknownField, DuplicateField, RaggedTensor, NotANumber, NumberOutOfRange,
    ShapeMismatch and TensorTooLarge.
    """
    document = Document(body, max_elements=max_elements)
    if not isinstance(document.root, dict):
        raise NotAnObject(NOT_AN_OBJECT)
    if not document.root.keys() <= operation.known_names:
        check_names(document.root, operation.names)
    domains = operation.domains
    fields: dict[str, Any] = {}
    for name, value in document.root.items():
        if name in domains and value is not None:
            fields[name] = document.tensor(name, value, domains[name])
        elif value is not None:
            # a long array of numbers is neither a parameter nor a list of outputs
            fields[name] = [] if is_placeholder(value) else value
    return merge(fields, parameters(operation, query)) if query else fields


class Document:
    """JSON text of a request.

    root: the parsed text, with a string in place of each long array.
    """

    def __init__(self, text: bytes | bytearray, *, constants: bool = False, max_elements: float) -> None:
        """Parse a text.

        constants: accept the bare tokens NaN, Infinity and -Infinity as numbers of a tensor.
        max_elements: largest number of elements of a long array.

        Raises MalformedBody, DuplicateField, NotAnObject, and what is wrong with the numbers where that is the reason.
        """
        blanks = 0
        if len(text) > MAX_SLOW_BYTES:
            text = _without_trailing_blanks(text)
            blanks = _leading_blanks(text) if len(text) > MAX_SLOW_BYTES else 0
        remainder, self._spans = extract_long_arrays(text, blanks)
        self._text = text
        self._constants = constants
        self._max_elements = max_elements
        self.unread = len(self._spans)
        try:
            self.root = parse(remainder[blanks:] if blanks else remainder, constants=constants)
        except JsonMistake as mistake:
            self.root = self._parse_again(original_offset(mistake.offset + blanks, self._spans), mistake.mend)
            remainder = text
        # now, because it is a short text; with `in` it would take longer
        self._has_booleans = remainder.find(b"true") != -1 or remainder.find(b"false") != -1

    def tensor(self, name: str, value: Any, domain: Domain) -> Array:
        """Return a tensor of the document as an array.

        value: what stands in its place in the root.

        Raises MalformedBody, NotANumber, NumberOutOfRange, RaggedTensor, ShapeMismatch and TensorTooLarge.
        """
        if not (self._spans and is_placeholder(value)):
            array = None if self._has_booleans else from_numbers(value)
            if array is None:
                words = self._constants or domain is Domain.LOGITS
                return from_nested(name, value, domain, words=words)
            is_exact = domain is Domain.TARGETS and array.dtype == np.int64
            return array if is_exact else array.astype(np.float64, copy=False)
        self.unread -= 1
        try:
            return self._long_array(name, domain).read(self._spans[int(value[len(PLACEHOLDER) :])])
        except JsonMistake as mistake:
            mend = Mend.UNKNOWN if mistake.mend is Mend.AFTER else mistake.mend
            raise malformed(self._text, mistake.offset, mend) from None

    def _long_array(self, name: str, domain: Domain) -> LongArray:
        words = self._constants or domain is Domain.LOGITS
        reader = codecs.active.new_reader()
        return LongArray(name, self._text, domain, words, self._constants, self._max_elements, reader)

    def _parse_again(self, offset: int, mend: Mend) -> Any:
        """Return the value of a short text as a whole. Raises the error for a mistake at an offset otherwise."""
        text = self._text
        if self._spans and len(text) <= MAX_SLOW_BYTES:
            self._spans, self.unread = [], 0
            try:
                return parse(text, constants=self._constants)
            except JsonMistake as mistake:
                offset, mend = mistake.offset, mistake.mend
        if len(text) > MAX_SLOW_BYTES:
            if text[:MAX_SLOW_BYTES].lstrip(BLANKS)[:1] in (b"[", b'"'):
                raise NotAnObject(NOT_AN_OBJECT)
            self._check_array_before(offset)
        raise malformed(text, offset, mend)

    def _check_array_before(self, offset: int) -> None:
        """Raise the error for the array in which a mistake of a long text is, if the array is the reason."""
        text = self._text
        opening = None
        for _ in range(MAX_ARRAYS):
            offset = text.rfind(b":", 0, offset)
            opening = OPENING.match(text, offset, offset + WINDOW_BYTES) if offset != -1 else None
            if opening is not None or offset == -1:
                break
        name = NAME.search(text[max(0, offset - LONG_BYTES) : offset]) if opening else None
        # the list of outputs holds words
        if opening is None or name is None or name[1] == b"outputs":
            return
        span = Span(opening.start(1), text.rfind(b"]") + 1, opening[1].count(b"["))
        if span.end - span.start < LONG_BYTES or span.rank > MAX_RANK:
            return
        try:
            self._long_array(name[1].decode(), Domain.LOGITS).read(span)
        except JsonMistake as mistake:
            if mistake.mend is not Mend.AFTER:
                raise malformed(text, mistake.offset, mistake.mend) from None


def _leading_blanks(text: bytes | bytearray) -> int:
    """Return the number of blanks at the start of a text."""
    start = 0
    # in windows, since a search holds the interpreter lock
    while start < len(text) and not text[start : start + BLANK_BYTES].translate(None, BLANKS):
        start += BLANK_BYTES
    head = text[start : start + BLANK_BYTES]
    return start + len(head) - len(head.lstrip(BLANKS))


def _without_trailing_blanks(text: bytes | bytearray) -> bytes | bytearray:
    """Return a text without the blanks at its end. They are legal, and must not count as text outside of arrays."""
    end = len(text)
    # in windows, since a search holds the interpreter lock
    while end and not text[max(0, end - BLANK_BYTES) : end].translate(None, BLANKS):
        end = max(0, end - BLANK_BYTES)
    tail = text[max(0, end - BLANK_BYTES) : end]
    end -= len(tail) - len(tail.rstrip(BLANKS))
    return text if end == len(text) else text[:end]


def is_placeholder(value: Any) -> bool:
    """Return whether a value of a root stands for a long array."""
    return isinstance(value, str) and value.startswith(PLACEHOLDER)
