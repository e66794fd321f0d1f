"""Which formats a request brings, and which it takes."""

from __future__ import annotations

from functools import lru_cache

from service.errors import UnreadableMediaType, UnwritableMediaType

ENCODINGS = ("gzip", "deflate")
"""Compressions of a body that are understood."""


@lru_cache(maxsize=64)
def content_type(header: bytes | None, readable: tuple[str, ...]) -> str:
    """The media type of a body. Raises UnreadableMediaType unless it is one of the readable ones, text in UTF-8."""
    media_type, _, parameters = (header or b"").decode("latin-1").partition(";")
    media_type = media_type.strip().lower()
    charset = parameters.replace(" ", "").replace('"', "").lower()
    if media_type not in readable or charset not in ("", "charset=utf-8"):
        raise UnreadableMediaType(f"Say what the body is with the header Content-Type: {' or '.join(readable)}.")
    return media_type


@lru_cache(maxsize=64)
def content_encoding(header: bytes | None) -> str | None:
    """How a body is compressed, None if it is not. Raises UnreadableMediaType for a way that is not understood."""
    encoding = (header or b"identity").decode("latin-1").strip().lower()
    if encoding == "identity":
        return None
    if encoding not in ENCODINGS:
        raise UnreadableMediaType(f"Compress the body with {' or '.join(ENCODINGS)}, or not at all.")
    return encoding


@lru_cache(maxsize=64)
def first_accepted(accept: bytes | None, writable: tuple[str, ...]) -> str:
    """The first of the writable media types that is welcome (RFC 9110, 12.5.1). Raises UnwritableMediaType."""
    for media_type in writable:
        if _is_accepted(accept, media_type):
            return media_type
    raise UnwritableMediaType(f"The answer can be {' or '.join(writable)}; name one, or */*, in the header Accept.")


def _is_accepted(accept: bytes | None, media_type: str) -> bool:
    """Is the most specific range that a media type is in one with a quality above 0?"""
    if accept is None or not accept.strip():
        return True
    ranks = {media_type: 3, f"{media_type.partition('/')[0]}/*": 2, "*/*": 1}
    best, welcome = 0, False
    for item in accept.decode("latin-1").lower().split(","):
        media_range, *parameters = (part.strip() for part in item.split(";"))
        rank = ranks.get(media_range, 0)
        if rank > best:
            best, welcome = rank, not any(_is_zero(parameter) for parameter in parameters)
    return welcome


def _is_zero(parameter: str) -> bool:
    """Is it q=0, q=0.0, ...: not welcome?"""
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and not value.strip().strip("0.")
