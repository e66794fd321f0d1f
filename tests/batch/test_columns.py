from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deploy.batch import columns
from deploy.batch.errors import BatchError
from service.operations import OPERATIONS

ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]

LISTS = [
    pa.list_(pa.float64()),
    pa.large_list(pa.float64()),
    pa.list_(pa.float64(), 3),
    pa.list_(pa.float32()),
    pa.list_(pa.int16()),
]


@pytest.mark.parametrize("kind", LISTS, ids=str)
def test_a_list_of_any_type_is_a_row(kind: pa.DataType) -> None:
    assert columns.tensor("logits", pa.array(ROWS, kind)).tolist() == ROWS


@pytest.mark.parametrize("kind", LISTS, ids=str)
def test_a_slice_is_read_from_where_it_starts(kind: pa.DataType) -> None:
    column = pa.array([*ROWS, [7, 8, 9]], kind).slice(1, 1)
    assert columns.tensor("logits", column).tolist() == ROWS[1:]


def test_a_number_for_each_row_is_a_column_of_numbers() -> None:
    values = columns.tensor("targets", pa.array([3, 1, 2], pa.int32()))
    assert values.dtype == np.int32
    assert values.tolist() == [3, 1, 2]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[1.0, 2.0], [3.0]]), "Row 8: logits holds 1 numbers, and row 7 holds 2"),
        (pa.array([[1.0], None]), "Row 8: logits is null"),
        (pa.array([[1.0], [None]]), "Row 8: logits has a null"),
    ],
)
def test_a_bad_row_is_named(column: pa.Array, message: str) -> None:
    with pytest.raises(BatchError, match=message):
        columns.tensor("logits", column, 7)


@pytest.mark.parametrize(
    ("kind", "lists", "valid"),
    [
        (pa.list_(pa.float32()), True, True),
        (pa.list_(pa.int8(), 3), True, True),
        (pa.large_list(pa.float64()), False, True),
        (pa.int64(), False, True),
        (pa.float64(), True, False),
        (pa.list_(pa.list_(pa.float64())), True, False),
        (pa.struct({"a": pa.float64()}), True, False),
        (pa.list_(pa.string()), True, False),
        (pa.bool_(), False, False),
        (pa.decimal128(5, 2), False, False),
        (pa.dictionary(pa.int8(), pa.string()), False, False),
    ],
    ids=str,
)
def test_only_numbers_and_lists_of_numbers_pass(kind: pa.DataType, *, lists: bool, valid: bool) -> None:
    if valid:
        columns.check("targets", kind, lists=lists)
    else:
        with pytest.raises(BatchError, match="Column targets has the type"):
            columns.check("targets", kind, lists=lists)


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 0)])
def test_a_tensor_comes_back_from_its_column(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).normal(size=shape)
    column = columns.column(values)
    assert column.to_pylist() == values.tolist()
    np.testing.assert_array_equal(columns.tensor("logits", column), values)


def test_the_type_of_an_output_is_that_of_its_column() -> None:
    outputs = OPERATIONS[0].named_outputs
    values = {"predictions": np.zeros(2, np.int64), "entropy": np.zeros(2), "jacobian": np.zeros((2, 3, 3))}
    for name, each in values.items():
        assert columns.field(outputs[name], "float64").type == columns.column(each).type
    assert columns.field(outputs["probabilities"], "float32").type == pa.list_(pa.float32())


def test_the_widest_column_counts_and_others_do_not(tmp_path: str) -> None:
    table = pa.table({"logits": ROWS, "targets": [0, 1], "text": [["x"] * 50] * 2})
    pq.write_table(table, f"{tmp_path}/a.parquet", row_group_size=1)
    with pq.ParquetFile(f"{tmp_path}/a.parquet") as file:
        assert columns.widest(file, ("logits", "targets")) == 3
        assert columns.widest(file, ("targets",)) == 1


@pytest.mark.parametrize(
    ("kind", "narrow"),
    [(pa.list_(pa.float32()), True), (pa.float16(), True), (pa.list_(pa.float64(), 2), False), (pa.int8(), False)],
    ids=str,
)
def test_floats_of_less_than_64_bits_are_narrow(kind: pa.DataType, *, narrow: bool) -> None:
    assert columns.is_narrow(kind) is narrow
