"""A JSON text, parsed, whose tensors are read one by one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import numpy.typing as npt
import simdjson

from service.codecs import numbers, pieces
from service.errors import RaggedTensor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.description import Domain

Array = npt.NDArray[Any]

Result = TypeVar("Result")


class Document:
    """A JSON text, parsed, whose tensors are read one by one.

    root: of the parsed text; in place of a long array it may have a string.
    skeleton: what was parsed, the text without the arrays at spans.
    """

    def __init__(
        self, root: Any, skeleton: bytes | bytearray, text: bytes | bytearray, spans: Sequence[pieces.Span] = ()
    ) -> None:
        self.root = root
        self._skeleton = skeleton
        self._text = text
        self._spans = spans
        self._unread = len(spans)
        self._read: list[tuple[str, Any, tuple[int, ...]]] = []

    def has_array(self, value: Any) -> bool:
        """Is value an array?"""
        return isinstance(value, simdjson.Array) or self._is_cut(value)

    def tensor(self, name: str, value: Any, domain: Domain) -> Array:
        """The nested array of numbers that value is. Raises ServiceError."""
        if self._is_cut(value):
            self._unread -= 1
            return pieces.read(name, self._text, self._spans[int(value[1:])], domain)
        array = numbers.tensor(name, value, domain)
        self._read.append((name, value, array.shape))
        return array

    def check_depths(self, others: int) -> None:
        """Raises RaggedTensor where a row hides an array of one number: [1, [2]] flattens like [1, 2].

        others: how many lists there are that are no tensor.

        Together they account for every opening bracket, or one of the tensors has brackets too many.
        """
        if self._unread:
            # a long array stands where no tensor does
            raise pieces.Uncut
        expected = [numbers.brackets(shape) for _, _, shape in self._read]
        if self._skeleton.count(b"[") == sum(expected) + others:
            return
        for (name, array, _), count in zip(self._read, expected, strict=True):
            if array.mini.count(b"[") != count:
                raise RaggedTensor(name)

    def _is_cut(self, value: Any) -> bool:
        return bool(self._spans) and isinstance(value, str) and value.startswith(pieces.PLACEHOLDER)


def read(text: bytes | bytearray, reader: Callable[[Document], Result]) -> Result:
    """What reader makes of the document in a text. Raises ServiceError."""
    if len(text) >= pieces.LONG_BYTES:
        skeleton, spans = pieces.cut(text)
        if spans:
            with suppress(pieces.Uncut):
                return reader(Document(pieces.parse_skeleton(skeleton), skeleton, text, spans))
    return reader(Document(numbers.parse(text), text, text))
