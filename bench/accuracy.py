"""Compare the digits of this service, of SciPy and of optax: `python -m bench.accuracy` rewrites docs/accuracy.md."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from bench.environments import create
from bench.services import ENVIRONMENTS, HERE
from tests.docs.tables import table
from tests.operations.families import FAMILIES, ends, normal
from tests.operations.reference import DIGITS, Reference
from tests.operations.support import answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.operations.families import Floats
    from tests.operations.reference import Array

UNIT = 2.0**-53

SMALLEST_NORMAL = 2.0**-1022

PAGE = HERE.parent / "docs" / "accuracy.md"

MEASURED = re.compile(r"(<!-- measured: peers -->\n).*?(<!-- end of peers -->)", re.DOTALL)

QUANTITIES = ("probability", "loss", "gradient")

Values = tuple["Floats", "Floats", "Floats"]
"""The probabilities, losses and gradients of a batch."""


def inputs() -> Iterator[tuple[str, Floats, float, int]]:
    """Name, logits, temperature and the digits that the reference takes."""
    generator = np.random.default_rng(0)
    for name, family in FAMILIES.items():
        yield name, family(generator, 60, 10), 1.0, DIGITS
    yield "K = 50,257", normal(generator, 1, 50_257), 1.0, 50
    yield "±1.7e308", ends(1.7e308)(generator, 20, 10), 1.0, DIGITS
    yield "N(0, 1), T = 1e-3", normal(generator, 60, 10), 1e-3, DIGITS
    yield "N(0, 1), T = 1e3", normal(generator, 60, 10), 1e3, DIGITS


def ranked(logits: Floats) -> Array:
    """(N,) Labels: in turn the most probable class, the next one and the least."""
    rows = np.arange(len(logits))
    return np.argsort(-logits, axis=1, kind="stable")[rows, np.resize([0, 1, -1], len(logits))]


def of_service(logits: Floats, labels: Array, temperature: float) -> Values:
    """Return the values that the service computes."""
    names = ["probabilities", "loss", "logits_gradient"]
    request = {"targets": labels, "temperature": temperature, "reduction": "none", "outputs": names}
    answered = answer("gradient", logits=logits, **request)
    return answered["probabilities"], answered["loss"], answered["logits_gradient"]


def of_scipy(logits: Floats, labels: Array, temperature: float) -> Values:
    """Return the values of SciPy: softmax, -log_softmax at the label, softmax less one-hot."""
    rows = np.arange(len(logits))
    with np.errstate(over="ignore", invalid="ignore"):
        probabilities = special.softmax(logits / temperature, axis=1)
        losses = -special.log_softmax(logits / temperature, axis=1)[rows, labels]
    gradient = probabilities.copy()
    gradient[rows, labels] -= 1.0
    return probabilities, losses, gradient / temperature


def of_optax(batches: list[tuple[Floats, Array, float]]) -> list[Values]:
    """Return the values of optax and JAX for every batch, computed in an environment of their own."""
    folder, environment = HERE / "peers" / "optax", ENVIRONMENTS / "optax"
    create(environment, folder / "requirements.txt")
    sent = io.BytesIO()
    named: dict[str, Any] = {
        f"{name}{i}": value
        for i, batch in enumerate(batches)
        for name, value in zip(("logits", "labels", "temperature"), batch, strict=True)
    }
    np.savez(sent, **named)
    command = [f"{environment}/bin/python", str(folder / "values.py")]
    done = subprocess.run(command, input=sent.getvalue(), capture_output=True, check=True)  # noqa: S603 - ours
    answered = np.load(io.BytesIO(done.stdout))
    names = ("probabilities", "loss", "gradient")
    return [tuple(answered[f"{name}{i}"] for name in names) for i in range(len(batches))]


def verdict(actual: Floats, exact: Array) -> str:
    """Return the worst relative error in units of 2^-53, or a word for a result that is NaN, infinite or 0."""
    sizes = np.abs(exact)
    countable = (sizes >= SMALLEST_NORMAL) & (sizes <= np.finfo(np.float64).max)
    actual, exact = actual[countable], exact[countable]
    if np.isnan(actual).any():
        return "nan"
    if np.isinf(actual).any():
        return "inf"
    if (actual == 0.0).any():
        return "wrong: 0"
    error = float((np.abs(exact - actual) / np.abs(exact)).max())
    return "all digits" if error >= 1.0 else f"{error / UNIT:,.1f}"


def lines() -> list[list[str]]:
    """Return the rows of the table."""
    cases = [(name, (logits, ranked(logits), temperature), digits) for name, logits, temperature, digits in inputs()]
    optax = of_optax([batch for _, batch, _ in cases])
    found = []
    for (name, batch, digits), of_peer in zip(cases, optax, strict=True):
        logits, labels, temperature = batch
        exact = Reference(logits, targets=labels, temperature=temperature, reduction="none", digits=digits)
        truths = (exact.probabilities, exact.loss, exact.logits_gradient)
        results = zip(of_service(*batch), of_scipy(*batch), of_peer, truths, strict=True)
        found.append([name, *(verdict(each, truth) for *values, truth in results for each in values)])
    return found


def main() -> None:
    """Rewrite the table of the page."""
    head = ["inputs", *(cell for quantity in QUANTITIES for cell in (quantity, "SciPy", "optax"))]
    measured = table(head, lines())
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(MEASURED.sub(lambda found: f"{found[1]}\n{measured}\n{found[2]}", text), encoding="utf-8")
    sys.stdout.write(measured)


if __name__ == "__main__":
    main()
