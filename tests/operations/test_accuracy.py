"""Test the accuracy of float64: a few units in the last place for every kind of row."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.operations.families import FAMILIES, Family, Floats, confident, ends, normal
from tests.operations.reference import Array, Reference
from tests.operations.support import Answer, answer

# coverage would double the time of these tests, and others reach nearly the same lines
pytestmark = pytest.mark.no_cover

UNIT = 2.0**-53
SMALLEST = 2.0**-1074
SMALLEST_NORMAL = 2.0**-1022

ROWS = {2: 6, 10: 3, 1000: 1}
"""Number of rows to check, by K."""

TEMPERATURES = [1e-3, 0.5, 1.0, 3.0, 1e3]

ALL_FAMILIES: dict[str, Family] = {**FAMILIES, "±1.7e308": ends(1.7e308)}

CASES = [
    *((family, classes, temperature) for family in FAMILIES for classes in ROWS for temperature in TEMPERATURES),
    *(("±1.7e308", classes, temperature) for classes in (2, 10) for temperature in (*TEMPERATURES, 1e308)),
]

OUTPUTS = ["probabilities", "log_probabilities", "loss", "logits_gradient"]

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: "{} K={} T={:g}".format(*case))


class Solution(NamedTuple):
    """Rows, their answer, and the exact outputs."""

    logits: Floats
    temperature: float
    answer: Answer
    exact: Reference

    @property
    def allowances(self) -> Floats:
        """(N, K) Relative error allowed for outputs made of exponentials."""
        return allowances(self.logits, self.temperature)

    @property
    def logarithmic_allowances(self) -> Floats:
        """(N, K) Relative error allowed for logarithms, in which the distance to the top class is a term."""
        tops = np.arange(self.logits.shape[1]) == self.logits.argmax(axis=1)[:, None]
        return np.where(tops, self.allowances, 16.0 * UNIT)


@cache
def solution(family: str, classes: int, temperature: float) -> Solution:
    """Return the solution for rows labelled in turn with the most, the second and the least probable class."""
    count = ROWS[classes]
    logits = ALL_FAMILIES[family](np.random.default_rng(classes), count, classes)
    order = np.argsort(-logits, axis=1, kind="stable")
    labels = order[np.arange(count), np.resize([0, 1, -1], count)]
    return solve(logits, temperature, targets=labels, reduction="none")


def solve(logits: Floats, temperature: float, **request: Any) -> Solution:
    """Return the answer of the service and the reference."""
    answered = answer("gradient", logits=logits, temperature=temperature, **request, outputs=OUTPUTS)
    return Solution(logits, temperature, answered, Reference(logits, temperature=temperature, **request))


def allowances(logits: Floats, temperature: float) -> Floats:
    """(N, K) Relative error of a class plus that of the top class, or of the second class for the top one.

    The rounded distance g to the top class is off by g units, and by as many again where dividing by the temperature
    rounds; from 750 on, exp(-g) is 0.
    """
    halves = logits / 2.0
    with np.errstate(over="ignore"):
        gaps = np.minimum((halves.max(axis=1, keepdims=True) - halves) / (temperature / 2.0), 750.0)
    power_of_two = np.frexp(temperature)[0] == 0.5
    own = 8.0 + gaps * (1.0 if power_of_two else 2.0)
    compared = np.full_like(own, 8.0)
    compared[np.arange(len(own)), own.argmin(axis=1)] = np.partition(own, 1)[:, 1]
    return (own + compared) * UNIT


def excess(actual: Floats, exact: Array, allowance: Floats, scale: Array | None = None, steps: float = 4.0) -> float:
    """Return the largest ratio of error and allowance times scale. The default scale is the size of the value.

    A value beyond double range must be infinite; one near 0 may be off by some steps of the smallest double.
    """
    finite = np.abs(exact) <= np.finfo(np.float64).max
    assert (actual[~finite] == np.where(exact[~finite] > 0, np.inf, -np.inf)).all()
    allowed = allowance * (np.abs(exact) if scale is None else scale) + steps * SMALLEST
    return float((np.abs(exact - actual) / allowed)[finite].max())


def gradient_excess(solved: Solution) -> float:
    """Return the excess of the gradient, whose components are differences of the terms A' p and a q, over T."""
    exact = solved.exact
    p, a, total = exact.probabilities, exact.a, exact.A
    scale = (p * (total - a) + a * (1 - p)) * exact.s[:, None] * exact.shares[0] / exact.T
    steps = 4.0 / min(solved.temperature, 1.0)
    return excess(solved.answer["logits_gradient"], exact.logits_gradient, solved.allowances, scale, steps)


