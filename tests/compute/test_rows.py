"""Test the small sums and products that decide the last digits."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest

from service.compute.rows import scaled_difference
from service.compute.scaled import product

LARGEST = np.finfo(np.float64).max
SMALLEST = 2.0**-1074


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_a_difference_is_taken_before_it_is_scaled(scale: float) -> None:
    values, references = np.array([[1e15 + 1, 1e15], [2.0, -inf]]), np.array([1e15 + 1, 2.0])
    expected = np.array([[0.0, -1.0], [0.0, -inf]]) / scale
    np.testing.assert_array_equal(scaled_difference(values, references[:, None], scale), expected)


def test_a_difference_beyond_double_range_is_scaled_back_into_it() -> None:
    values, references = np.array([[-LARGEST, LARGEST, 0.0, LARGEST / 3.0]]), np.array([LARGEST])
    with np.errstate(over="ignore"):
        scaled = scaled_difference(values, references[:, None], 4.0)
    np.testing.assert_allclose(scaled, [[-LARGEST / 2.0, 0.0, -LARGEST / 4.0, -LARGEST / 6.0]], rtol=2.0**-52)


def test_overflowing_difference_leaves_the_others_exact() -> None:
    values, references = np.array([[-LARGEST, LARGEST], [0.0, -3 * SMALLEST]]), np.array([LARGEST, 0.0])
    with np.errstate(over="ignore"):
        scaled = scaled_difference(values, references[:, None], 1.5)
    assert scaled[1].tolist() == [0.0, -2 * SMALLEST]


def test_a_difference_leaves_its_operands_as_they_were() -> None:
    values, references = np.array([[1.0, 2.0]]), np.array([2.0])
    scaled_difference(values, references[:, None], 3.0)
    assert values.tolist() == [[1.0, 2.0]]
    assert references.tolist() == [2.0]


def test_what_weighs_nothing_adds_nothing() -> None:
    weights, values = np.array([0.0, 0.0, 0.0, 2.0, 2.0]), np.array([inf, -inf, nan, 3.0, inf])
    with np.errstate(invalid="ignore"):
        products = product(weights, values)
    assert products.tolist() == [0.0, 0.0, 0.0, 6.0, inf]


def test_weights_and_values_are_stretched_to_each_other() -> None:
    with np.errstate(invalid="ignore"):
        products = product(np.array([[0.0], [2.0]]), np.array([1.0, inf]))
    assert products.tolist() == [[0.0, 0.0], [2.0, inf]]
