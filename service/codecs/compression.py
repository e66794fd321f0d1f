"""Compressed bodies, inflated up to a limit."""

from __future__ import annotations

import zlib

from service.errors import BodyTooLarge, MalformedBody

WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""Encodings that are understood, and how zlib is told of them; deflate is the zlib format, RFC 9110, 8.4.1.2."""


def inflate(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """The body as it was before it was compressed.

    Raises MalformedBody, and BodyTooLarge before more than max_bytes are inflated.
    """
    inflater = zlib.decompressobj(WINDOWS[encoding])
    try:
        inflated = inflater.decompress(body, max_bytes + 1)
    except zlib.error:
        raise MalformedBody(f"The body is not valid {encoding}.") from None
    if len(inflated) > max_bytes:
        raise BodyTooLarge(max_bytes)
    if not inflater.eof or inflater.unused_data:
        raise MalformedBody(f"The body is not one complete {encoding} stream.")
    return inflated
