"""Test numbers with an exponent against doubles, and the slope of a softcap against many digits."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.compute.scaled import LEAST, MOST, Scaled, in_range, is_safe, product, rounded, total
from service.compute.softcap import slopes

if TYPE_CHECKING:
    from collections.abc import Callable

MODERATE = st.floats(LEAST, MOST) | st.floats(-MOST, -LEAST)

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, product]


@given(st.lists(MODERATE, min_size=1, max_size=5), MODERATE, st.sampled_from(OPERATORS))
def test_operators_give_the_bits_of_doubles(numbers: list[float], other: float, apply: Callable[..., Any]) -> None:
    values = np.array(numbers)
    for left, right in ((Scaled.of(values), other), (values, Scaled.of(other)), (Scaled.of(values), Scaled.of(other))):
        np.testing.assert_array_equal(rounded(apply(left, right)), apply(values, other))
    assert rounded(total(Scaled.of(values))) == total(values)


@pytest.mark.parametrize("value", [LEAST / 2, MOST * 2, -MOST * 2, 5e-324, 1.7e308])
def test_a_number_out_of_range_gets_an_exponent(value: float) -> None:
    assert isinstance(in_range(value), Scaled)
    assert isinstance(in_range(np.array([0.0, 1.0, value])), Scaled)


@pytest.mark.parametrize("value", [LEAST, MOST, -1.0])
def test_a_number_in_range_stays_a_double(value: float) -> None:
    assert in_range(value) == value
    numbers = np.array([0.0, value])
    assert in_range(numbers) is numbers


@pytest.mark.parametrize(
    ("result", "expected"), [(1.0, True), (0.0, False), (1e-200, False), (np.inf, False), (np.nan, False)]
)
def test_a_result_that_lost_digits_to_range_is_not_safe(result: float, expected: bool) -> None:  # noqa: FBT001
    assert is_safe(np.array(result)) is expected
    assert is_safe(np.array([1.0, result])) is expected


@pytest.mark.parametrize("softcap", [0.3, 5.3, 50.0, 1e300, 1e-300])
def test_slope_of_a_softcap_keeps_its_digits(softcap: float) -> None:
    quotients = np.concatenate([np.geomspace(1e-3, 330.0, 60), -np.geomspace(0.1, 330.0, 20)])
    logits = quotients * softcap
    computed = rounded(slopes(logits, softcap))
    with mpmath.workdps(50):
        for logit, slope in zip(logits, computed, strict=True):
            exact = mpmath.sech(mpmath.mpf(float(logit)) / mpmath.mpf(softcap)) ** 2
            assert abs(slope - exact) <= 12 * mpmath.mpf(2) ** -53 * exact


def test_slope_below_double_range_has_an_exponent() -> None:
    values = slopes(np.array([[400.0, 1.0, -np.inf]]), 1.0)
    mantissa, exponent = (part[0] for part in values)
    with mpmath.workdps(50):
        exact = mpmath.sech(400) ** 2
        assert abs(mpmath.ldexp(mpmath.mpf(float(mantissa[0])), int(exponent[0])) / exact - 1) < 40 * 2.0**-53
    assert mantissa[2] == 0.0
