"""Test the accuracy of float32: 4 units in the last place, 6 where the service computes in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from service.compute.blocks import BLOCK_BYTES
from tests.operations.families import FAMILIES, Family, ends
from tests.operations.reference import Reference
from tests.operations.support import Answer, answer, assert_same, full_answer

# coverage would double the time of these tests, and others reach nearly the same lines
pytestmark = pytest.mark.no_cover


def float32(*values: Any) -> npt.NDArray[np.float32]:
    """Return values rounded to float32."""
    return np.array(values, np.float32)


REQUESTS: dict[str, dict[str, Any]] = {
    "labels": {"targets": [1, 2, 0, -100], "ignore_index": -100},
    "weighted labels": {
        "targets": [1, 2, 0, 1],
        "class_weights": float32(0.5, 1.0, 3.0),
        "sample_weights": float32(1.0, 0.3, 2.0, 0.0),
    },
    "smoothed labels": {"targets": [1, 2, 0, 1], "label_smoothing": 0.1, "z_loss": 1e-3, "reduction": "none"},
    "capped labels": {"targets": [1, 2, 0, 1], "softcap": 5.0},
    "soft": {"targets": float32([0.1, 0.7, 0.2], [0, 0, 1], [0.3, 0.3, 0.3], [0.5, 0, 0.5]), "reduction": "sum"},
    "vector": {"probabilities_gradient": float32([0.1, -0.7, 2], [0, 0, 1], [3, 2, 1], [0.5, 0, 0.5])},
}

ROWS: dict[str, Family] = {
    **{name: FAMILIES[name] for name in ("N(0, 1)", "offset 1e6", "gap 20", "gap 38", "gap 300")},
    "±3.4e38": ends(3.4e38),
}


def units_off(values: npt.NDArray[np.float32], exact: Any) -> float:
    """Return the largest error in units of the last place. Beyond the range of float32 a value must be infinite."""
    values, exact = np.atleast_1d(values), np.atleast_1d(exact)
    with np.errstate(over="ignore"):
        rounded = exact.astype(np.float64).astype(np.float32)
    finite = np.isfinite(rounded)
    assert (values == rounded)[~finite].all()
    units = np.spacing(np.abs(rounded[finite]))
    return float((np.abs(exact - values)[finite] / units).max(initial=0.0))


@pytest.mark.parametrize("temperature", [1e-3, 1.0, 3.0, 1e3])
@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("family", ROWS)
def test_every_output_is_within_4_units_in_the_last_place(family: str, kind: str, temperature: float) -> None:
    logits = ROWS[family](np.random.default_rng(5), 4, 3).astype(np.float32)
    request = REQUESTS[kind] | {"temperature": temperature}
    answered = full_answer("gradient", logits=logits, **request, dtype="float32")
    exact = Reference(logits, **request)
    floats = {name: values for name, values in answered.items() if values.dtype == np.float32}
    errors = {name: units_off(values, getattr(exact, name)) for name, values in floats.items()}
    assert {name: error for name, error in errors.items() if error > 4.0} == {}


def test_every_layer_output_is_within_4_units_in_last_place() -> None:
    generator = np.random.default_rng(6)
    shapes = {"inputs": (50, 8), "weights": (5, 8), "bias": (5,)}
    layer: dict[str, Any] = {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    targets = generator.integers(5, size=50)
    answered = full_answer("gradient", **layer, targets=targets, dtype="float32")
    exact = Reference(**layer, targets=targets)
    for name, values in answered.items():
        if values.dtype == np.float32:
            assert units_off(values, getattr(exact, name)) <= 4.0, name


LONG_ROWS: dict[str, Family] = {
    **ROWS,
    "N(0, 10)": lambda generator, count, classes: 10.0 * generator.normal(size=(count, classes)),
    "largest around 0": lambda generator, count, classes: -np.abs(generator.normal(size=(count, classes))) * 1e-3,
    "largest around 60": lambda generator, count, classes: 60.0 - np.abs(generator.normal(size=(count, classes))),
    "largest around 80": lambda generator, count, classes: 80.0 - np.abs(generator.normal(size=(count, classes))),
    "tail of subnormal exponentials": lambda _, count, classes: (
        np.where(np.arange(classes) == 0, 0.0, -93.88) * np.ones((count, 1))
    ),
    "down to -110": lambda generator, count, classes: generator.uniform(-110.0, 60.0, size=(count, classes)),
}

LONG = ["probabilities", "log_probabilities", "log_normalizer", "predictions"]


@pytest.mark.parametrize("classes", [65, 1000, 50_257])
@pytest.mark.parametrize("family", LONG_ROWS)
def test_long_rows_are_within_6_units_in_the_last_place(family: str, classes: int) -> None:
    logits = LONG_ROWS[family](np.random.default_rng(7), 40, classes).astype(np.float32)
    logits[::2, 0] = np.abs(logits[::2]).max(axis=1) % 61.0
    answered = answer("softmax", logits=logits, dtype="float32", outputs=LONG)
    exact = answer("softmax", logits=logits.astype(np.float64), outputs=LONG)
    assert (answered.pop("predictions") == exact.pop("predictions")).all()
    errors = {name: units_off(values, exact[name]) for name, values in answered.items()}
    assert {name: error for name, error in errors.items() if error > 6.0} == {}


@pytest.mark.parametrize(
    "scale", [{"temperature": 2.0}, {"softcap": 3.0}, {"temperature": 2.0, "softcap": 3.0}], ids=str
)
def test_long_rows_are_scaled(scale: dict[str, float]) -> None:
    logits = LONG_ROWS["N(0, 1)"](np.random.default_rng(10), 40, 100).astype(np.float32)
    answered = answer("softmax", logits=logits, dtype="float32", outputs=LONG, **scale)
    exact = answer("softmax", logits=logits.astype(np.float64), outputs=LONG, **scale)
    assert (answered.pop("predictions") == exact.pop("predictions")).all()
    for name, values in answered.items():
        assert units_off(values, exact[name]) <= 1.0, name


def test_a_number_in_float32_depends_on_its_row_alone() -> None:
    logits = LONG_ROWS["N(0, 1)"](np.random.default_rng(8), 1000, 200).astype(np.float32)
    logits[1::7] += 100.0
    logits[2::7] -= 100.0
    logits[3::7, :100] = -np.inf
    logits[4::7] = -np.inf
    together = answer("softmax", logits=logits, dtype="float32", outputs=LONG)
    alone = [answer("softmax", logits=row, dtype="float32", outputs=LONG) for row in logits[:14]]
    assert_same({name: values[:14] for name, values in together.items()}, stacked(alone))
    more = ["entropy", "top_k_classes", "top_k_probabilities"]
    with_more = answer("softmax", logits=logits, dtype="float32", outputs=[*LONG, *more], top_k=200)
    assert_same({name: with_more[name] for name in LONG}, together)
    classes, best = with_more["top_k_classes"], with_more["top_k_probabilities"]
    assert (best == np.where(classes < 0, 0, np.take_along_axis(together["probabilities"], classes, axis=1))).all()
    with_loss = answer("loss", logits=logits[:4], dtype="float32", targets=[0, 1, 2, 199], outputs=[*LONG, "loss"])
    assert_same({name: with_loss[name] for name in LONG}, {name: values[:4] for name, values in together.items()})


@pytest.mark.parametrize("classes", [10, 100])
def test_float32_number_does_not_depend_on_the_count_of_rows(classes: int) -> None:
    logits = LONG_ROWS["N(0, 1)"](np.random.default_rng(9), 3 * BLOCK_BYTES // (4 * classes), classes).astype(
        np.float32
    )
    together, last = (answer("softmax", logits=rows, dtype="float32", outputs=LONG) for rows in (logits, logits[-9:]))
    assert_same({name: values[-9:] for name, values in together.items()}, last)


def stacked(answers: list[Answer]) -> Answer:
    """Return answers of one row each as one answer."""
    return {name: np.stack([each[name] for each in answers]) for name in answers[0]}
