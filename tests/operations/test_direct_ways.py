"""Test that the direct ways of the benchmark compute the outputs of the service."""

from __future__ import annotations

import numpy as np
import pytest

from bench.cases import CASES, Case
from bench.direct import Data
from bench.outputs import service

TOLERANCES = {"float64": 1e-6, "float32": 1e-4}
"""Largest difference relative to the largest element. `minimize_scalar` has 6 digits."""


def assert_equals_service(case: Case, data: Data) -> None:
    """Assert that the direct way computes the output of the service."""
    (name,) = case.request(data)["outputs"]
    expected = service(case, data)()[name]
    tolerance = TOLERANCES[data.dtype] * np.abs(expected).max()
    actual = np.asarray(case.direct(data))
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0.0, atol=tolerance)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("shape", [(12, 10), (7, 33)], ids=str)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_direct_way_computes_the_output(case: Case, shape: tuple[int, int], dtype: str) -> None:
    assert_equals_service(case, Data(*shape, dtype))


@pytest.mark.parametrize("name", ["loss, target probabilities", "kl_divergence", "targets_gradient"])
def test_direct_way_computes_the_output_of_unnormalized_targets(name: str) -> None:
    (case,) = (case for case in CASES if case.name == name)
    data = Data(12, 10, "float64")
    data.t *= 0.5
    assert_equals_service(case, data)