@every_case
def test_every_probability_is_right_to_the_last_digits(case: tuple[str, int, float]) -> None:
    solved = solution(*case)
    worst = excess(solved.answer["probabilities"], solved.exact.probabilities, solved.allowances)
    assert worst <= 1.0


@every_case
def test_every_log_probability_is_right_to_the_last_digits(case: tuple[str, int, float]) -> None:
    solved = solution(*case)
    worst = excess(solved.answer["log_probabilities"], solved.exact.log_probabilities, solved.logarithmic_allowances)
    assert worst <= 1.0


@every_case
def test_every_loss_is_right_to_the_last_digits(case: tuple[str, int, float]) -> None:
    solved = solution(*case)
    allowance = solved.logarithmic_allowances[np.arange(len(solved.logits)), solved.exact.labels]
    worst = excess(solved.answer["loss"], solved.exact.loss, allowance)
    assert worst <= 1.0


@every_case
def test_every_gradient_component_is_right_to_the_last_digits(case: tuple[str, int, float]) -> None:
    worst = gradient_excess(solution(*case))
    assert worst <= 1.0


@pytest.mark.parametrize(
    "largest", [-1e3, -745.0, -708.0, -1.0, -SMALLEST, -0.0, 0.0, 1.0, 680.0, 680.1, 709.0, 710.0, 1e3]
)
def test_rows_with_exponentials_shifted_or_not_are_as_right(largest: float) -> None:
    below = np.array([0.0, 1e-3, 1.0, 20.0, 300.0, 690.0, 708.0, 709.0, 740.0])
    logits = largest - np.array([below, np.where(below == 0.0, 0.0, 708.0)])
    solved = solve(logits, 1.0, targets=[0, 1], reduction="none")
    exact, allowance = solved.exact, solved.logarithmic_allowances
    assert excess(solved.answer["probabilities"], exact.probabilities, solved.allowances) <= 1.0
    assert excess(solved.answer["log_probabilities"], exact.log_probabilities, allowance) <= 1.0
    assert excess(solved.answer["loss"], exact.loss, allowance[[0, 1], [0, 1]]) <= 1.0
    assert gradient_excess(solved) <= 1.0


@every_case
def test_nothing_that_a_double_can_hold_becomes_0(case: tuple[str, int, float]) -> None:
    solved = solution(*case)
    for name in OUTPUTS:
        held = np.abs(getattr(solved.exact, name)) >= SMALLEST_NORMAL
        assert solved.answer[name][held].all(), name


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_weighted_soft_targets_are_right_to_the_last_digits(family: str, reduction: str, smoothing: float) -> None:
    generator = np.random.default_rng(3)
    logits = ALL_FAMILIES[family](generator, 4, 5)
    targets = generator.random((4, 5))
    targets[0] = [0.0, 1.0, 0.0, 0.0, 0.0]
    targets[1] = 0.0
    solved = solve(
        logits,
        3.0,
        targets=targets,
        class_weights=generator.random(5),
        sample_weights=generator.random(4),
        label_smoothing=smoothing,
        reduction=reduction,
    )
    terms = -solved.exact.a * solved.exact.log_probabilities * solved.exact.s[:, None] * solved.exact.shares[0]
    allowed = (terms * solved.logarithmic_allowances).sum()
    assert abs(solved.exact.loss - float(solved.answer["loss"])) <= allowed
    assert gradient_excess(solved) <= 1.0


@pytest.mark.parametrize("rows", [normal, confident(38.0)], ids=["N(0, 1)", "gap 38"])
def test_vocabulary_of_50257_classes_is_right_to_last_digits(rows: Family) -> None:
    generator = np.random.default_rng(4)
    logits = rows(generator, 1, 50_257)
    label = int(logits.argmax())
    answered = answer("gradient", logits=logits, targets=[label], outputs=OUTPUTS)
    exact = Reference(logits, digits=80)
    probabilities = exact.probabilities[0]
    gradient = probabilities - (np.arange(50_257) == label).astype(int)
    sample = [label, *generator.integers(50_257, size=1000)]
    allowed = allowances(logits, 1.0)[0, sample]
    assert excess(answered["probabilities"][0, sample], probabilities[sample], allowed) <= 1.0
    assert excess(answered["logits_gradient"][0, sample], gradient[sample], allowed) <= 1.0
    loss = -exact.mp.log(probabilities[label])
    assert abs(loss - float(answered["loss"])) <= loss * allowed[0]
