"""Test the products and sums of the layer: blocks, pairwise sums, and partial sums that overflow."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from service.compute import linear
from service.compute.linear import ROWS, by_rows, forward, pairwise_sum, sum_of_outer_products

if TYPE_CHECKING:
    from service.arrays import Floats

COUNTS = (0, 1, 2, 31, 32, 33, 63, 64, 65, 96, 97, 1000)

UNIT = 2.0**-53


def integers(*shape: int) -> Floats:
    """Return whole numbers, whose sums of products are exact."""
    return np.random.default_rng(0).integers(-1000, 1000, size=shape).astype(np.float64)


@pytest.mark.parametrize("count", COUNTS)
def test_product_by_rows_is_that_of_the_matrices(count: int) -> None:
    left, right = integers(count, 5), integers(5, 3)
    np.testing.assert_array_equal(by_rows(left, right), left @ right, strict=True)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("elements", [1, 65_536])
def test_sum_of_outer_products_counts_each_row_once(count: int, elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "GROUP_ELEMENTS", elements)
    left, right = integers(count, 3), integers(count, 2)
    np.testing.assert_array_equal(sum_of_outer_products(left, right), left.T @ right, strict=True)


@pytest.mark.parametrize("count", COUNTS)
def test_pairwise_sum_counts_each_row_once(count: int) -> None:
    values = integers(count, 3)
    np.testing.assert_array_equal(pairwise_sum(values), values.sum(axis=0), strict=True)


@pytest.mark.parametrize("elements", [1, 65_536])
def test_rounding_of_a_sum_does_not_grow_with_its_rows(elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "GROUP_ELEMENTS", elements)
    count = 2**12 * ROWS - 5
    values = np.full((count, 1), 0.1)
    exact = Fraction(0.1) * count
    for total in (pairwise_sum(values)[0], sum_of_outer_products(values, np.ones((count, 1)))[0, 0]):
        assert abs(Fraction(float(total)) - exact) <= exact * 16 * UNIT


def test_overflowing_partial_sum_leaves_the_logit_right() -> None:
    inputs, weights = np.array([[1e200, 1e200, 1e200]]), np.array([[1.7e108, 1.7e108, -1.75e108], [1e-200, 0.0, 0.0]])
    with np.errstate(over="ignore"):
        logits, are_finite = forward(inputs, weights)
    assert are_finite
    exact = [float(sum(Fraction(x) * Fraction(w) for x, w in zip(inputs[0], row, strict=True))) for row in weights]
    np.testing.assert_allclose(logits, [exact], rtol=8 * UNIT)


@pytest.mark.parametrize("first", [1.0, 1.7e308])
def test_row_of_logits_does_not_know_its_batch(first: float) -> None:
    random = np.random.default_rng(0)
    inputs, weights = random.normal(size=(70, 50)) * 1e306, random.normal(size=(9, 50))
    # The first two terms overflow together, and the next two take them back.
    inputs[::3, :4] = [first, first, -first, -first]
    weights[:, :4] = 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        logits, are_finite = forward(inputs, weights)
        alone = np.concatenate([forward(row[None], weights)[0] for row in inputs])
    assert are_finite
    np.testing.assert_array_equal(logits, alone)


def test_infinite_logit_leaves_a_small_one_as_it_is() -> None:
    with np.errstate(over="ignore"):
        logits, are_finite = forward(np.array([[1e200, 1e-200]]), np.array([[1e200, 1.0], [-1e200, 1.0], [0.0, 1e200]]))
    assert logits.tolist() == [[np.inf, -np.inf, 1.0]]
    assert not are_finite


@pytest.mark.parametrize(("number", "again"), [(1.0, 0), (1e308, 4), (np.nan, 0), (np.inf, 0)])
def test_only_overflows_are_summed_again_by_weights_scaled_once(
    number: float, again: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    operands: list[Floats] = []

    def recorded(left: Floats, right: Floats, out: Floats | None = None) -> Floats:
        operands.append(right)
        return by_rows(left, right, out)

    monkeypatch.setattr(linear, "by_rows", recorded)
    monkeypatch.setattr(linear, "GROUP_ELEMENTS", 1)
    with np.errstate(over="ignore", invalid="ignore"):
        forward(np.full((4 * ROWS, 2), number), np.ones((3, 2)))
    assert len(operands) == 4 + again
    assert all(each is operands[4] for each in operands[4:])


THREADS = """
import numpy as np
from threadpoolctl import threadpool_info
from service.compute.linear import by_rows, sum_of_outer_products

def threads():
    return next(each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas")

print(threads())
{product}(np.ones((3, 3)), np.ones((3, 3)))
print(threads())
"""
"""Program that prints the numbers of threads of BLAS before and after a product."""


@pytest.mark.parametrize("product", ["by_rows", "sum_of_outer_products"])
def test_product_restricts_blas_to_one_thread(product: str) -> None:
    program, environment = THREADS.format(product=product), {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "1"]


@pytest.mark.parametrize(("features", "classes"), [(64, 1001), (250, 253), (333, 517), (64, 100)])
def test_a_row_has_the_same_bits_in_every_place_of_a_batch(features: int, classes: int) -> None:
    random = np.random.default_rng(features)
    row, weights = random.normal(size=(1, features)), random.normal(size=(classes, features))
    expected, _ = forward(row, weights)
    logits, _ = forward(np.repeat(row, 100, axis=0), weights)
    np.testing.assert_array_equal(logits, np.repeat(expected, 100, axis=0))
