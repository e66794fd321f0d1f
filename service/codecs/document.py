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
        array = numbers.tensor(name, value, domain)
        self._read.append((name, value, array.shape))
        return array

    def check_depths(self, others: int) -> None:
        """Raises RaggedTensor where a row hides an array of one number: [1, [2]] flattens like [1, 2].

        others: how many lists there are that are no tensor.

        Together they account for every opening bracket, or one of the tensors has brackets too many.
        """
        expected = others
        for _, _, shape in self._read:
            expected += numbers.brackets(shape)
        if self._skeleton.count(b"[") == expected:
            return
        for name, array, shape in self._read:
            if array.mini.count(b"[") != numbers.brackets(shape):
                raise RaggedTensor(name)


class CutDocument(Document):
    """A JSON text of which long arrays were cut out before the rest was parsed.

    text: the whole; spans: where in it the arrays are.
    """

    def __init__(
        self, root: Any, skeleton: bytes | bytearray, text: bytes | bytearray, spans: Sequence[pieces.Span]
    ) -> None:
        super().__init__(root, skeleton)
        self._text = text
        self._spans = spans
        self._unread = len(spans)

    def tensor(self, name: str, value: Any, domain: Domain) -> Array | None:
        """As `Document.tensor`, also of an array that was cut out. Raises ServiceError, pieces.Uncut."""
        if not (isinstance(value, str) and value.startswith(pieces.PLACEHOLDER)):
            return super().tensor(name, value, domain)
        self._unread -= 1
        return pieces.read(name, self._text, self._spans[int(value[1:])], domain)

    def check_depths(self, others: int) -> None:
        """As `Document.check_depths`. Raises pieces.Uncut where a long array stands and no tensor does."""
        if self._unread:
            raise pieces.Uncut
        super().check_depths(others)


def read(text: bytes | bytearray, reader: Callable[..., Result], *arguments: Any) -> Result:
    """What reader makes of the document in a text, and of the arguments. Raises ServiceError."""
    if len(text) >= pieces.LONG_BYTES:
        skeleton, spans = pieces.cut(text)
        if spans:
            with suppress(pieces.Uncut):
                return reader(CutDocument(pieces.parse_skeleton(skeleton), skeleton, text, spans), *arguments)
    return reader(Document(numbers.parse(text), text), *arguments)
