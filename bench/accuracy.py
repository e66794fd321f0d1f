"""python -m bench.accuracy: the digits of this service and of SciPy on the same inputs, as a Markdown table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from tests.operations.families import FAMILIES, ends, normal
from tests.operations.reference import DIGITS, Reference
from tests.operations.support import answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.operations.families import Floats
    from tests.operations.reference import Array

UNIT = 2.0**-53

SMALLEST_NORMAL = 2.0**-1022

HEAD = """\
Worst relative error in units of 2^-53, against the same formulas in many digits. Values beyond double range do not count.

| inputs | probability | SciPy | loss | SciPy | gradient | SciPy |
| --- | --- | --- | --- | --- | --- | --- |"""


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


def ours(logits: Floats, labels: Array, temperature: float) -> tuple[Floats, Floats, Floats]:
    """Return the values that the service computes."""
    names = ["probabilities", "loss", "logits_gradient"]
    request = {"targets": labels, "temperature": temperature, "reduction": "none", "outputs": names}
    answered = answer("gradient", logits=logits, **request)
    return answered["probabilities"], answered["loss"], answered["logits_gradient"]


def of_scipy(logits: Floats, labels: Array, temperature: float) -> tuple[Floats, Floats, Floats]:
    """Return the values of SciPy: softmax, -log_softmax at the label, softmax less one-hot."""
    rows = np.arange(len(logits))
    with np.errstate(over="ignore", invalid="ignore"):
        probabilities = special.softmax(logits / temperature, axis=1)
        losses = -special.log_softmax(logits / temperature, axis=1)[rows, labels]
    gradient = probabilities.copy()
    gradient[rows, labels] -= 1.0
    return probabilities, losses, gradient / temperature


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


def row(name: str, logits: Floats, temperature: float, digits: int) -> str:
    """Return a line of the table."""
    labels = ranked(logits)
    exact = Reference(logits, targets=labels, temperature=temperature, reduction="none", digits=digits)
    truths = (exact.probabilities, exact.loss, exact.logits_gradient)
    results = zip(ours(logits, labels, temperature), of_scipy(logits, labels, temperature), truths, strict=True)
    cells = [cell for mine, scipys, truth in results for cell in (verdict(mine, truth), verdict(scipys, truth))]
    return f"| {' | '.join([name, *cells])} |"


def main() -> None:
    """Print the table."""
    print(HEAD)  # noqa: T201 - the table is what this is for
    for each in inputs():
        print(row(*each))  # noqa: T201 - see above


if __name__ == "__main__":
    main()
