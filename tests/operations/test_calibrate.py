"""Test the fitted temperature against other minimisers, and for losses without a minimum."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import optimize, special
from sklearn import calibration as sklearn_calibration

from service.compute import blocks, calibration
from service.compute.scaled import Scaled
from service.operations import batch as batches
from tests.operations.reference import Reference
from tests.operations.strategies import floats
from tests.operations.support import answer, full_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Request = dict[str, Any]


def batch(seed: int, count: int = 300, classes: int = 5, scale: float = 3.0) -> Request:
    """Return logits that are `scale` times as far apart as their labels deserve."""
    generator = np.random.default_rng(seed)
    fair = generator.normal(size=(count, classes))
    noise = generator.gumbel(size=(count, classes))
    return {"logits": scale * fair, "targets": (fair + noise).argmax(axis=1)}


@contextmanager
def counted_passes() -> Iterator[list[str]]:
    """Yield a list that receives the name of the function of each pass over the rows."""
    passes: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        function = getattr(batches, name)

        def call(*given: Any, **named: Any) -> Any:
            passes.append(name)
            return function(*given, **named)

        return call

    with pytest.MonkeyPatch.context() as patched:
        for name in ("evaluate", "each_block"):
            patched.setattr(batches, name, counted(name))
        yield passes


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
        tol=1e-40,
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


@pytest.mark.parametrize("end", [1e-6, 1e6])
@pytest.mark.parametrize("beyond", [1 - 1e-9, 1 + 1e-9])
def test_a_minimum_beyond_the_range_is_at_its_bound(end: float, beyond: float) -> None:
    logits = batch(6)["logits"]
    best = end * beyond
    answered = answer("calibrate", logits=logits * best, targets=special.softmax(logits, axis=1))
    assert answered["at_bound"] == (not 1e-6 <= best <= 1e6)
    np.testing.assert_allclose(answered["temperature"], min(max(best, 1e-6), 1e6), rtol=1e-11)


@pytest.mark.parametrize(("end", "power"), [(1e-6, 1 - 1e-10), (1e6, 1.1)])
@pytest.mark.parametrize("beyond", [sign * 10.0**-digits for sign in (-1, 1) for digits in range(2, 15)])
def test_no_step_leaves_the_range(end: float, power: float, beyond: float) -> None:
    best = end * (1.0 + beyond)

    def distances(temperature: float) -> Any:
        # with this power, Newton's iteration comes to the zero from inside of the range
        assert 1e-6 * (1 - 1e-15) <= temperature <= 1e6 * (1 + 1e-15)
        raised = (best / temperature) ** power
        return SimpleNamespace(log_ratio=raised - 1.0, step=(1.0 - raised) / raised / power)

    found = calibration.minimum(distances)
    assert found.at_bound == (not 1e-6 <= best <= 1e6)
    np.testing.assert_allclose(found.temperature, min(max(best, 1e-6), 1e6), rtol=1e-15)


def test_rows_that_are_not_counted_change_nothing() -> None:
    request = batch(7)
    ignored = {**request, "targets": np.where(np.arange(300) % 2, request["targets"], -1), "ignore_index": -1}
    alone = {name: values[1::2] for name, values in request.items()}
    left, right = answer("calibrate", **ignored), answer("calibrate", **alone)
    for name, value in right.items():
        np.testing.assert_allclose(left[name], value, rtol=1e-12)


@pytest.mark.parametrize("name", SMALL)
def test_a_weight_of_all_rows_changes_nothing(name: str) -> None:
    request = SMALL[name]
    weights = np.asarray(request.get("sample_weights", np.ones(len(request["targets"]))))
    expected = answer("calibrate", **request)["temperature"]
    for factor in (1e-300, 1e-20, 1e300):
        answered = answer("calibrate", **request | {"sample_weights": factor * weights})
        np.testing.assert_allclose(answered["temperature"], expected, rtol=1e-14)


@pytest.mark.parametrize("exponent", [0.0, 290.0])
def test_no_number_of_cores_changes_a_bit(exponent: float, monkeypatch: pytest.MonkeyPatch) -> None:
    request = batch(9, count=40_000, classes=10)
    request["sample_weights"] = 10.0 ** np.random.default_rng(9).uniform(-exponent, exponent, 40_000)
    found = []
    for cores in (1, 2, 3):
        monkeypatch.setattr(blocks, "usable_cores", lambda cores=cores: cores)
        found.append(answer("calibrate", **request)["temperature"])
    assert found[0] == found[1] == found[2]


def test_a_distance_that_overflows_leaves_the_temperature() -> None:
    request = batch(9, scale=0.3)
    far = {
        "logits": np.vstack([request["logits"], [1.7e308, -1.7e308, 0.0, 0.0, 0.0]]),
        "targets": np.append(request["targets"], 0),
    }
    left, right = answer("calibrate", **far), answer("calibrate", **request)
    np.testing.assert_allclose(left["temperature"], right["temperature"], rtol=1e-12)


def test_a_light_row_may_have_a_distance_that_overflows() -> None:
    request = batch(9, scale=0.3)
    found = []
    for size, weight in ((1.7e308, 2.5e-308), (1.7e3, 2.5e-3)):
        wrong = [size, -size, 0.0, 0.0, 0.0]
        row = {"logits": np.vstack([request["logits"], wrong]), "targets": np.append(request["targets"], 1)}
        found.append(answer("calibrate", **row, sample_weights=np.append(np.ones(300), weight)))
    assert found[0]["at_bound"] == 0
    np.testing.assert_allclose(found[0]["temperature"], found[1]["temperature"], rtol=1e-12)


NO_MINIMUM: dict[str, tuple[Request, float]] = {
    "every row right": ({"logits": [[2.0, 1.0], [0.0, 3.0]], "targets": [0, 1]}, 1e-6),
    "every row wrong": ({"logits": [[2.0, 1.0], [0.0, 3.0]], "targets": [1, 0]}, 1e6),
    "one class": ({"logits": [[2.0], [1.0]], "targets": [0, 0]}, 1.0),
    "no rows": ({"logits": np.empty((0, 3)), "targets": np.empty(0, int)}, 1.0),
    "every weight 0": ({"logits": [[2.0, 1.0]], "targets": [1], "sample_weights": [0.0]}, 1.0),
    "every row ignored": ({"logits": [[2.0, 1.0]], "targets": [-1], "ignore_index": -1}, 1.0),
    "a loss of 0 at every temperature": ({"logits": [[1e300, 1.0], [0.0, 1e300]], "targets": [0, 1]}, 1.0),
}


@pytest.mark.parametrize("name", NO_MINIMUM)
def test_without_a_minimum_the_end_of_the_range_is_returned(name: str) -> None:
    request, expected = NO_MINIMUM[name]
    answered = answer("calibrate", **request)
    np.testing.assert_allclose(answered["temperature"], expected, rtol=1e-15)
    assert answered["at_bound"] == 1


@st.composite
def weighted_beyond_range(draw: st.DrawFn) -> Request:
    """Draw a small batch whose weights have ratios up to 1e580, or whose target probabilities have ratios up to 1e400."""
    count, classes = draw(st.integers(2, 5)), draw(st.integers(2, 4))
    scale = 10.0 ** draw(st.floats(-3.0, 3.0))
    request: Request = {"logits": draw(floats((count, classes), st.floats(-10.0, 10.0))) * scale}
    labels = st.lists(st.integers(0, classes - 1), min_size=count, max_size=count).map(np.array)
    if draw(st.booleans()):
        targets = 10.0 ** draw(floats((count, classes), st.floats(-250.0, 150.0)))
        return request | {"targets": targets, "sample_weights": np.ones(count)}
    request["targets"] = draw(labels | floats((count, classes), st.floats(0.0, 1.0)))
    return request | {"sample_weights": 10.0 ** draw(floats((count,), st.floats(-290.0, 290.0)))}


def exact_slope(request: Request, inverse: Any) -> tuple[Any, Any, Any]:
    """Return f'(b) of the loss f in 60 digits, b = 1 / T, the part that rounding may hide, and f''(b).

    f'(b) is the sum of s t_j p_i (z_i - z_j), in which nothing cancels for a row of one label.
    """
    mp = mpmath.mp.clone()
    mp.dps = 60
    inverse, exact = mp.mpf(inverse), np.frompyfunc(mp.mpf, 1, 1)
    slope = hidden = curvature = mp.mpf(0)
    for logits, target, weight in zip(
        *(request[name] for name in ("logits", "targets", "sample_weights")), strict=True
    ):
        z = exact(logits)
        t = exact(np.eye(len(logits))[target] if np.ndim(target) == 0 else target)
        exponentials = np.frompyfunc(mp.exp, 1, 1)(inverse * (z - z.max()))
        p = exponentials / exponentials.sum()
        terms = mp.mpf(weight) * p[:, None] * t * (z[:, None] - z)
        units = 16 + 4 * inverse * (z.max() - z)
        slope += terms.sum()
        hidden += 2.0**-53 * (np.abs(terms) * (units[:, None] + units)).sum()
        curvature += mp.mpf(weight) * t.sum() * (p[:, None] * p * (z[:, None] - z) ** 2).sum() / 2
    return slope, hidden, curvature


SHARP_CORNER: Request = {
    "logits": np.array([[37.525, 0.0], [19.742, 0.0], [0.0, 99.018]]),
    "targets": np.array([[3.4483e-130, 2.1317e141], [6.9194e-245, 1.1176e72], [5.0853e-181, 1.4971e159]]),
    "sample_weights": np.ones(3),
}
"""Target probabilities with which Newton's steps alone go to and fro."""

