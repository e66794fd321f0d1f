"""Content negotiation: the formats of a request body and of its response."""

from __future__ import annotations

import re

from service.errors import UnreadableEncoding, UnreadableMediaType, UnwritableMediaType
from service.formats.compression import ENCODINGS

WEIGHT = re.compile(r"q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")
"""The parameter of a media range that states its quality (RFC 9110, 12.4.2)."""

MAX_RANGES = 64
"""Number of media ranges of a header Accept that are read."""


def content_type(header: bytes | None, readable: tuple[str, ...]) -> str:
    """Return the media type of a body. Raise UnreadableMediaType unless it is readable.

    Parameters are ignored, charset included: the decoder rejects bytes that are not UTF-8.
    """
    media_type = (header or b"").partition(b";")[0].strip().lower().decode("latin-1")
    if media_type not in readable:
        raise UnreadableMediaType(readable)
    return media_type


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


def preferred(accept: bytes | None, writable: tuple[str, ...]) -> str:
    """Return the writable media type that Accept prefers, the first of equals (RFC 9110, 12.5.1).

    Raise UnwritableMediaType.
    """
    if accept is None or not accept.strip():
        return writable[0]
    qualities = _qualities(accept)

    def quality(media_type: str) -> float:
        """Return the quality of the most specific range that contains a media type, 0 if none does."""
        ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
        return next((qualities[each] for each in ranges if each in qualities), 0)

    best = max(writable, key=quality)
    if quality(best):
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


def _qualities(accept: bytes) -> dict[str, float]:
    """Return the quality of each media range. The first of equal ranges counts."""
    qualities: dict[str, float] = {}
    for item in accept.decode("latin-1").lower().split(",", MAX_RANGES)[:MAX_RANGES]:
        media_range, *parameters = (part.strip() for part in item.split(";", MAX_RANGES))
        qualities.setdefault(media_range, min(map(_weight, parameters), default=1))
    return qualities


def _weight(parameter: str) -> float:
    """Return the quality that a parameter states: 0.5 for q=0.5, 1 for any other parameter."""
    match = WEIGHT.fullmatch(parameter)
    return float(match[1]) if match else 1
