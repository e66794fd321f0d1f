"""Bodies are read up to a limit, and not a byte further."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import BodyTooLarge

if TYPE_CHECKING:
    from starlette.requests import Request


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body. Raises BodyTooLarge as soon as it is known to be longer than max_bytes."""
    if int(request.headers.get("content-length", 0)) > max_bytes:
        raise too_large(max_bytes)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise too_large(max_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def too_large(max_bytes: int) -> BodyTooLarge:
    """The refusal of a body longer than max_bytes."""
    return BodyTooLarge(f"The body is longer than {max_bytes} bytes; send fewer rows.")
