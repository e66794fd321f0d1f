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
from tests.bodies import compress

if TYPE_CHECKING:
    from collections.abc import Callable

ENCODINGS = ("gzip", "x-gzip", "deflate", "raw deflate")
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


def decompress(stream: bytes, encoding: str, reserve: Callable[[int], None]) -> bytearray:
    """Return the stream as the service inflates it."""
    return inflate(stream, encoding.removeprefix("raw "), reserve)


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(body=st.binary(max_size=4096), level=st.integers(0, 9))
def test_what_was_compressed_comes_back(encoding: str, body: bytes, level: int) -> None:
    assert decompress(compress(body, encoding, level), encoding, limit(len(body))) == body


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_one_byte_above_the_limit_is_too_large(encoding: str) -> None:
    with pytest.raises(TooLong):
        decompress(compress(BODY, encoding), encoding, limit(len(BODY) - 1))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_stream_that_ends_early_is_refused_wherever_it_ends(encoding: str) -> None:
    stream = compress(BODY, encoding)
    for length in range(len(stream)):
        with pytest.raises(MalformedBody, match=encoding.removeprefix("raw ")):
            decompress(stream[:length], encoding, limit(LIMIT))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("garbage", [b"\0", b"x", b"{}"])
def test_bytes_behind_the_stream_are_refused(encoding: str, garbage: bytes) -> None:
    with pytest.raises(MalformedBody, match=encoding.removeprefix("raw ")):
        decompress(compress(BODY, encoding) + garbage, encoding, limit(LIMIT))


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate"])
def test_a_wrong_checksum_is_refused(encoding: str) -> None:
    stream = bytearray(compress(BODY, encoding))
    checksum = -1 if encoding == "deflate" else -5
    stream[checksum] ^= 1
    with pytest.raises(MalformedBody, match=encoding.removeprefix("raw ")):
        decompress(bytes(stream), encoding, limit(LIMIT))


@pytest.mark.parametrize(
    ("encoding", "stream"),
    [
        ("gzip", zlib.compress(BODY)),
        ("gzip", compress(BODY, "raw deflate")),
        ("gzip", BODY),
        ("deflate", gzip.compress(BODY)),
        ("deflate", BODY),
    ],
    ids=["zlib as gzip", "raw as gzip", "plain as gzip", "gzip as zlib", "plain as zlib"],
)
def test_a_stream_of_another_format_is_refused(encoding: str, stream: bytes) -> None:
    with pytest.raises(MalformedBody, match=encoding.removeprefix("raw ")):
        decompress(stream, encoding, limit(LIMIT))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_bytes_far_behind_the_stream_are_refused(encoding: str) -> None:
    with pytest.raises(MalformedBody, match=encoding.removeprefix("raw ")):
        decompress(compress(b"", encoding) + bytes(2**17), encoding, limit(LIMIT))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_bomb_is_refused_with_little_memory_above_the_limit(encoding: str) -> None:
    bomb = compress(bytes(64 * LIMIT), encoding)
    tracemalloc.start()
    try:
        with pytest.raises(TooLong):
            decompress(bomb, encoding, limit(LIMIT))
        assert tracemalloc.get_traced_memory()[1] < 3 * LIMIT
    finally:
        tracemalloc.stop()


@given(bodies=st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_members_of_a_gzip_stream_are_joined(bodies: list[bytes]) -> None:
    stream = b"".join(gzip.compress(body) for body in bodies)
    assert inflate(stream, "gzip", limit(LIMIT)) == b"".join(bodies)


def test_a_member_that_ends_early_is_rejected() -> None:
    stream = gzip.compress(BODY) * 2
    for length in range(len(stream) // 2 + 1, len(stream)):
        with pytest.raises(MalformedBody, match="gzip"):
            inflate(stream[:length], "gzip", limit(LIMIT))


def test_members_without_end_are_rejected() -> None:
    with pytest.raises(MalformedBody, match="members"):
        inflate(gzip.compress(b"") * 2_000, "gzip", limit(LIMIT))


def test_a_second_zlib_stream_is_rejected() -> None:
    with pytest.raises(MalformedBody, match="deflate"):
        inflate(zlib.compress(BODY) * 2, "deflate", limit(LIMIT))
