"""A JSON text, parsed, whose tensors are read one by one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import simdjson

from service.errors import RaggedTensor
from service.formats import json_numbers, long_arrays

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.arrays import Array
    from service.operations.spec import Domain

Result = TypeVar("Result")


class Document:
    """A JSON text, parsed, whose tensors are read one by one.

    root: of the parsed text; in place of a long array it may have a string.
    skeleton: what was parsed, the text without the long arrays.
    """

    def __init__(self, root: Any, skeleton: bytes | bytearray) -> None:
        self.root = root
        self._skeleton = skeleton
        self._read: list[tuple[str, Any, tuple[int, ...]]] = []

    def tensor(self, name: str, value: Any, domain: Domain) -> Array | None:
        """The nested array of numbers that value is, None if it is no array. Raises ServiceError."""
        if not isinstance(value, simdjson.Array):
            return None
        array = json_numbers.tensor(name, value, domain)
        self._read.append((name, value, array.shape))
        return array

    def check_depths(self, others: int) -> None:
        """Raises RaggedTensor where a row hides an array of one number: [1, [2]] flattens like [1, 2].

        others: how many lists there are that are no tensor.

        BatchedHistogram they account for every opening bracket, or one of the tensors has brackets too many.
        """
        expected = others
        for _, _, shape in self._read:
            expected += json_numbers.brackets(shape)
        if self._skeleton.count(b"[") == expected:
            return
        for name, array, shape in self._read:
            if array.mini.count(b"[") != json_numbers.brackets(shape):
                raise RaggedTensor(name)


class CutDocument(Document):
    """A JSON text of which long arrays were cut out before the rest was parsed.

    text: the whole; spans: where in it the arrays are.
    """

    def __init__(
        self, root: Any, skeleton: bytes | bytearray, text: bytes | bytearray, spans: Sequence[long_arrays.Span]
    ) -> None:
        super().__init__(root, skeleton)
        self._text = text
        self._spans = spans
        self._unread = len(spans)

    def tensor(self, name: str, value: Any, domain: Domain) -> Array | None:
        """As `Document.tensor`, also of an array that was cut out. Raises ServiceError, long_arrays.NotAnArray."""
        if not (isinstance(value, str) and value.startswith(long_arrays.PLACEHOLDER)):
            return super().tensor(name, value, domain)
        self._unread -= 1
        return long_arrays.read(name, self._text, self._spans[int(value[1:])], domain)

    def check_depths(self, others: int) -> None:
        """As `Document.check_depths`. Raises long_arrays.NotAnArray where a long array stands and no tensor does."""
        if self._unread:
            raise long_arrays.NotAnArray
        super().check_depths(others)


def read(text: bytes | bytearray, reader: Callable[..., Result], *arguments: Any) -> Result:
    """What reader makes of the document in a text, and of the arguments. Raises ServiceError."""
    if len(text) >= long_arrays.LONG_BYTES:
        skeleton, spans = long_arrays.cut(text)
        if spans:
            with suppress(long_arrays.NotAnArray):
                return reader(CutDocument(long_arrays.parse_skeleton(skeleton), skeleton, text, spans), *arguments)
    return reader(Document(json_numbers.parse(text), text), *arguments)
