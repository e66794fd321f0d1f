"""Content negotiation: the formats of a request body and of its response."""

from __future__ import annotations

from functools import lru_cache

from service.errors import UnreadableMediaType, UnwritableMediaType
from service.formats.compression import ENCODINGS

CACHE_SIZE = 64

MAX_RANGES = 64
"""Number of media ranges of a header Accept that are read."""


@lru_cache(maxsize=CACHE_SIZE)
def content_type(header: bytes | None, readable: tuple[str, ...]) -> str:
    """Return the media type of a body. Raise UnreadableMediaType unless it is readable.

    Parameters are ignored, charset included: the decoder rejects bytes that are not UTF-8.
    """
    media_type = (header or b"").partition(b";")[0].strip().lower().decode("latin-1")
    if media_type not in readable:
        raise UnreadableMediaType(f"Set the header Content-Type to {' or '.join(readable)}.")
    return media_type


@lru_cache(maxsize=CACHE_SIZE)
def content_encoding(header: bytes | None) -> str | None:
    """Return the compression of a body, None for none. Raise UnreadableMediaType if it is not supported.

    `identity` may stand beside a compression.
    """
    names = [name.strip().lower() for name in (header or b"").decode("latin-1").split(",", MAX_RANGES)]
    applied = [name for name in names if name not in ("", "identity")]
    if not applied:
        return None
    if len(applied) > 1 or applied[0] not in ENCODINGS:
        supported = ", ".join(ENCODINGS)
        raise UnreadableMediaType(f"Compress the body at most once. The supported encodings are {supported}.")
    return applied[0]


@lru_cache(maxsize=CACHE_SIZE)
def first_accepted(accept: bytes | None, writable: tuple[str, ...]) -> str:
    """Return the first of the writable media types that Accept allows (RFC 9110, 12.5.1). Raise UnwritableMediaType."""
    for media_type in writable:
        if _is_accepted(accept, media_type):
            return media_type
    raise UnwritableMediaType(f"Set the header Accept to {' or '.join(writable)}, or to */*.")


def _is_accepted(accept: bytes | None, media_type: str) -> bool:
    """Return whether the most specific range that contains a media type has a quality above 0."""
    if accept is None or not accept.strip():
        return True
    ranks = {media_type: 3, f"{media_type.partition('/')[0]}/*": 2, "*/*": 1}
    best, accepted = 0, False
    for item in accept.decode("latin-1").lower().split(",", MAX_RANGES)[:MAX_RANGES]:
        media_range, *parameters = (part.strip() for part in item.split(";"))
        rank = ranks.get(media_range, 0)
        if rank > best:
            best, accepted = rank, not any(_is_zero(parameter) for parameter in parameters)
    return accepted


def _is_zero(parameter: str) -> bool:
    """Return whether a parameter is a quality of 0: q=0, q=0.0, ..."""
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and not value.strip().strip("0.")
