"""Test the fitted temperature against other minimisers, and for losses without a minimum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import optimize, special
from sklearn import calibration as sklearn_calibration

from service.compute import calibration
from service.operations import batch as batches
from tests.operations.reference import Reference
from tests.operations.support import answer, full_answer

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


@pytest.mark.parametrize("seed", range(4, 8))
def test_the_minimum_agrees_with_scipy(seed: int) -> None:
    request = batch(seed)
    rows = np.arange(300)

    def loss(temperature: float) -> float:
        return float(-special.log_softmax(request["logits"] / temperature, axis=1)[rows, request["targets"]].mean())

    found = optimize.minimize_scalar(loss, bounds=(0.1, 100.0), method="bounded", options={"xatol": 1e-12})
    answered = answer("calibrate", **request)
    np.testing.assert_allclose(answered["loss"], found.fun, rtol=1e-13)
    # near a minimum the loss of doubles is flat over sqrt(2**-53) of the temperature
    np.testing.assert_allclose(answered["temperature"], found.x, rtol=1e-7)


SMALL: dict[str, Request] = {
    "two classes": {"logits": [[3.0, 0.0], [0.5, 1.0], [2.0, 1.0]], "targets": [0, 1, 1]},
    "confident": {"logits": [[40.0, 0.0, 1.0], [0.0, 30.0, 29.0], [5.0, 0.0, 9.0]], "targets": [0, 2, 0]},
    "excluded class": {"logits": [[3.0, 0.0, 9.0], [0.0, 2.0, 5.0]], "mask": [1, 1, 0], "targets": [0, 0]},
    "probabilities": {"logits": [[1.0, 0.0], [4.0, 2.0]], "targets": [[0.7, 0.3], [0.5, 0.5]]},
    "weighted": {
        "logits": [[3.0, 0.0], [0.5, 1.0], [2.0, 1.0]],
        "targets": [0, 1, 1],
        "sample_weights": [1.0, 9.0, 2.0],
    },
    "softcap": {"logits": [[30.0, 0.0], [0.5, 1.0], [2.0, 1.0]], "targets": [0, 1, 1], "softcap": 5.0},
}


@pytest.mark.parametrize("name", SMALL)
def test_small_batches_have_the_temperature_of_many_digits(name: str) -> None:
    request = SMALL[name]
    answered = answer("calibrate", **request)
    logits = np.where(request.get("mask", 1), request["logits"], -np.inf)
    others = {each: value for each, value in request.items() if each not in ("logits", "mask")}

    def reference(temperature: Any) -> Reference:
        return Reference(logits, **others, temperature=temperature, digits=50)

    mp = reference(1.0).mp
    exact = mp.findroot(
        lambda temperature: reference(temperature).temperature_gradient,
        (answered["temperature"], 1.1 * answered["temperature"]),
    )
    np.testing.assert_allclose(answered["temperature"], float(exact), rtol=1e-12)
    np.testing.assert_allclose(answered["loss"], float(reference(exact).loss), rtol=1e-13)
    np.testing.assert_allclose(answered["loss_before"], float(reference(1.0).loss), rtol=1e-13)


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_the_bins_agree_with_scikit_learn(bins: int) -> None:
    request = batch(9)
    answered = full_answer("calibrate", **request, bins=bins)
    for suffix, temperature in (("", answered["temperature"]), ("_before", 1.0)):
        probabilities = special.softmax(request["logits"] / temperature, axis=1)
        confidences, hits = probabilities.max(axis=1), probabilities.argmax(axis=1) == request["targets"]
        accuracies, means = sklearn_calibration.calibration_curve(hits, confidences, n_bins=bins)
        counts = answered[f"bin_counts{suffix}"]
        np.testing.assert_allclose(answered[f"bin_accuracies{suffix}"][counts > 0], accuracies, rtol=1e-12)
        np.testing.assert_allclose(answered[f"bin_confidences{suffix}"][counts > 0], means, rtol=1e-12)
        error = (counts[counts > 0] / counts.sum() * np.abs(accuracies - means)).sum()
        np.testing.assert_allclose(answered[f"expected_calibration_error{suffix}"], error, rtol=1e-12)


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


def test_a_distance_that_overflows_leaves_the_temperature() -> None:
    request = batch(9, scale=0.3)
    far = {
        "logits": np.vstack([request["logits"], [1.7e308, -1.7e308, 0.0, 0.0, 0.0]]),
        "targets": np.append(request["targets"], 0),
    }
    left, right = answer("calibrate", **far), answer("calibrate", **request)
    np.testing.assert_allclose(left["temperature"], right["temperature"], rtol=1e-12)


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


@pytest.mark.parametrize("scale", [1e-3, 1.0, 3.0, 1e5])
def test_calibration_takes_at_most_40_passes(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[float] = []
    evaluate = batches.Batch.evaluate

    def counted(self: batches.Batch, **quantities: Any) -> Any:
        passes.append(self.arguments.temperature)
        return evaluate(self, **quantities)

    monkeypatch.setattr(batches.Batch, "evaluate", counted)
    answer("calibrate", **batch(8, count=10_000, classes=100, scale=scale))
    # with the pass that checks the values
    assert 4 <= len(passes) + 1 <= 25


def test_no_search_takes_more_than_40_passes() -> None:
    temperatures: list[float] = []

    def stubborn(temperature: float) -> tuple[float, float]:
        temperatures.append(temperature)
        return (-1.0 if temperature > 1e5 else 1.0), np.nan

    assert not calibration.minimum(stubborn).at_bound
    evaluations, check = 2, 1
    assert len(temperatures) + evaluations + check == 40
