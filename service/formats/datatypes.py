"""Datatypes of binary tensors: their names, their sizes, and their NumPy equivalents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from service.arrays import Array


FLOATS = {"FP64": "<f8", "FP32": "<f4", "FP16": "<f2", "BF16": "<u2"}
"""Floats, little-endian. BF16 is the upper half of a float32; NumPy has no name for it."""

INTEGERS = {
    "INT64": "<i8",
    "INT32": "<i4",
    "INT16": "<i2",
    "INT8": "<i1",
    "UINT64": "<u8",
    "UINT32": "<u4",
    "UINT16": "<u2",
    "UINT8": "<u1",
}
"""Integers, little-endian."""

STORED = {name: np.dtype(code) for name, code in (FLOATS | INTEGERS | {"BOOL": "<u1"}).items()}
"""Every datatype, as NumPy stores it."""

PRECISIONS = {"FP32": "float32"}
"""The dtype in which an operation computes a datatype; float64 for any other, so that FP16 and BF16 are rounded once."""


def from_bytes(data: memoryview, datatype: str, shape: tuple[int, ...]) -> Array:
    """Return the tensor in data: a view of it, which need not be aligned, or float32 for BF16."""
    values = np.frombuffer(data, STORED[datatype]).reshape(shape)
    return _from_bits(values) if datatype == "BF16" else values


def to_datatype(values: Array, datatype: str) -> Array:
    """Return the floats of an answer rounded to a datatype, still as numbers."""
    if datatype == "BF16":
        return _from_bits(_bf16_bits(values))
    with np.errstate(over="ignore"):
        return values.astype(STORED[datatype], copy=False)


def stored(values: Array, datatype: str) -> Array:
    """Return the tensor as it is stored: little-endian."""
    return _bf16_bits(values) if datatype == "BF16" else to_datatype(values, datatype)


def memory(values: Array) -> memoryview:
    """Return the bytes of an array in row-major order, not copied if it has that order."""
    return values.reshape(-1).view(np.uint8).data


def _from_bits(bits: Array) -> Array:
    """Return the float32 whose upper 16 bits are given."""
    return np.left_shift(bits, 16, dtype=np.uint32, out=np.empty(bits.shape, np.uint32)).view(np.float32)


def _bf16_bits(values: Array) -> Array:
    """Return the upper 16 bits of values as float32, rounded half to even; a NaN stays a NaN."""
    with np.errstate(over="ignore"):
        single = np.asarray(values.astype(np.float32))
    bits = single.view(np.uint32)
    # a double is first cut to float32 with its last bit set if anything was cut, so that it is rounded only once
    inexact = np.isfinite(single) & (single != values)
    bits = np.where(inexact, (bits - (np.abs(single) > np.abs(values))) | 1, bits)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    return np.where(np.isnan(values), 0x7FC0, rounded).astype("<u2")
