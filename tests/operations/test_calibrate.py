"""Test the fitted temperature against other minimisers, and for losses without a minimum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import optimize, special

from service.compute import calibration
from service.operations import batch as batches
from tests.operations.support import answer, full_answer

if TYPE_CHECKING:
    from collections.abc import Callable

Request = dict[str, Any]


def batch(seed: int, count: int = 300, classes: int = 5, scale: float = 3.0) -> Request:
    """Return logits that are `scale` times as far apart as their labels deserve."""
    generator = np.random.default_rng(seed)
    fair = generator.normal(size=(count, classes))
    noise = generator.gumbel(size=(count, classes))
    return {"logits": scale * fair, "targets": (fair + noise).argmax(axis=1)}


def slope(request: Request, temperature: float) -> float:
    """Return dL/dT."""
    outputs = ["temperature_gradient"]
    answered = answer("gradient", **request, temperature=temperature, outputs=outputs)
    return float(answered["temperature_gradient"])


@pytest.mark.parametrize("scale", [0.01, 0.5, 3.0, 1e4])
@pytest.mark.parametrize("seed", range(3))
def test_the_temperature_is_where_the_slope_of_the_loss_is_0(seed: int, scale: float) -> None:
    request = batch(seed, scale=scale)
    answered = answer("calibrate", **request)
    root = optimize.brentq(lambda temperature: slope(request, temperature), scale / 10, scale * 10, xtol=1e-14 * scale)
    np.testing.assert_allclose(answered["temperature"], root, rtol=1e-11)
    assert answered["at_bound"] == 0
    assert answered["loss"] <= answered["loss_before"]


def test_the_minimum_agrees_with_scipy() -> None:
    request = batch(4)
    rows = np.arange(300)

    def loss(temperature: float) -> float:
        return float(-special.log_softmax(request["logits"] / temperature, axis=1)[rows, request["targets"]].mean())

    found = optimize.minimize_scalar(loss, bounds=(0.1, 100.0), method="bounded", options={"xatol": 1e-10})
    answered = answer("calibrate", **request)
    np.testing.assert_allclose(answered["temperature"], found.x, rtol=1e-6)
    np.testing.assert_allclose(answered["loss"], found.fun, rtol=1e-13)


@pytest.mark.parametrize("options", [{}, {"softcap": 4.0}, {"sample_weights": np.linspace(0.0, 2.0, 300)}], ids=str)
def test_losses_and_bins_are_of_the_loss_at_that_temperature(options: Request) -> None:
    request = batch(5) | options
    answered = full_answer("calibrate", **request, bins=7)
    names = ["loss", "expected_calibration_error", "bin_counts", "bin_confidences", "bin_accuracies"]
    for suffix, temperature in (("", float(answered["temperature"])), ("_before", 1.0)):
        expected = answer("loss", **request, bins=7, temperature=temperature, outputs=names)
        for name, values in expected.items():
            np.testing.assert_allclose(answered[name + suffix], values, rtol=1e-15, err_msg=name)


def test_target_probabilities_have_a_best_temperature_too() -> None:
    request = batch(6)
    fair = special.softmax(request["logits"] / 2.5, axis=1)
    answered = answer("calibrate", logits=request["logits"], targets=fair)
    np.testing.assert_allclose(answered["temperature"], 2.5, rtol=1e-12)


def test_rows_that_are_not_counted_change_nothing() -> None:
    request = batch(7)
    ignored = {**request, "targets": np.where(np.arange(300) % 2, request["targets"], -1), "ignore_index": -1}
    alone = {name: values[1::2] for name, values in request.items()}
    left, right = answer("calibrate", **ignored), answer("calibrate", **alone)
    for name, value in right.items():
        np.testing.assert_allclose(left[name], value, rtol=1e-12)


NO_MINIMUM: dict[str, tuple[Request, float]] = {
    "every row right": ({"logits": [[2.0, 1.0], [0.0, 3.0]], "targets": [0, 1]}, 1e-6),
    "every row wrong": ({"logits": [[2.0, 1.0], [0.0, 3.0]], "targets": [1, 0]}, 1e6),
    "one class": ({"logits": [[2.0], [1.0]], "targets": [0, 0]}, 1.0),
    "no rows": ({"logits": np.empty((0, 3)), "targets": np.empty(0, int)}, 1.0),
    "every row ignored": ({"logits": [[2.0, 1.0]], "targets": [-1], "ignore_index": -1}, 1.0),
    "a loss of 0 at every temperature": ({"logits": [[1e300, 1.0], [0.0, 1e300]], "targets": [0, 1]}, 1.0),
}


@pytest.mark.parametrize("name", NO_MINIMUM)
def test_without_a_minimum_the_end_of_the_range_is_returned(name: str) -> None:
    request, expected = NO_MINIMUM[name]
    answered = answer("calibrate", **request)
    np.testing.assert_allclose(answered["temperature"], expected, rtol=1e-15)
    assert answered["at_bound"] == 1


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3, 1e5])
def test_the_search_takes_at_most_40_passes(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[float] = []

    def counted(derivatives: Callable[[float], tuple[float, float]]) -> calibration.Minimum:
        def one_more(temperature: float) -> tuple[float, float]:
            passes.append(temperature)
            return derivatives(temperature)

        return calibration.minimum(one_more)

    monkeypatch.setattr(batches, "minimum", counted)
    answer("calibrate", **batch(8, scale=scale))
    assert len(passes) <= 20