LIFTED: Request = {
    "logits": np.array([[737.0, 0.0], [0.0, 1.0]]),
    "targets": np.array([[1e300, 0.0], [5e-18, 1e-18]]),
    "sample_weights": np.ones(2),
}
"""A target that lifts the few digits of a probability below double range into a sum that is in range."""


@example(LIFTED)
@example(SHARP_CORNER)
@example({"logits": np.array([[2.0, 0.0], [0.0, 1.0]]), "targets": [0, 0], "sample_weights": [1e290, 1e-290]})
@example({"logits": np.array([[2e3, 0.0], [0.0, 1e-3]]), "targets": [0, 0], "sample_weights": [1.7e308, 5e-324]})
@given(weighted_beyond_range())
def test_factors_of_any_ratio_have_an_exact_temperature(request: Request) -> None:
    with counted_passes() as passes:
        answered = answer("calibrate", **request, outputs=["temperature", "at_bound"])
    assert len(passes) <= 37
    found = 1 / mpmath.mpf(float(answered["temperature"]))
    slope, hidden, curvature = exact_slope(request, found)
    if answered["at_bound"]:
        assert slope <= hidden if found > 1 else slope >= -hidden
        return
    part = 1e-12 + hidden / curvature / found
    assert exact_slope(request, found * (1 - part))[0] <= 0 <= exact_slope(request, found * (1 + part))[0]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 3.0, 1e5])
def test_calibration_takes_at_most_40_passes(scale: float) -> None:
    with counted_passes() as passes:
        answer("calibrate", **batch(8, count=10_000, classes=100, scale=scale))
    # with the pass that checks the values
    assert 4 <= len(passes) + 1 <= 12


def test_no_search_takes_more_than_40_passes() -> None:
    temperatures: list[float] = []

    def stubborn(temperature: float) -> calibration.Distances:
        temperatures.append(temperature)
        return calibration.Distances(*map(Scaled.of, (1.0, 2.0 if temperature > 1e5 else 0.5, np.nan)))

    assert not calibration.minimum(stubborn).at_bound
    evaluations, check = 2, 1
    assert len(temperatures) + evaluations + check == 40
