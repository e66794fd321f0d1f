"""What the README says of three lines of NumPy is so, and what it says of the service beside them."""

from __future__ import annotations

import re
from math import exp, isclose, isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from examples import train_digits

if TYPE_CHECKING:
    import httpx

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")

# the three lines are meant to go wrong
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def softmax(logits: Any) -> Any:
    """The first line, with the second."""
    exponentials = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def ask(http: httpx.Client, operation: str, **request: Any) -> Any:
    """The answer of the service."""
    return http.post(f"/{operation}", json=request).raise_for_status().json()


def test_the_readme_has_no_case_that_is_not_here() -> None:
    _, _, table = README.partition("| | three lines of NumPy | this service |\n| --- | --- | --- |\n")
    cases = re.findall(r"^\| (.+?) \|", table.partition("\n\n")[0], re.MULTILINE)
    assert cases == [
        "a confident row, say a gap of 40",
        "a masked class (-inf), soft targets",
        "every row ignored",
        "NaN in a row that is ignored",
        "label -1",
    ]


def test_a_confident_row(http: httpx.Client) -> None:
    p = softmax([40.0, 0.0])
    assert -np.log(p[0]) == 0
    assert p[0] - 1 == 0
    answer = ask(http, "gradient", logits=[40, 0], targets=0)
    assert isclose(answer["loss"], exp(-40), rel_tol=1e-14)
    assert answer["logits_gradient"] == pytest.approx([-exp(-40), exp(-40)], rel=1e-14)
    assert f"loss {exp(-40):.1e}" in README


def test_a_masked_class_with_soft_targets(http: httpx.Client) -> None:
    targets = [0.25, 0.0, 0.75]
    assert isnan(-(targets * np.log(softmax([2.0, -np.inf, 4.0]))).sum())
    masked = ask(
        http,
        "gradient",
        logits=[2, "-Infinity", 4],
        targets=targets,
        outputs=["loss", "probabilities", "logits_gradient"],
    )
    others = ask(http, "loss", logits=[2, 4], targets=[0.25, 0.75])
    assert masked["loss"] == others["loss"]
    assert masked["probabilities"][1] == masked["logits_gradient"][1] == 0


def test_every_row_ignored(http: httpx.Client) -> None:
    losses = -np.log(softmax(np.zeros((2, 3))))[:, 0]
    counted = np.zeros(2)
    assert isnan((losses * counted).sum() / counted.sum())
    answer = ask(
        http,
        "gradient",
        logits=[[0] * 3] * 2,
        targets=[-1, -1],
        ignore_index=-1,
        outputs=["loss", "denominator", "logits_gradient"],
    )
    assert answer == {"loss": 0, "denominator": 0, "logits_gradient": [[0] * 3] * 2}


def test_a_nan_in_a_row_that_is_ignored(http: httpx.Client) -> None:
    inputs, weights = np.array([[1.0, 2.0], [np.nan, 1.0]]), np.array([[0.5, 0.0], [0.0, 0.5]])
    gradient = (softmax(inputs @ weights.T) - np.eye(2)) * [[1.0], [0.0]]
    assert np.isnan(gradient.T @ inputs).any(axis=1).all()
    arrays = {"inputs": inputs, "weights": weights, "targets": np.array([0, -1])}
    answer = train_digits.ask(http, "gradient", arrays, "loss,weights_gradient", ignore_index=-1)
    alone = {"inputs": inputs[:1], "weights": weights, "targets": np.array([0])}
    expected = train_digits.ask(http, "gradient", alone, "loss,weights_gradient")
    np.testing.assert_array_equal(answer["weights_gradient"], expected["weights_gradient"])
    assert answer["loss"] == expected["loss"]


def test_label_minus_1(http: httpx.Client) -> None:
    p = softmax([2.0, 3.0, 4.0])
    assert -np.log(p[-1]) == -np.log(p[2])
    reply = http.post("/loss", json={"logits": [[2, 3, 4]], "targets": [-1]})
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["loc"] == ["targets", 0]
