"""Content negotiation: the formats of a request body and of its response."""

from __future__ import annotations

import re
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from service.errors import UnreadableEncoding, UnreadableMediaType, UnwritableMediaType
from service.formats.compression import ENCODINGS

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

CACHE_SIZE = 64

MAX_KEPT_BYTES = 2**8
"""Longest header that is kept with its meaning. Browsers send about 140 bytes of Accept."""

WEIGHT = re.compile(r"q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")
"""The parameter of a media range that states its quality (RFC 9110, 12.4.2)."""

MAX_RANGES = 64
"""Number of media ranges of a header Accept that are read."""


def remembered(function: Callable[[bytes | None, *Ts], T]) -> Callable[[bytes | None, *Ts], T]:
    """Return a function of a header that keeps its results, except those of long headers, which would take memory."""
    cached = lru_cache(maxsize=CACHE_SIZE)(function)

    @wraps(function)
    def call(header: bytes | None, *args: *Ts) -> T:
        return (cached if header is None or len(header) <= MAX_KEPT_BYTES else function)(header, *args)

    return call


@remembered
def content_type(header: bytes | None, readable: tuple[str, ...]) -> str:
    """Return the media type of a body. Raise UnreadableMediaType unless it is readable.

    Parameters are ignored, charset included: the decoder rejects bytes that are not UTF-8.
    """
    media_type = (header or b"").partition(b";")[0].strip().lower().decode("latin-1")
    if media_type not in readable:
        raise UnreadableMediaType(readable)
    return media_type


@remembered
def content_encoding(header: bytes | None) -> str | None:
    """Return the compression of a body, None for none. Raise UnreadableEncoding if it is not supported.

    `identity` may stand beside a compression.
    """
    names = [name.strip().lower() for name in (header or b"").decode("latin-1").split(",", MAX_RANGES)]
    applied = [name for name in names if name not in ("", "identity")]
    if not applied:
        return None
    if len(applied) > 1 or applied[0] not in ENCODINGS:
        once = "Compress the body once at most. " if len(applied) > 1 else ""
        raise UnreadableEncoding(f"{once}Set the header Content-Encoding to {' or '.join(ENCODINGS)}, or leave it out.")
    return applied[0]


@remembered
def preferred(accept: bytes | None, writable: tuple[str, ...]) -> str:
    """Return the writable media type that Accept prefers, the first of equals (RFC 9110, 12.5.1).

    Raise UnwritableMediaType.
    """
    best = max(writable, key=lambda media_type: _quality(accept, media_type))
    if _quality(accept, best):
        return best
    raise UnwritableMediaType(f"Set the header Accept to {' or '.join(writable)}, or to */*.")


def wants_html(accept: str) -> bool:
    """Return whether Accept names HTML, and wants JSON no more than it; `*/*` means JSON."""
    if "text/html" not in accept:
        return False
    try:
        return preferred(accept.encode("latin-1"), ("text/html", "application/json")) == "text/html"
    except UnwritableMediaType:
        return False


def _quality(accept: bytes | None, media_type: str) -> float:
    """Return the quality of the most specific range that contains a media type, 0 if none does."""
    if accept is None or not accept.strip():
        return 1
    ranks = {media_type: 3, f"{media_type.partition('/')[0]}/*": 2, "*/*": 1}
    best, quality = 0, 0.0
    for item in accept.decode("latin-1").lower().split(",", MAX_RANGES)[:MAX_RANGES]:
        media_range, *parameters = (part.strip() for part in item.split(";", MAX_RANGES))
        rank = ranks.get(media_range, 0)
        if rank > best:
            best, quality = rank, min((_weight(parameter) for parameter in parameters), default=1)
    return quality


def _weight(parameter: str) -> float:
    """Return the quality that a parameter states: 0.5 for q=0.5, 1 for any other parameter."""
    match = WEIGHT.fullmatch(parameter)
    return float(match[1]) if match else 1
