"""Test that a row of a request has the bits that it has alone, whatever the scale of the other rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given

from service.operations.prepare import prepare
from tests.operations.strategies import Request, anywhere, by_rows, without
from tests.operations.support import MODELS, NAMED, Answer, answer, assert_same, available

if TYPE_CHECKING:
    from numpy.random import Generator

ROWS = 6

KINDS = ("labels", "probabilities", "teacher", "vector")

TEMPERATURES = (1.0, 0.7, 3.0, 0.01, 1e-3, 1e10, 1e-200, 1e200)
SOFTCAPS = (3.0, 30.0, 1e-3, 1e5, 1e-200, 1e300)
SCALES = (0.1, 3.0, 100.0, 600.0)


def scales(random: Generator, share: float, shape: tuple[int, ...]) -> Any:
    """Return numbers of any size in a share of the places, and 1 in the others."""
    return np.where(random.random(shape) < share, 10.0 ** random.uniform(-300.0, 300.0, shape), 1.0)


def request(kind: str, seed: int) -> Request:
    """Return rows of different scales, with any of the options."""
    random = np.random.default_rng(seed)
    shape = ROWS, int(random.integers(1, 12))
    logits = random.normal(size=shape) * random.choice(SCALES) * np.where(random.random((ROWS, 1)) < 0.2, 1e3, 1.0)
    drawn: Request = {"temperature": random.choice(TEMPERATURES), "softcap": random.choice(SOFTCAPS)}
    drawn = {name: value for name, value in drawn.items() if random.random() < 0.4}
    if random.random() < 0.5:
        logits *= drawn.get("temperature", 1.0)
    excluded = (random.random(shape) < 0.3) & (random.random() < 0.3)
    excluded[:, 0] = False
    if random.random() < 0.2:
        drawn["inputs"] = random.normal(size=(ROWS, 3)) * scales(random, 0.2, (ROWS, 1))
        drawn["weights"] = random.normal(size=(shape[1], 3))
    else:
        drawn["logits"] = np.where(excluded, -np.inf, logits)
    if kind == "vector":
        return drawn | {"probabilities_gradient": random.normal(size=shape) * scales(random, 0.4, (ROWS, 1))}
    if kind == "labels":
        drawn["targets"] = random.integers(shape[1], size=ROWS)
    elif kind == "probabilities":
        drawn["targets"] = random.random(shape) * (random.random(shape) < 0.7) * scales(random, 0.05, shape)
    else:
        noise = random.normal(size=shape)
        drawn["teacher_logits"] = logits + 1e-6 * noise if random.random() < 0.5 else noise * random.choice(SCALES)
    options: Request = {
        "class_weights": random.random(shape[1]) * scales(random, 0.2, shape[1:]),
        "label_smoothing": 0.1,
        "z_loss": random.choice([1e-3, 1e-200, 1e200]),
    }
    drawn |= {name: value for name, value in options.items() if random.random() < 0.3}
    return drawn | {"sample_weights": random.random(ROWS) * scales(random, 0.4, (ROWS,)), "reduction": "none"}


def row_outputs(drawn: Request) -> list[str]:
    """Return the names of the outputs that have an entry for each row."""
    answered = answer("gradient", **drawn, outputs=available("gradient", **drawn))
    has_rows = {name for name, output in NAMED["gradient"].named_outputs.items() if output.has_rows}
    return [name for name, values in answered.items() if name in has_rows and values.ndim]


def rows_alone(drawn: Request, names: list[str]) -> Answer:
    """Return the joined answers to each row alone."""
    rows = range(len(drawn["logits" if "logits" in drawn else "inputs"]))
    answers = [answer("gradient", **by_rows(drawn, slice(row, row + 1)), outputs=names) for row in rows]
    return {name: np.concatenate([each[name] for each in answers]) for name in names}


@example({"logits": np.zeros((1, 1)), "targets": np.array([0]), "temperature": 0.125})
@given(anywhere())
def test_a_mask_says_which_rows_lose_digits(drawn: Request) -> None:
    arguments = MODELS["gradient"].read(drawn).arguments
    with np.errstate(all="ignore"):
        gradient = prepare(arguments).rows(slice(None), {}).gradient
        # ~ on a bool of Python is an integer
        assert {np.asarray(mask).dtype for mask in (gradient.lost, gradient.extreme)} == {np.dtype(bool)}


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_different_scales_have_the_bits_they_have_alone(kind: str) -> None:
    for seed in range(150):
        drawn = request(kind, seed)
        names = row_outputs(drawn)
        assert_same(answer("gradient", **drawn, outputs=names), rows_alone(drawn, names))


@given(anywhere())
def test_rows_anywhere_have_the_bits_they_have_alone(drawn: Request) -> None:
    drawn = without(drawn, "learning_rate")
    if "probabilities_gradient" not in drawn and "denominator" not in drawn:
        drawn["reduction"] = "none"
    names = row_outputs(drawn)
    assert_same(answer("gradient", **drawn, outputs=names), rows_alone(drawn, names))
