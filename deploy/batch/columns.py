"""Columns of Parquet files as arrays, and arrays as columns.

A tensor with one number in a row is a column of numbers. A tensor with K numbers in a row is a column of lists of K numbers,
of any list type. An output with more axes is a column of lists of lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from deploy.batch.errors import BatchError

if TYPE_CHECKING:
    import pyarrow.parquet as pq

    from service.arrays import Array
    from service.operations.spec import Output


def tensor(name: str, column: pa.Array, first: int = 0) -> Array:
    """Return a column with at least one row as (n,) or (n, K).

    first: the number of the first row in its file, for messages. Raises BatchError for nulls and rows of different length.
    """
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if column.null_count:
        raise BatchError(f"Row {first + _position(column.is_null())}: {name} is null; fill it, or drop the row.")
    if not is_list(column.type):
        return column.to_numpy(zero_copy_only=False)
    values = flat(column)
    length = len(values) // len(column)
    lengths = np.diff(column.offsets) if hasattr(column, "offsets") else np.full(len(column), length)
    if (lengths != lengths[0]).any():
        row = int(np.argmax(lengths != lengths[0]))
        raise BatchError(
            f"Row {first + row}: {name} holds {lengths[row]} numbers, and row {first} holds {lengths[0]}; "
            "every row needs as many."
        )
    if values.null_count:
        row = _position(values.is_null()) // length
        raise BatchError(f"Row {first + row}: {name} has a null among its numbers; fill it, or drop the row.")
    rows = values.to_numpy(zero_copy_only=False).reshape(len(column), length)
    return rows.view(np.uint8) if rows.dtype == np.bool_ else rows


def flat(column: pa.Array) -> pa.Array:
    """Return the values of a column of lists without nulls. `flatten` would first import `pyarrow.compute`, for 0.1 s."""
    if isinstance(column, pa.FixedSizeListArray):
        length = column.type.list_size
        return column.values[column.offset * length : (column.offset + len(column)) * length]
    return column.values[column.offsets[0].as_py() : column.offsets[-1].as_py()]


def check(name: str, kind: pa.DataType, *, lists: bool) -> None:
    """Raise BatchError unless a column of this type can be a tensor. A mask may hold booleans.

    lists: whether each row must be a list of numbers; otherwise a number will do, too.
    """
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    inner = kind.value_type if is_list(kind) else kind
    is_boolean = name == "mask" and pa.types.is_boolean(inner)
    if not (is_boolean or pa.types.is_integer(inner) or pa.types.is_floating(inner)) or (lists and inner is kind):
        shape = "a list of numbers" if lists else "a number or a list of numbers"
        raise BatchError(f"Column {name} has the type {kind}; each of its rows must be {shape}.")


def is_list(kind: pa.DataType) -> bool:
    """Return whether a type is a list of any kind."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_narrow(kind: Any) -> bool:
    """Return whether a type is floats of less than 64 bits, or lists of them."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    inner = kind.value_type if is_list(kind) else kind
    return bool(pa.types.is_floating(inner)) and inner.bit_width < pa.float64().bit_width


def column(values: Array) -> pa.Array:
    """Return a tensor (n, ...) as a column of n numbers or lists."""
    if values.ndim == 1:
        # pa.array would first import numpy.ma, for 0.03 s
        content = pa.py_buffer(np.ascontiguousarray(values))
        return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, content])
    rows, length = values.shape[:2]
    starts = column(np.arange(rows + 1, dtype=np.int32) * length)
    return pa.ListArray.from_arrays(starts, column(values.reshape(rows * length, *values.shape[2:])))


def field(output: Output, dtype: str) -> pa.Field:
    """Return the name and type of the column that holds an output."""
    kind = pa.int64() if output.integer else pa.from_numpy_dtype(dtype)
    for _ in output.axes[0][1:]:
        kind = pa.list_(kind)
    return pa.field(output.name, kind)


def widest(file: pq.ParquetFile, names: tuple[str, ...]) -> int:
    """Return how many numbers a row has at most in these columns, by the average of each row group; at least 1."""
    metadata = file.metadata
    width = 1
    for group in (metadata.row_group(index) for index in range(metadata.num_row_groups)):
        chunks = [group.column(index) for index in range(metadata.num_columns)]
        sizes = [chunk.num_values for chunk in chunks if chunk.path_in_schema.partition(".")[0] in names]
        if group.num_rows:
            width = max(width, *(-(-size // group.num_rows) for size in sizes))
    return width


def _position(mask: pa.Array) -> int:
    """Return the index of the first true value."""
    return int(np.flatnonzero(mask.to_numpy(zero_copy_only=False))[0])
