"""Compressed bodies: whole streams come back, broken ones are refused, bombs stay small."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import MalformedBody
from service.formats.compression import inflate

if TYPE_CHECKING:
    from collections.abc import Callable

ENCODINGS = ("gzip", "deflate")
BODY = bytes(range(256)) * 4
LIMIT = 2**20


class TooLong(Exception):
    """Raised by the reservation below."""


def limit(bytes_: int) -> Callable[[int], None]:
    """A reservation to that many bytes and no more."""
    claimed = 0

    def reservation(size: int) -> None:
        nonlocal claimed
        claimed += size
        if claimed > bytes_:
            raise TooLong

    return reservation


def compress(body: bytes, encoding: str, level: int = 6) -> bytes:
    """The body as a client compresses it."""
    return gzip.compress(body, level) if encoding == "gzip" else zlib.compress(body, level)


def without_header(body: bytes) -> bytes:
    """A deflate stream without the zlib header and checksum that HTTP asks for."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(body=st.binary(max_size=4096), level=st.integers(0, 9))
def test_what_was_compressed_comes_back(encoding: str, body: bytes, level: int) -> None:
    assert inflate(compress(body, encoding, level), encoding, limit(len(body))) == body


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_one_byte_above_the_limit_is_too_large(encoding: str) -> None:
    with pytest.raises(TooLong):
        inflate(compress(BODY, encoding), encoding, limit(len(BODY) - 1))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_stream_that_ends_early_is_refused_wherever_it_ends(encoding: str) -> None:
    stream = compress(BODY, encoding)
    for length in range(len(stream)):
        with pytest.raises(MalformedBody, match=encoding):
            inflate(stream[:length], encoding, limit(LIMIT))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("garbage", [b"\0", b"x", b"{}"])
def test_bytes_behind_the_stream_are_refused(encoding: str, garbage: bytes) -> None:
    with pytest.raises(MalformedBody, match=encoding):
        inflate(compress(BODY, encoding) + garbage, encoding, limit(LIMIT))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_wrong_checksum_is_refused(encoding: str) -> None:
    stream = bytearray(compress(BODY, encoding))
    checksum = -5 if encoding == "gzip" else -1
    stream[checksum] ^= 1
    with pytest.raises(MalformedBody, match=encoding):
        inflate(bytes(stream), encoding, limit(LIMIT))


@pytest.mark.parametrize(
    ("encoding", "stream"),
    [
        ("gzip", zlib.compress(BODY)),
        ("gzip", without_header(BODY)),
        ("gzip", BODY),
        ("deflate", gzip.compress(BODY)),
        ("deflate", without_header(BODY)),
        ("deflate", BODY),
    ],
    ids=["zlib as gzip", "raw as gzip", "plain as gzip", "gzip as zlib", "raw as zlib", "plain as zlib"],
)
def test_a_stream_of_another_format_is_refused(encoding: str, stream: bytes) -> None:
    with pytest.raises(MalformedBody, match=encoding):
        inflate(stream, encoding, limit(LIMIT))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_bytes_far_behind_the_stream_are_refused(encoding: str) -> None:
    with pytest.raises(MalformedBody, match=encoding):
        inflate(compress(b"", encoding) + bytes(2**17), encoding, limit(LIMIT))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_bomb_is_refused_with_little_more_memory_than_the_limit(encoding: str) -> None:
    bomb = compress(bytes(64 * LIMIT), encoding)
    tracemalloc.start()
    try:
        with pytest.raises(TooLong):
            inflate(bomb, encoding, limit(LIMIT))
        assert tracemalloc.get_traced_memory()[1] < 3 * LIMIT
    finally:
        tracemalloc.stop()
