"""Framing of request bodies (RFC 9112, 6 and 7)."""

from __future__ import annotations

import re

from service.errors import MalformedHeader
from service.server.head import HEAD_END, MAX_HEADER_BYTES

MAX_CHUNK_LINE_BYTES = 2**12
"""Longest line with the size and the extensions of a chunk, in bytes."""

MAX_CHUNKS_AT_ONCE = 2**8
"""Chunks that are decoded in one turn of the event loop, in about 0.3 ms if they are short."""

MAX_SIZE_BYTES = 32
"""More than the size of a chunk and whitespace behind it take."""

_CHUNK_LINE = rb"([0-9A-Fa-f]{1,15})(?:[ \t]{0,8};[^\r\n]{0,%d})?\r\n" % MAX_CHUNK_LINE_BYTES
_FIRST_CHUNK = re.compile(_CHUNK_LINE)
_NEXT_CHUNK = re.compile(rb"\r\n" + _CHUNK_LINE)
"""The line of a chunk, behind the line end of the chunk before."""

_TRAILERS = re.compile(rb"\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r\n)*\r\n")


class FixedLengthBody:
    """A body of known length."""

    def __init__(self, length: int) -> None:
        self._missing = length
        self.is_complete = not length

    def split(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the part of `data` that belongs to the body, and the rest."""
        if len(data) < self._missing:
            self._missing -= len(data)
            return data, b""
        length, self._missing = self._missing, 0
        self.is_complete = True
        return data[:length], data[length:]


class ChunkedBody:
    """A body in the chunked transfer coding. The fields of its trailer section are dropped (RFC 9110, 6.5.1)."""

    def __init__(self) -> None:
        self._missing = 0
        self._line = _FIRST_CHUNK
        self._in_trailers = False
        self.is_complete = False

    def split(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what `data` has of the body, decoded, and the rest. Raise MalformedHeader for invalid framing.

        The rest belongs to the body too unless the body is complete: it is an incomplete line, or more than
        MAX_CHUNKS_AT_ONCE.
        """
        pieces: list[bytes] = []
        position = 0
        while not self._in_trailers and len(pieces) < MAX_CHUNKS_AT_ONCE:
            if self._missing:
                piece = data[position : position + self._missing]
                pieces.append(piece)
                position += len(piece)
                self._missing -= len(piece)
                if self._missing:
                    return b"".join(pieces), b""
            match = self._line.match(data, position)
            if match is None:
                self._check_incomplete(data, position)
                return b"".join(pieces), data[position:]
            self._line = _NEXT_CHUNK
            self._missing = int(match[1], 16)
            # the line end of the last chunk stays, for HEAD_END to be found without trailers too
            self._in_trailers = not self._missing
            position = match.end() - 2 * self._in_trailers
        rest = data[position:]
        return b"".join(pieces), self._skip_trailers(rest) if self._in_trailers else rest

    def _check_incomplete(self, data: bytes, position: int) -> None:
        """Raise MalformedHeader unless the chunk line at `position` may only be cut off."""
        start = data[position : position + 2]
        if self._line is _NEXT_CHUNK:
            if not b"\r\n".startswith(start):
                raise MalformedHeader("End each chunk of the body with CRLF.")
            position += 2
        if data.find(b"\n", position) >= 0 or len(data) - position > MAX_CHUNK_LINE_BYTES + MAX_SIZE_BYTES:
            raise MalformedHeader(
                f"Send the size of each chunk in hexadecimal, in at most {MAX_CHUNK_LINE_BYTES} bytes."
            )

    def _skip_trailers(self, data: bytes) -> bytes:
        """Return what follows the trailer section; all of it until the section is complete."""
        end = data.find(HEAD_END) + len(HEAD_END)
        self.is_complete = end >= len(HEAD_END)
        if (end if self.is_complete else len(data)) > MAX_HEADER_BYTES:
            raise MalformedHeader(f"Send trailer fields of at most {MAX_HEADER_BYTES} bytes.")
        if not self.is_complete:
            return data
        if not _TRAILERS.fullmatch(data, 0, end):
            raise MalformedHeader("Send trailer fields as lines of a name, a colon and a value.")
        return data[end:]
