"""Decompress bodies piece by piece."""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING

from service.errors import MalformedBody

# a Python may be built without zstd, and a platform may have no wheel of it
try:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
except ImportError:
    zstd = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable

ENCODINGS = ("gzip", "x-gzip", "deflate", *(("zstd",) if zstd else ()))
"""The accepted encodings. RFC 9110, 8.4.1, names the zlib format deflate; some clients send it raw."""

ERRORS = (zlib.error, zstd.ZstdError) if zstd else (zlib.error,)

PIECE_BYTES = 2**16

MAX_MEMBERS = 2**10
"""Members of a gzip stream, or frames of a zstd stream; each costs a call."""

ZSTD_WINDOW_LOG = 23
"""Logarithm of the largest window of zstd over HTTP, in bytes (RFC 9659)."""


class _Zlib:
    """Decompressor of the formats of zlib, with the members of zstd's."""

    def __init__(self, window_bits: int) -> None:
        self._zlib = zlib.decompressobj(window_bits)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes | memoryview, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail or data, max_length)


def inflate(body: bytes | bytearray, encoding: str, reserve: Callable[[int], None]) -> bytearray:
    """Return a body as it was before it was compressed.

    reserve: called with the length of each piece before the piece is kept; an exception that it raises ends the work.

    Raises MalformedBody.
    """
    inflated = bytearray()
    compressed = memoryview(body)
    try:
        for _ in range(MAX_MEMBERS):
            compressed = _inflate_member(compressed, _decompressor(body, encoding), inflated, reserve)
            if not compressed:
                return inflated
            if encoding == "deflate":
                break
    except ERRORS:
        limit = f" with a window of at most {2**ZSTD_WINDOW_LOG} bytes" if encoding == "zstd" else ""
        raise MalformedBody(f"The body is not valid {encoding}{limit}.") from None
    raise MalformedBody(f"The body is not one complete {encoding} stream of at most {MAX_MEMBERS} members.")


def _decompressor(body: bytes | bytearray, encoding: str) -> _Zlib | zstd.ZstdDecompressor:
    """Return a decompressor of the next member of a body."""
    if encoding == "zstd":
        return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG})
    if encoding != "deflate":
        return _Zlib(16 + zlib.MAX_WBITS)
    return _Zlib(zlib.MAX_WBITS if _has_zlib_header(body) else -zlib.MAX_WBITS)


def _has_zlib_header(body: bytes | bytearray) -> bool:
    """Return whether a body starts like the zlib format (RFC 1950, 2.2). No compressor starts a raw stream so."""
    return bool(body) and body[0] & 0x0F == zlib.DEFLATED


def _inflate_member(
    compressed: memoryview,
    decompressor: _Zlib | zstd.ZstdDecompressor,
    inflated: bytearray,
    reserve: Callable[[int], None],
) -> memoryview:
    """Add the content of the first member to inflated, and return the data behind it. Raises zlib.error and ZstdError."""
    position = 0
    while not decompressor.eof:
        is_complete = decompressor.needs_input and position >= len(compressed)
        source = compressed[position : position + PIECE_BYTES] if decompressor.needs_input else b""
        position += len(source)
        piece = decompressor.decompress(source, PIECE_BYTES)
        if is_complete and not decompressor.eof:
            raise zlib.error("the stream is incomplete")
        reserve(len(piece))
        inflated.extend(piece)
    return compressed[position - len(decompressor.unused_data) :]
