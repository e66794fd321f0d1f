"""Columns of Parquet files as tensors, and back.

A tensor with one number in a row is a column of numbers, one with a row of K numbers a column of lists of K numbers, of
any list type; a further axis is a list in a list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.errors import NotANumber, RaggedTensor

if TYPE_CHECKING:
    import pyarrow.parquet as pq

    from service.arrays import Array
    from service.operations.spec import Output


def tensor(name: str, column: pa.Array) -> Array:
    """The numbers of a column with at least one row, (n,) or (n, K). Raises NotANumber and RaggedTensor."""
    kind = column.type
    if column.null_count:
        raise NotANumber(name)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        shortest, longest = pc.min_max(pc.list_value_length(column)).values()
        if shortest != longest:
            raise RaggedTensor(name)
        if longest.as_py() == 0:
            return np.empty((len(column), 0))
        values = tensor(name, column.flatten())
        return values.reshape(len(column), -1, *values.shape[1:])
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise NotANumber(name)
    return column.to_numpy(zero_copy_only=False)


def column(values: Array) -> pa.Array:
    """A tensor (n, ...) as a column of n numbers or lists."""
    if values.ndim == 1:
        return pa.array(values)
    rows, length = values.shape[:2]
    starts = np.arange(rows + 1, dtype=np.int32) * length
    return pa.ListArray.from_arrays(starts, column(values.reshape(rows * length, *values.shape[2:])))


def field(output: Output, dtype: str) -> pa.Field:
    """The name and type of the column that holds an output."""
    kind = pa.int64() if output.integer else pa.from_numpy_dtype(dtype)
    for _ in output.axes[0][1:]:
        kind = pa.list_(kind)
    return pa.field(output.name, kind)


def widest(file: pq.ParquetFile, names: tuple[str, ...]) -> int:
    """The most numbers that a row has in any of the columns, on average over a row group; 1 if there are no rows."""
    metadata = file.metadata
    width = 1
    for group in (metadata.row_group(index) for index in range(metadata.num_row_groups)):
        chunks = [group.column(index) for index in range(metadata.num_columns)]
        sizes = [chunk.num_values for chunk in chunks if chunk.path_in_schema.partition(".")[0] in names]
        if group.num_rows:
            width = max(width, *(-(-size // group.num_rows) for size in sizes))
    return width


def narrow(kind: Any) -> bool:
    """Are these floats of less than 64 bits, or lists of such?"""
    while pa.types.is_nested(kind):
        kind = kind.value_type
    return pa.types.is_floating(kind) and kind.bit_width < pa.float64().bit_width
