"""Test nested lists: they become arrays, or an error that names the places."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from service.errors import MAX_ERRORS, NotANumber, NumberOutOfRange, RaggedTensor, ShapeMismatch
from service.formats.nested import from_nested, from_numbers
from service.operations.spec import Domain

Array = npt.NDArray[Any]

SHAPES = array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=4)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)


def read(value: Any, domain: Domain = Domain.FINITE, **options: Any) -> Array:
    """Return the array that a value becomes."""
    return from_nested("logits", value, domain, **options)


@given(arrays(np.float64, SHAPES, elements=DOUBLES))
def test_nested_numbers_become_the_array_of_their_shape(values: Array) -> None:
    tensor = read(values.tolist())
    assert tensor.dtype == np.float64
    assert tensor.shape == values.shape
    assert tensor.tobytes() == values.tobytes()
    alone = from_numbers(values.tolist())
    assert alone is not None
    assert alone.tobytes() == values.tobytes()


@given(arrays(np.int64, SHAPES, elements=st.integers(-(2**63), 2**63 - 1)))
def test_nested_integer_targets_stay_exact(values: Array) -> None:
    tensor = read(values.tolist(), Domain.TARGETS)
    assert tensor.dtype == np.int64
    np.testing.assert_array_equal(tensor, values)


def test_integers_beyond_64_bits_are_the_nearest_doubles() -> None:
    for domain in (Domain.FINITE, Domain.TARGETS):
        assert read([[2**63, -(10**30)]], domain).tolist() == [[2.0**63, -1e30]]
        assert read([2**63], domain).tolist() == [2.0**63]
        assert read([-(2**63) - 1], domain).tolist() == [-(2.0**63)]


BEYOND = [10**400, 2**1024 - 1, 2**1024 - 2**970, -(2**1024) + 2**970, float("inf"), float("-inf")]


def test_the_largest_integer_within_double_range_is_read() -> None:
    assert read([[1], [2**1024 - 2**970 - 1]]).tolist() == [[1.0], [sys.float_info.max]]


@pytest.mark.parametrize("number", BEYOND)
def test_a_number_beyond_double_range_is_rejected_with_its_place(number: float) -> None:
    with pytest.raises(NumberOutOfRange, match=r"logits\[1, 0\]") as rejected:
        read([[2**1023], [number]])
    assert [place for place, _ in rejected.value.locations] == [("logits", 1, 0)]


@pytest.mark.parametrize("word", ["-Infinity", "Infinity", "NaN"])
def test_a_word_is_a_number_where_words_are_accepted(word: str) -> None:
    np.testing.assert_array_equal(read([[1, word], [word, 2]], words=True), [[1, float(word)], [float(word), 2]])
    with pytest.raises(NotANumber, match=r"logits\[0, 1\] is a string"):
        read([[1, word], [word, 2]])


def test_a_mask_may_be_boolean() -> None:
    assert read([[True, False], [1, 0]], Domain.MASK).tolist() == [[1, 0], [1, 0]]


@pytest.mark.parametrize(
    ("value", "place", "kind"),
    [
        (None, (), "is null"),
        (True, (), "is a boolean"),
        ("1", (), "is a string"),
        ({}, (), "is an object"),
        ([1, None], (1,), "is null"),
        ([1.5, False], (1,), "is a boolean"),
        ([[1, 2], [3, "4"]], (1, 1), "is a string"),
        ([[[1], [2]], [[{}], [4]]], (1, 0, 0), "is an object"),
        ([[1], None], (1,), "is null"),
        ([1, [2], "3"], (2,), "is a string"),
    ],
    ids=repr,
)
def test_a_value_that_is_not_a_number_is_named(value: Any, place: tuple[int, ...], kind: str) -> None:
    assert from_numbers(value) is None or isinstance(value, list)
    with pytest.raises(NotANumber) as rejected:
        read(value)
    assert rejected.value.locations[0] == (("logits", *place), kind)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ([1, [2]], (1,)),
        ([[1], 2], (1,)),
        ([[1, 2], [3]], (1,)),
        ([[], [1]], (1,)),
        ([[1], [[2]]], (1, 0)),
        ([[[1]], [2]], (1, 0)),
        ([[[1], [2]], [[3], [4, 5]]], (1, 1)),
    ],
    ids=repr,
)
def test_a_ragged_tensor_is_rejected_with_the_row(value: Any, place: tuple[int, ...]) -> None:
    assert from_numbers(value) is None
    with pytest.raises(RaggedTensor) as rejected:
        read(value)
    assert rejected.value.locations[0][0] == ("logits", *place)


def test_an_error_names_the_first_places_only() -> None:
    with pytest.raises(NotANumber) as rejected:
        read([[None] * 7] * 7)
    assert [place for place, _ in rejected.value.locations] == [
        ("logits", index // 7, index % 7) for index in range(MAX_ERRORS)
    ]


def test_places_count_from_the_origin_of_a_part() -> None:
    with pytest.raises(NotANumber) as rejected:
        read([[1, 2], [3, None]], origin=(4, 10))
    assert rejected.value.locations[0][0] == ("logits", 4, 11, 1)


def test_a_tensor_has_at_most_32_axes() -> None:
    value: Any = 1
    for _ in range(32):
        value = [value]
    assert read(value).ndim == 32
    assert from_numbers([value]) is None
    with pytest.raises(ShapeMismatch, match="axes"):
        read([value])
