from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from deploy.batch.exact import ExactSum


def total(values: np.ndarray) -> np.ndarray:
    """Return the sum over the first axis, term by term."""
    sums = ExactSum()
    for each in values:
        sums.add(each)
    return sums.total()


def terms(seed: int) -> np.ndarray:
    """Return (200, 3) numbers of very different sizes, most of which cancel."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(100, 3)) * 10.0 ** generator.integers(-30, 30, size=(100, 3))
    return np.concatenate([values, -values * (1 + 2.0**-50)])


@pytest.mark.parametrize("seed", range(20))
def test_a_sum_is_the_double_next_to_the_true_one(seed: int) -> None:
    values = terms(seed)
    exact = [float(sum(map(Fraction, column))) for column in values.T.tolist()]
    assert total(values).tolist() == exact


@pytest.mark.parametrize("seed", range(20))
def test_the_order_changes_no_bit(seed: int) -> None:
    values = terms(seed)
    shuffled = np.random.default_rng(seed).permutation(values)
    assert values.sum(axis=0).tolist() != shuffled.sum(axis=0).tolist()
    assert total(values).tobytes() == total(shuffled).tobytes()


@pytest.mark.parametrize("cut", [0, 1, 7, 199, 200])
def test_terms_may_be_added_in_groups(cut: int) -> None:
    values = terms(3)
    sums = ExactSum()
    for group in (values[:cut], values[cut:]):
        if len(group):
            sums.add_all(group)
    assert sums.total().tobytes() == total(values).tobytes()


def test_a_single_number_keeps_its_shape() -> None:
    assert total(np.array([0.1] * 10)).shape == ()
    assert total(np.array([0.1] * 10)) == math.fsum([0.1] * 10)


def test_an_infinite_term_makes_its_own_element_infinite() -> None:
    values = np.array([[1.0, 1.0], [math.inf, 2.0], [3.0, 3.0], [math.inf, 4.0]])
    assert total(values).tolist() == [math.inf, 10.0]
