"""Test raw tensors: every bit pattern is read, and outputs are rounded correctly."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.formats.datatypes import STORED, from_bytes, memory, stored, to_datatype
from tests.formats.bfloat16 import BFLOAT16
from tests.wheels import needs_wheel

Array = npt.NDArray[Any]

NATIVE = sorted(set(STORED) - {"BF16"})
BF16_PATTERNS = np.arange(2**16, dtype="<u2")


def bfloat16(values: Array) -> Array:
    """Return the nearest bfloat16 of each value, as float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(BFLOAT16).astype(np.float32)


def content_of(values: Array, datatype: str) -> bytes:
    """Return the bytes of a tensor."""
    return bytes(memory(stored(values, datatype)))


def buffer(content: bytes, misaligned_by: int) -> Array:
    """Return the content in memory, at an offset from an address that is aligned for every datatype."""
    room = np.zeros(len(content) + 32, np.uint8)
    start = -room.ctypes.data % 16 + misaligned_by
    room[start : start + len(content)] = np.frombuffer(content, np.uint8)
    return room[start : start + len(content)]


@pytest.mark.parametrize("datatype", NATIVE)
@given(content=st.binary(max_size=64))
def test_every_bit_pattern_comes_back(datatype: str, content: bytes) -> None:
    size = STORED[datatype].itemsize
    whole = content[: len(content) // size * size]
    tensor = from_bytes(memoryview(whole), datatype, (len(whole) // size,))
    assert tensor.dtype == STORED[datatype]
    assert content_of(tensor, datatype) == whole


@needs_wheel("ml-dtypes")
def test_every_bfloat16_is_the_number_that_its_bits_say() -> None:
    decoded = from_bytes(memoryview(BF16_PATTERNS.tobytes()), "BF16", BF16_PATTERNS.shape)
    expected = BF16_PATTERNS.view(BFLOAT16).astype(np.float32)
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, expected)
    np.testing.assert_array_equal(np.signbit(decoded), np.signbit(expected))


def test_every_bfloat16_but_nan_comes_back() -> None:
    numbers = BF16_PATTERNS[BF16_PATTERNS & 0x7FFF <= 0x7F80]
    decoded = from_bytes(memoryview(numbers.tobytes()), "BF16", numbers.shape)
    assert content_of(decoded, "BF16") == numbers.tobytes()


@needs_wheel("ml-dtypes")
@given(arrays(np.uint32, 8, elements=st.integers(0, 2**32 - 1)))
def test_a_float32_becomes_the_nearest_bfloat16(bits: Array) -> None:
    values = bits.view(np.float32)
    np.testing.assert_array_equal(to_datatype(values, "BF16"), bfloat16(values))


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (1 + 2**-8, 1.0),
        (1 + 3 * 2**-8, 1 + 2**-6),
        (1 + 2**-8 + 2**-23, 1 + 2**-7),
        (-1 - 2**-8, -1.0),
        (2.0**-134, 0.0),
        (2.0**-133, 2.0**-133),
        (float(np.finfo(np.float32).max), inf),
        (-inf, -inf),
        (nan, nan),
    ],
)
def test_bfloat16_rounds_half_to_even(value: float, rounded: float) -> None:
    np.testing.assert_equal(to_datatype(np.array([value], np.float32), "BF16").tolist(), [rounded])


def test_double_just_above_a_tie_becomes_no_tie_in_bfloat16() -> None:
    assert to_datatype(np.array([1 + 2**-8 + 2**-40]), "BF16").tolist() == [1 + 2**-7]


@needs_wheel("ml-dtypes")
@pytest.mark.parametrize("bits", [0x7F800001, 0x7FFFFFFF, 0xFF800001, 0xFFFFFFFF])
def test_no_nan_rounds_to_an_infinity(bits: int) -> None:
    values = np.array([bits], np.uint32).view(np.float32)
    assert np.isnan(to_datatype(values, "BF16")).all()
    assert np.isnan(np.frombuffer(stored(values, "BF16"), BFLOAT16)).all()


@pytest.mark.parametrize(("datatype", "value"), [("FP16", 65520.0), ("FP32", 1e300), ("BF16", 3.4e38), ("BF16", 1e300)])
@pytest.mark.parametrize("sign", [1, -1])
def test_number_beyond_a_datatype_is_infinite_without_warning(datatype: str, value: float, sign: int) -> None:
    assert to_datatype(np.array([sign * value]), datatype).tolist() == [sign * inf]


@pytest.mark.parametrize("datatype", ["FP64", "FP32"])
def test_an_aligned_tensor_is_a_view_of_the_bytes(datatype: str) -> None:
    content = buffer(np.arange(6, dtype=STORED[datatype]).tobytes(), misaligned_by=0)
    tensor = from_bytes(content.data, datatype, (2, 3))
    assert np.shares_memory(tensor, content)
    np.testing.assert_array_equal(tensor, np.arange(6).reshape(2, 3))


@pytest.mark.parametrize("datatype", sorted(STORED))
@pytest.mark.parametrize("misaligned_by", [1, 2, 4])
def test_a_misaligned_tensor_is_right(datatype: str, misaligned_by: int) -> None:
    content = buffer(content_of(np.arange(6, dtype=np.float32), datatype), misaligned_by)
    tensor = from_bytes(content.data, datatype, (2, 3))
    np.testing.assert_array_equal(tensor, np.arange(6).reshape(2, 3))


@pytest.mark.parametrize("datatype", sorted(STORED))
def test_a_number_alone_is_an_array_without_axes(datatype: str) -> None:
    tensor = from_bytes(memoryview(content_of(np.array(1.0), datatype)), datatype, ())
    assert isinstance(tensor, np.ndarray)
    assert tensor.shape == ()
    assert tensor == 1


@pytest.mark.parametrize("datatype", sorted(STORED))
@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_no_bytes_are_a_tensor_of_no_elements(datatype: str, shape: tuple[int, ...]) -> None:
    tensor = from_bytes(memoryview(b""), datatype, shape)
    assert tensor.shape == shape
    assert content_of(tensor, datatype) == b""


@pytest.mark.parametrize("datatype", sorted(STORED))
def test_tensors_are_written_row_by_row(datatype: str) -> None:
    columns = np.arange(6, dtype=np.float32).reshape(3, 2).T
    written = from_bytes(memoryview(content_of(columns, datatype)), datatype, (2, 3))
    np.testing.assert_array_equal(written, columns)
