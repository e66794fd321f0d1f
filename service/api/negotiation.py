"""Which formats a request brings, and which it takes."""

from __future__ import annotations

from functools import lru_cache

from service.errors import UnreadableMediaType, UnwritableMediaType


@lru_cache(maxsize=64)
def check_content(content_type: str | None, content_encoding: str | None, readable: str) -> None:
    """Raises UnreadableMediaType unless the body is of the readable media type, in UTF-8, not compressed."""
    media_type, _, parameters = (content_type or "").partition(";")
    charset = parameters.replace(" ", "").replace('"', "").lower()
    if media_type.strip().lower() != readable or charset not in ("", "charset=utf-8"):
        raise UnreadableMediaType(f"Send the body with the header Content-Type: {readable}.")
    if (content_encoding or "identity").strip().lower() != "identity":
        raise UnreadableMediaType("Send the body without Content-Encoding.")


@lru_cache(maxsize=64)
def check_accept(accept: str | None, writable: str) -> None:
    """Raises UnwritableMediaType unless the writable media type is welcome (RFC 9110, 12.5.1)."""
    if accept is None or not accept.strip():
        return
    kind = writable.partition("/")[0]
    ranks = {writable: 3, f"{kind}/*": 2, "*/*": 1}
    best, welcome = 0, False
    for item in accept.lower().split(","):
        media_range, *parameters = (part.strip() for part in item.split(";"))
        rank = ranks.get(media_range, 0)
        if rank > best:
            best, welcome = rank, not any(_is_zero(parameter) for parameter in parameters)
    if not welcome:
        raise UnwritableMediaType(f"The answer is {writable}; name it, or */*, in the header Accept.")


def _is_zero(parameter: str) -> bool:
    """Is it q=0, q=0.0, ...: not welcome?"""
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and not value.strip().strip("0.")
