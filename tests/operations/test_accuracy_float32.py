"""How far a float32 answer may be from the mathematics: 4 units in its last place."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.operations.families import FAMILIES, Family, ends
from tests.operations.reference import Reference
from tests.operations.support import full_answer


def float32(*values: Any) -> npt.NDArray[np.float32]:
    """The values, or rows of them, rounded."""
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
    """The largest error in units of the last place; beyond the range of float32 a value must be infinite."""
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


def test_every_output_of_a_layer_is_within_4_units_in_the_last_place() -> None:
    generator = np.random.default_rng(6)
    shapes = {"inputs": (50, 8), "weights": (5, 8), "bias": (5,)}
    layer: dict[str, Any] = {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    targets = generator.integers(5, size=50)
    answered = full_answer("gradient", **layer, targets=targets, dtype="float32")
    exact = Reference(**layer, targets=targets)
    for name, values in answered.items():
        if values.dtype == np.float32:
            assert units_off(values, getattr(exact, name)) <= 4.0, name
