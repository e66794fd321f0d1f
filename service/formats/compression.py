"""Compressed bodies, inflated piece by piece."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from service.errors import MalformedBody

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""Encodings that are understood, and how zlib is told of them; deflate is the zlib format, RFC 9110, 8.4.1.2."""

PIECE_BYTES = 2**16


MAX_RATIO = 1032
"""Largest ratio of the size of a body after and before decompression (zlib's technical notes)."""


def inflated_size(body: bytes | bytearray, encoding: str) -> int:
    """Return the size of a body after decompression: the one that gzip states, or else a bound."""
    stated = int.from_bytes(body[-4:], "little") if encoding == "gzip" else 0
    return min(stated or MAX_RATIO * len(body), MAX_RATIO * len(body))


def inflate(body: bytes | bytearray, encoding: str, reservation: Callable[[int], None]) -> bytearray:
    """The body as it was before it was compressed.

    reservation: told of the bytes of each piece before they are kept; what it raises ends the work.

    Raises MalformedBody.
    """
    inflater = zlib.decompressobj(WINDOWS[encoding])
    inflated = bytearray()
    end = 0

    def keep(piece: bytes) -> None:
        reservation(len(piece))
        inflated.extend(piece)

    try:
        for start in range(0, len(body), PIECE_BYTES):
            if inflater.eof:
                break
            rest = bytes(body[start : start + PIECE_BYTES])
            while rest:
                keep(inflater.decompress(rest, PIECE_BYTES))
                rest = inflater.unconsumed_tail
            end = start + PIECE_BYTES
        keep(inflater.flush())
    except zlib.error:
        raise MalformedBody(f"The body is not valid {encoding}.") from None
    if not inflater.eof or inflater.unused_data or end < len(body):
        raise MalformedBody(f"The body is not one complete {encoding} stream.")
    return inflated
