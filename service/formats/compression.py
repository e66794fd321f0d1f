"""Decompress bodies piece by piece."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from service.errors import MalformedBody

if TYPE_CHECKING:
    from collections.abc import Callable

GZIP = 16 + zlib.MAX_WBITS
ZLIB = zlib.MAX_WBITS
RAW = -zlib.MAX_WBITS
"""Window sizes by which zlib knows its three formats."""

ENCODINGS = {"gzip": GZIP, "x-gzip": GZIP, "deflate": ZLIB}
"""The encodings that are accepted. RFC 9110, 8.4.1, names the zlib format deflate; some clients send it raw."""

PIECE_BYTES = 2**16

MAX_MEMBERS = 2**10
"""Members of a gzip stream; each costs a call."""


MAX_RATIO = 1032
"""Largest ratio of the size of a body after and before decompression (zlib's technical notes)."""


def inflated_size(body: bytes | bytearray, encoding: str) -> int:
    """Return the size of a body after decompression: the one that gzip states, or else a bound."""
    stated = int.from_bytes(body[-4:], "little") if ENCODINGS[encoding] == GZIP else 0
    return min(stated or MAX_RATIO * len(body), MAX_RATIO * len(body))


def inflate(body: bytes | bytearray, encoding: str, reserve: Callable[[int], None]) -> bytearray:
    """Return a body as it was before it was compressed.

    reserve: called with the length of each piece before the piece is kept; an exception that it raises ends the work.

    Raises MalformedBody.
    """
    format_ = ENCODINGS[encoding]
    if format_ == ZLIB and not _has_zlib_header(body):
        format_ = RAW
    inflated = bytearray()
    compressed = memoryview(body)
    try:
        for _ in range(MAX_MEMBERS):
            compressed = _inflate_member(compressed, format_, inflated, reserve)
            if not compressed:
                return inflated
            if format_ != GZIP:
                break
    except zlib.error:
        raise MalformedBody(f"The body is not valid {encoding}.") from None
    raise MalformedBody(f"The body is not one complete {encoding} stream of at most {MAX_MEMBERS} members.")


def _has_zlib_header(body: bytes | bytearray) -> bool:
    """Return whether a body starts like the zlib format: deflate with a checksum over two bytes (RFC 1950, 2.2)."""
    return len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and int.from_bytes(body[:2]) % 31 == 0


def _inflate_member(
    compressed: memoryview, format_: int, inflated: bytearray, reserve: Callable[[int], None]
) -> memoryview:
    """Add the content of the first member to inflated, and return what follows the member. Raises zlib.error."""
    inflater = zlib.decompressobj(format_)
    position = 0
    while not inflater.eof:
        source: bytes | memoryview = inflater.unconsumed_tail
        if not source:
            source = compressed[position : position + PIECE_BYTES]
            position += len(source)
        piece = inflater.decompress(source, PIECE_BYTES)
        if not (piece or source or inflater.eof):
            raise zlib.error("the stream is incomplete")
        reserve(len(piece))
        inflated.extend(piece)
    return compressed[position - len(inflater.unused_data) :]
