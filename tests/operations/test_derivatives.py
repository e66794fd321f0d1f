"""Test every gradient against differences of the loss, or against formulas in many digits."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.operations.support import answer, full_answer

if TYPE_CHECKING:
    from collections.abc import Callable

# coverage would double the time of these tests, and others reach nearly the same lines
pytestmark = pytest.mark.no_cover

Floats = npt.NDArray[np.float64]
Request = dict[str, Any]

STEP = 2.0**-17
"""Step of central differences: their error (its square) and that of the loss (2**-52 over it) are about 1e-10."""

GENERATOR = np.random.default_rng(7)

LAYER: Request = {
    "inputs": GENERATOR.normal(size=(4, 2)),
    "weights": GENERATOR.normal(size=(3, 2)),
    "bias": GENERATOR.normal(size=3),
}
LOGITS: Request = {"logits": GENERATOR.normal(scale=2.0, size=(4, 3))}

LABELS: Request = {"targets": np.array([0, 2, -100, 1]), "ignore_index": -100}
SOFT: Request = {"targets": GENERATOR.uniform(0.1, 1.0, size=(4, 3))}
WEIGHTS: Request = {"class_weights": GENERATOR.random(3), "sample_weights": GENERATOR.random(4)}

SCALINGS: list[Request] = [{}, {"temperature": 0.7}, {"softcap": 1.5}, {"temperature": 2.0, "softcap": 1.5}]
WEIGHINGS: list[Request] = [{}, WEIGHTS, {"label_smoothing": 0.2}, WEIGHTS | {"label_smoothing": 0.2}]
PENALTIES: list[Request] = [{}, {"z_loss": 0.1}]
REDUCTIONS: list[Request] = [{}, {"reduction": "sum"}, {"reduction": "none"}, {"denominator": 7.0}]

OPTIONS = [
    scaling | weighing | penalty | reduction
    for scaling, weighing, penalty, reduction in product(SCALINGS, WEIGHINGS, PENALTIES, REDUCTIONS)
]


def spelled(options: Request) -> str:
    """Return options as the name of a test."""
    values = (f"{name}={value}" for name, value in options.items() if not isinstance(value, np.ndarray))
    weights = [name for name, value in options.items() if isinstance(value, np.ndarray)]
    return " ".join([*weights, *values]) or "plain"


with_every_option = pytest.mark.parametrize("options", OPTIONS, ids=spelled)
with_both_targets = pytest.mark.parametrize("targets", [LABELS, SOFT], ids=["labels", "soft"])


def differences(function: Callable[[Floats], Any], at: Any) -> Floats:
    """Return central differences with respect to each element of an array. The axes of the element come first."""
    at = np.asarray(at, np.float64)
    slopes = []
    for index in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[index] = STEP
        slopes.append((function(at + step) - function(at - step)) / (2.0 * STEP))
    return np.reshape(slopes, at.shape + np.shape(slopes[0]))


def total_loss(request: Request) -> float:
    """Return the loss, summed if it is not reduced."""
    return float(answer("loss", **request)["loss"].sum())


def assert_derivative(request: Request, name: str) -> None:
    """Assert that the output NAME_gradient is the derivative of the loss with respect to the field."""
    gradient = answer("gradient", **request, outputs=[f"{name}_gradient"])[f"{name}_gradient"]
    expected = differences(lambda value: total_loss(request | {name: value}), request[name])
    np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-8)


@with_both_targets
@with_every_option
def test_the_logits_gradient_is_the_derivative_of_the_loss(options: Request, targets: Request) -> None:
    assert_derivative(LOGITS | targets | options, "logits")


@pytest.mark.parametrize("name", ["inputs", "weights", "bias"])
@with_both_targets
@with_every_option
def test_the_gradients_of_a_layer_are_derivatives_of_the_loss(options: Request, targets: Request, name: str) -> None:
    assert_derivative(LAYER | targets | options, name)


@with_both_targets
@with_every_option
def test_the_temperature_gradient_is_the_derivative_of_the_loss(options: Request, targets: Request) -> None:
    request = LOGITS | targets | {"temperature": 1.0} | options
    gradient = answer("gradient", **request, outputs=["temperature_gradient"])["temperature_gradient"]

    def loss(temperature: Floats) -> float:
        return total_loss(request | {"temperature": float(temperature)})

    np.testing.assert_allclose(gradient, differences(loss, request["temperature"]), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("options", [each for each in OPTIONS if "z_loss" not in each], ids=spelled)
def test_the_targets_gradient_is_the_derivative_of_the_loss(options: Request) -> None:
    assert_derivative(LOGITS | SOFT | options, "targets")


@pytest.mark.parametrize("scaling", SCALINGS, ids=spelled)
def test_the_jacobian_is_the_derivative_of_the_probabilities(scaling: Request) -> None:
    jacobian = answer("softmax", **LOGITS, **scaling, outputs=["jacobian"])["jacobian"]
    for logits, matrix in zip(LOGITS["logits"], jacobian, strict=True):
        expected = differences(lambda z: answer("softmax", logits=z, **scaling)["probabilities"], logits)
        np.testing.assert_allclose(matrix, expected.T, rtol=1e-7, atol=1e-9)


@with_both_targets
@pytest.mark.parametrize("options", [each for each in OPTIONS if "softcap" not in each], ids=spelled)
def test_the_hessian_is_the_derivative_of_the_logits_gradient(options: Request, targets: Request) -> None:
    request = LOGITS | targets | options
    hessian = answer("gradient", **request, outputs=["hessian"])["hessian"]
    slopes = differences(lambda z: answer("gradient", **request | {"logits": z})["logits_gradient"], request["logits"])
    # slopes[n, i, m, j] is the derivative of component j of row m with respect to logit i of row n
    for row, matrix in enumerate(hessian):
        np.testing.assert_allclose(matrix, slopes[row, :, row], rtol=1e-7, atol=1e-8)


# A loss computed by the client


def gini(probabilities: Floats) -> float:
    """Return a loss that this service does not have: 1 - sum p**2 of each row, weighted."""
    return float((np.arange(1, 5) * (1.0 - (probabilities**2).sum(axis=-1))).sum())


def gini_request(request: Request) -> Request:
    """Return the request with the gradient of the Gini loss with respect to its probabilities."""
    probabilities = answer("softmax", **request)["probabilities"]
    return request | {"probabilities_gradient": -2.0 * np.arange(1, 5)[:, None] * probabilities}


@pytest.mark.parametrize("name", ["logits", "inputs", "weights", "bias"])
@pytest.mark.parametrize("scaling", SCALINGS, ids=spelled)
def test_the_gradient_of_a_loss_of_ones_own_is_its_derivative(scaling: Request, name: str) -> None:
    request = (LOGITS if name == "logits" else LAYER) | scaling
    gradient = full_answer("gradient", **gini_request(request))[f"{name}_gradient"]
    expected = differences(
        lambda value: gini(answer("softmax", **request | {name: value})["probabilities"]), request[name]
    )
    np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("softcap", [{}, {"softcap": 1.5}], ids=spelled)
def test_temperature_gradient_of_own_loss_is_its_derivative(softcap: Request) -> None:
    request = LOGITS | softcap

    def loss(temperature: Floats) -> float:
        return gini(answer("softmax", **request, temperature=float(temperature))["probabilities"])

    gradient = full_answer("gradient", **gini_request(request | {"temperature": 0.7}))["temperature_gradient"]
    np.testing.assert_allclose(gradient, differences(loss, 0.7), rtol=1e-7, atol=1e-8)


def test_cross_entropy_as_own_loss_has_the_same_gradient() -> None:
    probabilities = answer("softmax", **LOGITS)["probabilities"]
    vectors = -SOFT["targets"] / probabilities
    own = answer("gradient", **LOGITS, probabilities_gradient=vectors)["logits_gradient"]
    known = answer("gradient", **LOGITS, **SOFT, reduction="sum")["logits_gradient"]
    np.testing.assert_allclose(own, known, rtol=1e-13)


# A step of gradient descent


@with_both_targets
def test_a_step_subtracts_the_gradient_times_the_learning_rate(targets: Request) -> None:
    answered = answer("gradient", **LAYER, **targets, learning_rate=0.1)
    for name in ("weights", "bias"):
        expected = LAYER[name] - 0.1 * answered[f"{name}_gradient"]
        np.testing.assert_array_equal(answered[f"updated_{name}"], expected)


@with_both_targets
def test_a_step_lowers_the_loss(targets: Request) -> None:
    updated = answer("gradient", **LAYER, **targets, learning_rate=0.1)
    after = LAYER | {"weights": updated["updated_weights"], "bias": updated["updated_bias"]}
    assert total_loss(after | targets) < updated["loss"]
