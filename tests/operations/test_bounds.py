"""Test every output against the formulas in many digits, within the table of bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.operations.bounds import BOUNDS, case, used
from tests.operations.families import FAMILIES, Family, confident, ends, normal
from tests.operations.reference import DIGITS, Reference
from tests.operations.support import answer, available

ROWS: dict[str, Family] = {
    **{name: FAMILIES[name] for name in ("N(0, 1)", "offset 1e15", "gap 38", "gap 700")},
    "equal": lambda _, count, classes: np.full((count, classes), 10.0),
    "small": lambda generator, count, classes: normal(generator, count, classes) * 1e-300,
    "±1.7e308": ends(1.7e308),
    "gap 780": confident(780.0),
}

GENERATOR = np.random.default_rng(12)

EXTREME = np.array([1e290, 1e-290, 1.0])

REQUESTS: dict[str, dict[str, Any]] = {
    "labels": {"targets": [0, 4, 2]},
    "weighted labels": {
        "targets": [0, 4, 2],
        "class_weights": [1e290, 1.0, 3.0, 1e-290, 0.5],
        "sample_weights": EXTREME,
    },
    "penalized sum": {"targets": [0, 4, 2], "z_loss": 0.1, "reduction": "sum"},
    "smoothed rows": {"targets": [0, 4, 2], "label_smoothing": 1e-3, "reduction": "none", "sample_weights": EXTREME},
    "probabilities": {"targets": GENERATOR.random((3, 5)), "denominator": 1e-290},
    "teacher": {"teacher_logits": GENERATOR.normal(scale=5.0, size=(3, 5)), "sample_weights": EXTREME},
    "capped labels": {"targets": [0, 4, 2], "softcap": 5.0},
    "vector": {"probabilities_gradient": GENERATOR.normal(size=(3, 5))},
}


@pytest.mark.parametrize("temperature", [1e-3, 1.0, 3.0, 1e6])
@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("rows", ROWS)
def test_every_output_is_within_its_bound(rows: str, kind: str, temperature: float) -> None:
    logits = ROWS[rows](np.random.default_rng(13), 3, 5)
    request = {"logits": logits, "temperature": temperature, **REQUESTS[kind]}
    names = [name for name in available("gradient", **request) if name in BOUNDS]
    answered = answer("gradient", **request, outputs=names)
    exact = case(Reference(**request, digits=900 if kind == "probabilities" else DIGITS))
    parts = {name: used(answered[name], getattr(exact.exact, name), BOUNDS[name](exact)) for name in names}
    assert {name: part for name, part in parts.items() if part > 1.0} == {}
