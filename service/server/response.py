"""The bytes of a response."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus}

CLOSE = (b"connection", b"close")

LINE_FEED, CARRIAGE_RETURN = b"\n\r"


def whole_response(
    status: int, headers: Sequence[tuple[bytes, bytes]], default_headers: bytes, body: bytes, *, adds_close: bool
) -> bytes:
    """Return a response with Content-Length, in one piece. Raise RuntimeError if a header contains a line end.

    default_headers: as `FlowControl.header_lines` returns them. adds_close: add the header Connection: close.
    """
    texts = [*chain.from_iterable(headers)]
    check_line_ends(texts)
    # a quarter of the time of joining each line
    return _template(status, len(headers), adds_close) % (*texts, len(body), default_headers, body)


def check_line_ends(texts: Sequence[bytes]) -> None:
    """Raise RuntimeError if a text contains the end of a line."""
    text = b"".join(texts)
    if LINE_FEED in text or CARRIAGE_RETURN in text:
        raise RuntimeError("A header of the response contains a line end.")


@lru_cache(maxsize=64)
def _template(status: int, headers: int, adds_close: bool) -> bytes:  # noqa: FBT001  a part of the key
    """Return the format of a response with that many headers."""
    lines = (STATUS_LINES[status], *[b"%b: %b"] * headers, b"content-length: %d", *[b"connection: close"] * adds_close)
    return b"\r\n".join((*lines, b"%b%b"))
