"""JSON codecs: text to arrays of numbers, and arrays to text.

Two implementations of each: a portable one, and one that is faster and installed only where its wheels exist
(`pip install softmax-service[fast]`). Both follow the same contract; `SOFTMAX_JSON_CODEC=portable` hides the fast ones.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, Protocol

from service.formats.codecs import portable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.arrays import Array


VARIABLE = "SOFTMAX_JSON_CODEC"
"""Environment variable that hides the accelerators if it is "portable"."""

PREFERENCES = ("auto", "portable")
"""Values of the variable."""


class NumberReader(Protocol):
    """Reader of the numbers of one tensor, used for one text after the other."""

    def __call__(self, text: bytes, *, integers: bool) -> Array:
        """Return the rectangular array of numbers that a JSON text holds.

        integers: return int64 if every number is an integer of 64 bits. The dtype is float64 otherwise.

        Raises NotNumbers for any other text, and where only a slower reader can tell.
        """


class ArrayWriter(Protocol):
    """Writer of arrays as JSON text: the fewest digits that read back, non-finite numbers as strings."""

    def __call__(self, values: Array | Mapping[str, Array]) -> bytes:
        """Return the JSON text of an array, or of an object of named arrays."""


class Codec(NamedTuple):
    """A reader and a writer, each with the name of the library that does the work."""

    reader_name: str
    new_reader: Callable[[], NumberReader]
    writer_name: str
    write: ArrayWriter


def choose(preference: str) -> Codec:
    """Return the fastest installed codec, or the portable one if the preference is "portable"."""
    chosen = PORTABLE
    if preference == "portable":
        return chosen
    try:
        from service.formats.codecs import simdjson_reader  # noqa: PLC0415  optional
    except ImportError:
        pass
    else:
        chosen = chosen._replace(reader_name="simdjson", new_reader=simdjson_reader.SimdjsonReader)
    try:
        from service.formats.codecs import ssrjson_writer  # noqa: PLC0415  optional
    except ImportError:
        pass
    else:
        chosen = chosen._replace(writer_name="ssrjson", write=ssrjson_writer.write)
    return chosen


PORTABLE = Codec("pydantic_core", lambda: portable.read, "pydantic_core", portable.write)

active = choose(os.environ.get(VARIABLE, "auto"))
"""The codec of this process."""


def active_codecs() -> dict[str, str]:
    """Return the names of the libraries that read and write JSON in this process."""
    return {"reader": active.reader_name, "writer": active.writer_name}
