"""Test products of matrices of all scales against fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from service.compute import linear, pieces
from service.compute.scaled import Scaled

if TYPE_CHECKING:
    import numpy.typing as npt

    from service.arrays import Floats

UNIT = Fraction(1, 2**53)

LOST = Fraction(1, 2**2098)
"""Part of a product that no factor brings back into double range."""

SHAPES = [(1, 1, 1), (5, 4, 3), (60, 7, 2), (3, 130, 5), (100, 3, 70)]


def numbers(seed: int, shape: tuple[int, int]) -> Floats:
    """Return numbers of all scales, some of them 0."""
    random = np.random.default_rng(seed)
    values = np.ldexp(random.normal(size=shape), random.integers(-1074, 1020, shape))
    return np.where(random.random(shape) < 0.1, 0.0, values)


def fractions(found: Scaled) -> npt.NDArray[Any]:
    """Return numbers as fractions."""
    parts = zip(found.mantissa.ravel().tolist(), found.exponent.ravel().tolist(), strict=True)
    values = np.array([Fraction(mantissa) * Fraction(2) ** exponent for mantissa, exponent in parts], object)
    return values.reshape(found.mantissa.shape)


def assert_exact(found: Scaled, left: Floats, right: Floats) -> None:
    """Assert that (n, m) numbers are left @ right up to the rounding of the terms."""
    exact, terms = product(left, right), product(np.abs(left), np.abs(right))
    assert (np.abs(fractions(found) - exact) <= (left.shape[1] + 8) * UNIT * terms + LOST).all()


def product(left: Floats, right: Floats) -> npt.NDArray[Any]:
    """Return left @ right as fractions."""
    exact: npt.NDArray[Any] = np.array([list(map(Fraction, row)) for row in left.tolist()])
    return exact @ np.array([list(map(Fraction, row)) for row in right.tolist()])


def zeros(*shape: int) -> Scaled:
    """Return zeros to add to."""
    return Scaled(np.zeros(shape), np.zeros(shape, np.int64))


@pytest.mark.parametrize("elements", [pieces.ELEMENTS, 200])
@pytest.mark.parametrize(("rows", "classes", "features"), SHAPES)
def test_products_of_all_scales_are_exact(
    rows: int, classes: int, features: int, elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "ELEMENTS", elements)
    left, inputs, weights = numbers(1, (rows, classes)), numbers(2, (rows, features)), numbers(3, (classes, features))
    found = zeros(rows, features)
    pieces.add_product(found, linear.by_rows, Scaled.of(left), weights, over_rows=False)
    assert_exact(found, left, weights)
    summed, length = zeros(classes, features), pieces.rows_at_once(classes, features)
    for start in range(0, rows, length):
        some = slice(start, start + length)
        pieces.add_product(summed, linear.sum_of_outer_products, Scaled.of(left[some]), inputs[some], over_rows=True)
    assert_exact(summed, left.T, inputs)


@pytest.mark.parametrize("classes", [1, 5, 130])
def test_a_row_of_a_product_has_the_bits_it_has_alone(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "ELEMENTS", 1000)
    left, right = numbers(4, (50, classes)), numbers(5, (classes, 9))
    together, alone = zeros(50, 9), zeros(1, 9)
    pieces.add_product(together, linear.by_rows, Scaled.of(left), right, over_rows=False)
    pieces.add_product(alone, linear.by_rows, Scaled.of(left[7:8]), right, over_rows=False)
    np.testing.assert_array_equal(fractions(together)[7], fractions(alone)[0])


@pytest.mark.parametrize("shape", [(1, 1), (1, 2**20), (2**20, 1), (2, 2**18), (500, 500)])
def test_wide_matrices_are_made_of_few_blocks(shape: tuple[int, int]) -> None:
    classes, features = shape
    products: list[int] = []

    def product(values: Floats, factors: Floats) -> Floats:
        products.append(values.shape[1] * factors.shape[1])
        return np.zeros((len(values), factors.shape[1]))

    left, right = np.ones((linear.ROWS // 4, classes)), np.ones(shape)
    pieces.add_product(zeros(len(left), features), product, Scaled.of(left), right, over_rows=False)
    assert sum(products) == classes * features
    assert max(products) <= pieces.ELEMENTS
    assert len(products) <= 1 + 2 * max(1, classes // 10_000) * max(1, classes * features // pieces.ELEMENTS)
    # a block at the right, and the sums, take no more than the few rows of long ones
    assert pieces.rows_at_once(classes, features) * max(shape) <= max(pieces.ELEMENTS, 6 * 2**20)


def test_pieces_add_up_to_the_numbers() -> None:
    values = numbers(6, (20, 30))
    total = sum((np.ldexp(part, unit) for part, unit in pieces.pieces(values)), np.zeros(values.shape))
    np.testing.assert_array_equal(total, values)
    for part, _ in pieces.pieces(values):
        sizes = np.abs(part[part != 0.0])
        assert sizes.min() >= 2.0**-481
        assert sizes.max() < 2.0**480
