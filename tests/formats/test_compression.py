"""Test compressed bodies: whole streams are inflated, broken ones rejected, bombs stopped early."""

from __future__ import annotations

import gzip
import sys
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import MalformedBody
from service.formats import compression
from service.formats.compression import MAX_MEMBERS, inflate
from tests.bodies import compress

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable

ENCODINGS = (*compression.ENCODINGS, "raw deflate")
BODY = bytes(range(256)) * 4
NOISE = np.random.default_rng(0).bytes(2**17)
LIMIT = 2**20
SKIPPABLE = bytes.fromhex("50 2a 4d 18 03 00 00 00 61 62 63")
"""A frame of zstd without content (RFC 8878, 3.1.2)."""


class TooLong(Exception):
    """Raised by the reservation below."""


def limit(bytes_: int) -> Callable[[int], None]:
    """Return a reservation of at most some bytes."""
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
def test_a_compressed_body_is_restored(encoding: str, body: bytes, level: int) -> None:
    assert decompress(compress(body, encoding, level), encoding, limit(len(body))) == body


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("body", [NOISE + NOISE[-32_000:], NOISE.hex().encode()], ids=["far repeats", "long blocks"])
def test_a_long_body_is_restored(encoding: str, body: bytes) -> None:
    assert decompress(compress(body, encoding), encoding, limit(len(body))) == body


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


@pytest.mark.parametrize("encoding", compression.ENCODINGS)
def test_a_wrong_checksum_is_refused(encoding: str) -> None:
    stream = bytearray(compress(BODY, encoding))
    checksum = -5 if encoding.endswith("gzip") else -1
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
        ("zstd", gzip.compress(BODY)),
        ("gzip", zstd.compress(BODY)),
        ("deflate", BODY),
    ],
    ids=[
        "zlib as gzip",
        "raw as gzip",
        "plain as gzip",
        "gzip as zlib",
        "gzip as zstd",
        "zstd as gzip",
        "plain as zlib",
    ],
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


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@given(bodies=st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_members_of_a_stream_are_joined(encoding: str, bodies: list[bytes]) -> None:
    stream = b"".join(compress(body, encoding) for body in bodies)
    assert inflate(stream, encoding, limit(LIMIT)) == b"".join(bodies)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_member_that_ends_early_is_rejected(encoding: str) -> None:
    stream = compress(BODY, encoding) * 2
    for length in range(len(stream) // 2 + 1, len(stream)):
        with pytest.raises(MalformedBody, match=encoding):
            inflate(stream[:length], encoding, limit(LIMIT))


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_members_are_limited_in_number(encoding: str) -> None:
    member = compress(b"1", encoding)
    assert inflate(member * MAX_MEMBERS, encoding, limit(LIMIT)) == b"1" * MAX_MEMBERS
    with pytest.raises(MalformedBody, match="members"):
        inflate(member * (MAX_MEMBERS + 1), encoding, limit(LIMIT))


def test_a_second_zlib_stream_is_rejected() -> None:
    with pytest.raises(MalformedBody, match="deflate"):
        inflate(zlib.compress(BODY) * 2, "deflate", limit(LIMIT))


def test_skippable_frames_of_zstd_have_no_content() -> None:
    stream = SKIPPABLE + compress(BODY, "zstd") + SKIPPABLE
    assert inflate(stream, "zstd", limit(LIMIT)) == BODY


def test_zstd_with_a_window_above_8_mib_is_rejected() -> None:
    for window_log, accepted in ((23, True), (24, False)):
        compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window_log})
        # without a flush the compressor would know the size, and shrink the window to it
        stream = compressor.compress(BODY, zstd.ZstdCompressor.FLUSH_BLOCK) + compressor.flush()
        if accepted:
            assert inflate(stream, "zstd", limit(LIMIT)) == BODY
        else:
            with pytest.raises(MalformedBody, match="window of at most 8388608 bytes"):
                inflate(stream, "zstd", limit(LIMIT))
