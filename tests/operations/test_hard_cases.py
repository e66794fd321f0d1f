"""Test every output of rows with cancellation, against the formulas in many digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.operations.families import confident, ends, normal, offset
from tests.operations.reference import Reference
from tests.operations.support import Answer, answer, full_answer

# coverage would double the time of these tests, and others reach nearly the same lines
pytestmark = pytest.mark.no_cover

Request = dict[str, Any]

GENERATOR = np.random.default_rng(8)

SATURATED = np.array([[30.0, 31.0, 100.0], [45.0, 60.0, 75.0], [99.0, 100.0, 98.0], [50.0, 50.0, 50.0]])
"""Logits that a softcap of 5 moves to 5, or to within 1e-4 of it."""

ROWS = {
    "gap 38": confident(38.0)(GENERATOR, 4, 3),
    "gap 300": confident(300.0)(GENERATOR, 4, 3),
    "gap 700": confident(700.0)(GENERATOR, 4, 3),
    "offset 1e6": offset(1e6)(GENERATOR, 4, 3),
    "offset -1e15": offset(-1e15)(GENERATOR, 4, 3),
    "saturated": SATURATED,
    "saturated at both ends": SATURATED * [1.0, -1.0, 1.0],
    "small": normal(GENERATOR, 4, 3) * 1e-8,
}

LABELS = [0, 2, 1, 1]
CLASS_WEIGHTS = [0.5, 1.0, 2.0]
SAMPLE_WEIGHTS = [1.0, 2.0, 0.3, 0.7]
PROBABILITIES = GENERATOR.random((4, 3))

REQUESTS: dict[str, Request] = {
    "labels": {"targets": LABELS},
    "ignored labels": {"targets": LABELS, "ignore_index": 2},
    "weighted labels": {"targets": LABELS, "class_weights": CLASS_WEIGHTS, "sample_weights": SAMPLE_WEIGHTS},
    "smoothed labels": {"targets": LABELS, "class_weights": CLASS_WEIGHTS, "label_smoothing": 0.1, "z_loss": 0.01},
    "probabilities": {"targets": PROBABILITIES, "sample_weights": SAMPLE_WEIGHTS, "reduction": "sum"},
    "penalized probabilities": {"targets": PROBABILITIES, "z_loss": 0.01, "reduction": "none"},
    "a teacher": {"teacher_logits": 30.0 * GENERATOR.normal(size=(4, 3))},
    "a weighted teacher": {
        "teacher_logits": GENERATOR.normal(size=(4, 3)),
        "class_weights": CLASS_WEIGHTS,
        "label_smoothing": 0.1,
        "sample_weights": SAMPLE_WEIGHTS,
    },
    "a loss of one's own": {"probabilities_gradient": GENERATOR.normal(size=(4, 3))},
}

SCALINGS: dict[str, Request] = {
    "plain": {},
    "T = 3": {"temperature": 3.0},
    "softcap 5": {"softcap": 5.0},
    "softcap 5, T = 0.3": {"softcap": 5.0, "temperature": 0.3},
}


BINNED = ("expected_calibration_error", "bin_confidences", "bin_accuracies")
"""Outputs that jump when a confidence crosses the border of a bin."""


def assert_exact(answered: Answer, reference: Reference) -> None:
    """Assert that every output has 12 digits, down to the end of double range."""
    for name, values in answered.items():
        if values.dtype == np.float64 and name not in BINNED:
            expected = np.asarray(getattr(reference, name)).astype(np.float64)
            np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-306, err_msg=name)


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("rows", ROWS)
def test_every_output_of_a_hard_row_has_twelve_digits(rows: str, kind: str, scaling: str) -> None:
    request = {"logits": ROWS[rows], **REQUESTS[kind], **SCALINGS[scaling]}
    assert_exact(full_answer("gradient", **request), Reference(**request))


@pytest.mark.parametrize("temperature", [1e3, 1e300, 1e308])
@pytest.mark.parametrize("kind", REQUESTS)
def test_logits_at_the_ends_of_double_range_have_every_output(kind: str, temperature: float) -> None:
    logits = ends(1.7e308)(np.random.default_rng(9), 4, 3)
    request = {"logits": logits, **REQUESTS[kind], "temperature": temperature}
    assert_exact(full_answer("gradient", **request), Reference(**request))


@pytest.mark.parametrize("softcap", [1e307, 1.7e308])
def test_a_softcap_at_the_end_of_double_range_does_not_overflow(softcap: float) -> None:
    request: Request = {"logits": [[1.7e308, -1.7e308, 0.0]], "softcap": softcap, "temperature": 1e308}
    assert_exact(full_answer("softmax", **request), Reference(**request))


@pytest.mark.parametrize("temperature", [1e-300, 1e-200, 1e200])
def test_the_hessian_is_exact_at_any_temperature(temperature: float) -> None:
    request: Request = {"logits": [[1.0, 1.0, 1.0 - 1e-12]], "targets": [0], "temperature": temperature}
    assert_exact(answer("gradient", **request, outputs=["hessian"]), Reference(**request))


def test_layer_gradients_of_confident_rows_keep_their_digits() -> None:
    request: Request = {
        "inputs": [[1.0, -2.0], [3.0, 0.0], [0.0, 5.0]],
        "weights": [[40.0, 1.0], [-8.0, 3.0], [2.0, -2.0]],
        "bias": [0.5, -0.5, 0.25],
        "targets": [0, 0, 1],
    }
    assert_exact(full_answer("gradient", **request), Reference(**request))
