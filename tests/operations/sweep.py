"""Requests that reach every output of the table of bounds, and the part of its bound that an answer uses at most.

The tests take the small ones. `python -m tests.operations.sweep` measures all of them in some minutes, and writes the
result into docs/accuracy.md.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tests.docs.pages import ROOT
from tests.docs.tables import table
from tests.operations.bounds import BOUNDS, Case, case, used
from tests.operations.families import FAMILIES, Family, confident, ends, normal
from tests.operations.reference import DIGITS, Reference
from tests.operations.support import Answer, answer, available

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "accuracy.md"

MEASURED = re.compile(r"(<!-- measured: bounds -->\n).*?(<!-- end of bounds -->)", re.DOTALL)

TEMPERATURES = (1e-6, 1e-3, 1.0, 3.0, 1e6)

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
    "weights of both signs": {"targets": [0, 4, 2], "sample_weights": [1.0, -3.0, 0.5], "reduction": "sum"},
    "smoothed rows": {"targets": [0, 4, 2], "label_smoothing": 1e-3, "reduction": "none", "sample_weights": EXTREME},
    "probabilities": {"targets": GENERATOR.random((3, 5)), "denominator": 1e-290},
    "large divisor": {"targets": GENERATOR.random((3, 5)), "denominator": 1e290, "z_loss": 1e-3},
    "capped labels": {"targets": [0, 4, 2], "softcap": 5.0},
    "vector": {"probabilities_gradient": GENERATOR.normal(size=(3, 5))},
}

LAYER: dict[str, Any] = {
    "inputs": GENERATOR.integers(-40, 40, size=(6, 3)) / 8,
    "weights": GENERATOR.integers(-40, 40, size=(5, 3)) / 8,
    "bias": GENERATOR.integers(-40, 40, size=5) / 8,
    "targets": [0, 4, 2, 1, 3, 0],
    "learning_rate": 0.125,
}
"""Numbers of few bits, so that the logits are exact."""

LARGE = ["probabilities", "log_probabilities", "log_normalizer", "entropy", "loss", "logits_gradient"]
"""Outputs of a long row, without those that have K x K terms."""

REPEATED: dict[str, Any] = {
    "inputs": [[0.375, 0.75]],
    "weights": [[0.125, 0.25], [0.5, -0.375], [0.875, 0.5]],
    "bias": [0.125, 0, 0],
}


class Probe(NamedTuple):
    """A request, the outputs that are compared, and the decimal digits of the reference."""

    request: dict[str, Any]
    outputs: list[str]
    digits: int = DIGITS

    def parts(self) -> dict[str, float]:
        """Return the part of its bound that the error of each output is."""
        answered = answer("gradient", **self.request, outputs=self.outputs)
        return parts(answered, case(Reference(**self.request, digits=self.digits)))


def parts(answered: Answer, exact: Case) -> dict[str, float]:
    """Return the part of its bound that the error of each output is."""
    return {
        name: used(values, getattr(exact.exact, name), BOUNDS[name](exact))
        for name, values in answered.items()
        if name in BOUNDS
    }


def small(rows: str, kind: str, temperature: float) -> Probe:
    """Return a request of 3 rows of 5 classes."""
    request = {"logits": ROWS[rows](np.random.default_rng(13), 3, 5), "temperature": temperature, **REQUESTS[kind]}
    return Probe(request, bounded(request), 900 if "denominator" in request else DIGITS)


def layer(temperature: float, reduction: str) -> Probe:
    """Return a request of a layer."""
    request = {**LAYER, "temperature": temperature, "reduction": reduction}
    return Probe(request, bounded(request))


def long(classes: int, rows: str) -> Probe:
    """Return a request of rows of that many classes."""
    logits = ROWS[rows](np.random.default_rng(14), 1 if classes > 1000 else 2, classes)
    request = {"logits": logits, "targets": np.arange(len(logits)) % classes}
    return Probe(request, LARGE, 80 if classes > 1000 else DIGITS)


def repeated(count: int) -> dict[str, float]:
    """Return the parts for sums over many equal rows, whose truth is that of one row."""
    outputs = ["loss", "weights_gradient", "bias_gradient", "temperature_gradient", "denominator"]
    many = {name: np.repeat(value, count, axis=0) if name == "inputs" else value for name, value in REPEATED.items()}
    worst: dict[str, float] = {}
    for reduction in ("sum", "mean"):
        one = case(Reference(**REPEATED, targets=[1], reduction=reduction))
        answered = answer("gradient", **many, targets=[1] * count, reduction=reduction, outputs=outputs)
        for name in outputs:
            times = count if reduction == "sum" or name == "denominator" else 1
            exact, allowed = getattr(one.exact, name) * times, BOUNDS[name](one) * times
            worst[name] = max(worst.get(name, 0.0), used(answered[name], exact, allowed))
    return worst


def bounded(request: dict[str, Any]) -> list[str]:
    """Return the outputs of a request that the table has a bound for."""
    return [name for name in available("gradient", **request) if name in BOUNDS]


def all_parts() -> Iterator[dict[str, float]]:
    """Yield the parts of every request."""
    for rows in ROWS:
        for kind in REQUESTS:
            for temperature in (*TEMPERATURES, 0.25, 1e3):
                yield small(rows, kind, temperature).parts()
    for temperature in TEMPERATURES:
        for reduction in ("sum", "mean", "none"):
            yield layer(temperature, reduction).parts()
    for classes in (1, 2, 3, 7, 10, 63, 64, 65, 127, 1000, 50_257, 100_000):
        for rows in ("N(0, 1)", "equal", "gap 38"):
            yield long(classes, rows).parts()
    for count in (1, 31, 1000, 65_537, 10**6):
        yield repeated(count)


def worst() -> dict[str, float]:
    """Return the largest part of every output."""
    found: dict[str, float] = defaultdict(float)
    for each in all_parts():
        for name, part in each.items():
            found[name] = max(found[name], part)
    return {name: found[name] for name in BOUNDS}


def main() -> None:
    """Write the table."""
    rows = [[f"`{name}`", f"{100 * part:.0f} %"] for name, part in worst().items()]
    text = PAGE.read_text(encoding="utf-8")
    measured = table(["output", "largest error, in percent of its bound"], rows)
    PAGE.write_text(MEASURED.sub(lambda found: f"{found[1]}\n{measured}\n{found[2]}", text), encoding="utf-8")
    sys.stdout.write(measured)


if __name__ == "__main__":
    main()
