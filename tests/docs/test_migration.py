"""Test the page on migration against SciPy, scikit-learn, three lines of NumPy and the service."""

from __future__ import annotations

import inspect
import re
from math import exp, isclose, isnan
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.special
import scipy.stats
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss

from examples import train_digits
from tests.connections import ask
from tests.docs.pages import ROOT, read

if TYPE_CHECKING:
    import httpx

PAGE = read(ROOT / "docs/migration.md")

LOGITS = [[2.0, 3.0, 4.0], [3.0, 1.0, -3.0], [0.5, 0.25, -0.5]]
LABELS = [1, 0, 2]
WEIGHTS = [1.0, 0.5, 2.0]

# the three lines overflow on purpose
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def softmax(logits: Any) -> Any:
    """Return the softmax of three lines of NumPy."""
    exponentials = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def close(expected: Any) -> Any:
    """Return a comparison that ignores the last digits."""
    return pytest.approx(np.asarray(expected), rel=1e-13)


def test_every_scipy_function_has_its_output(http: httpx.Client) -> None:
    outputs = {
        "probabilities": scipy.special.softmax(LOGITS, axis=-1),
        "log_probabilities": scipy.special.log_softmax(LOGITS, axis=-1),
        "log_normalizer": scipy.special.logsumexp(LOGITS, axis=-1),
        "entropy": scipy.stats.entropy(scipy.special.softmax(LOGITS, axis=-1), axis=-1),
    }
    answer = ask(http, "softmax", logits=LOGITS, outputs=list(outputs))
    for name, expected in outputs.items():
        assert np.asarray(answer[name]) == close(expected)
        assert f"output `{name}`" in PAGE


FUNCTIONS = {
    "log_loss": log_loss,
    "accuracy_score": accuracy_score,
    "scipy.special.softmax": scipy.special.softmax,
    "scipy.special.log_softmax": scipy.special.log_softmax,
    "scipy.special.logsumexp": scipy.special.logsumexp,
    "scipy.stats.entropy": scipy.stats.entropy,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_has_the_arguments_of_the_page(name: str) -> None:
    calls = re.findall(rf"`{re.escape(name)}\(([^)]+)\)`", PAGE)
    assert calls
    for call in calls:
        arguments = {argument.partition("=")[0] for argument in call.split(", ")}
        assert arguments <= set(inspect.signature(FUNCTIONS[name]).parameters)


def test_sklearn_log_loss_has_its_parameters(http: httpx.Client) -> None:
    probabilities = scipy.special.softmax(LOGITS, axis=-1)
    logs = np.log(probabilities).tolist()
    assert ask(http, "loss", logits=logs, targets=LABELS)["loss"] == close(log_loss(LABELS, probabilities))
    total = ask(http, "loss", logits=LOGITS, targets=LABELS, reduction="sum")["loss"]
    assert total == close(log_loss(LABELS, probabilities, normalize=False))
    weighted = ask(http, "loss", logits=LOGITS, targets=LABELS, sample_weights=WEIGHTS)["loss"]
    assert weighted == close(log_loss(LABELS, probabilities, sample_weight=WEIGHTS))


def test_sklearn_accuracy_is_the_output(http: httpx.Client) -> None:
    answer = ask(http, "loss", logits=LOGITS, targets=LABELS, outputs=["accuracy", "predictions"])
    assert answer["accuracy"] == close(accuracy_score(LABELS, answer["predictions"]))


@pytest.mark.parametrize("classes", [2, 3])
def test_sklearn_classifier_gives_the_same_probabilities(http: httpx.Client, classes: int) -> None:
    images, labels = load_digits(n_class=classes, return_X_y=True)
    model = LogisticRegression(C=0.01).fit(images, labels)
    scores, expected = model.decision_function(images[:5]), model.predict_proba(images[:5])
    logits = np.stack([np.zeros(5), scores], axis=1) if classes == 2 else scores
    assert np.asarray(ask(http, "softmax", logits=logits.tolist())["probabilities"]) == close(expected)
    if classes > 2:
        layer = {"inputs": images[:5], "weights": model.coef_, "bias": model.intercept_}
        lists = {name: values.tolist() for name, values in layer.items()}
        assert np.asarray(ask(http, "softmax", **lists)["probabilities"]) == close(expected)


def test_keras_mean_is_the_sum_over_the_number_of_rows(http: httpx.Client) -> None:
    rows = -np.log(softmax(np.array(LOGITS))[range(3), LABELS])
    request = {"logits": LOGITS, "targets": LABELS, "sample_weights": WEIGHTS, "denominator": 3}
    assert ask(http, "loss", **request)["loss"] == close((rows * WEIGHTS).sum() / 3)


def test_pytorch_mean_divides_by_the_weights_of_the_labels(http: httpx.Client) -> None:
    rows = -np.log(softmax(np.array(LOGITS))[range(3), LABELS])
    weights = np.array(WEIGHTS)[LABELS]
    answer = ask(http, "loss", logits=LOGITS, targets=LABELS, class_weights=WEIGHTS)
    assert answer["loss"] == close((rows * weights).sum() / weights.sum())


def test_pytorch_smoothing_spreads_over_weighted_classes(http: httpx.Client) -> None:
    losses = -np.log(softmax(np.array(LOGITS))) * WEIGHTS
    rows = 0.9 * losses[range(3), LABELS] + 0.1 / 3 * losses.sum(axis=1)
    request = {"logits": LOGITS, "targets": LABELS, "class_weights": WEIGHTS, "label_smoothing": 0.1}
    assert ask(http, "loss", **request)["loss"] == close(rows.sum() / np.array(WEIGHTS)[LABELS].sum())


def test_pytorch_mean_of_soft_targets_divides_by_the_rows(http: httpx.Client) -> None:
    targets = [[0.2, 0.3, 0.5]] * 3
    expected = -(np.array(targets) * np.log(softmax(np.array(LOGITS)))).sum() / 3
    assert ask(http, "loss", logits=LOGITS, targets=targets)["loss"] == close(expected)


def test_three_lines_have_no_case_that_is_not_here() -> None:
    _, _, table = PAGE.partition("| case | three lines of NumPy | this service |\n| --- | --- | --- |\n")
    assert re.findall(r"^\| (.+?) \|", table.partition("\n\n")[0], re.MULTILINE) == [
        "a confident row, with a gap of 40",
        "a masked class (-inf), soft targets",
        "every row ignored",
        "NaN in a row that is ignored",
        "label -1",
    ]


def test_confident_row_keeps_its_loss(http: httpx.Client) -> None:
    p = softmax([40.0, 0.0])
    assert -np.log(p[0]) == 0
    assert p[0] - 1 == 0
    answer = ask(http, "gradient", logits=[40, 0], targets=0)
    assert isclose(answer["loss"], exp(-40), rel_tol=1e-14)
    assert answer["logits_gradient"] == pytest.approx([-exp(-40), exp(-40)], rel=1e-14)
    assert f"loss {exp(-40):.1e}" in PAGE


def test_masked_class_with_soft_targets_has_a_loss(http: httpx.Client) -> None:
    targets = [0.25, 0.0, 0.75]
    assert isnan(-(targets * np.log(softmax([2.0, -np.inf, 4.0]))).sum())
    request = {"logits": [2, "-Infinity", 4], "targets": targets}
    masked = ask(http, "gradient", **request, outputs=["loss", "probabilities", "logits_gradient"])
    others = ask(http, "loss", logits=[2, 4], targets=[0.25, 0.75])
    assert masked["loss"] == others["loss"]
    assert masked["probabilities"][1] == masked["logits_gradient"][1] == 0


def test_batch_of_ignored_rows_has_loss_0(http: httpx.Client) -> None:
    losses = -np.log(softmax(np.zeros((2, 3))))[:, 0]
    counted = np.zeros(2)
    assert isnan((losses * counted).sum() / counted.sum())
    request = {"logits": [[0] * 3] * 2, "targets": [-1, -1], "ignore_index": -1}
    answer = ask(http, "gradient", **request, outputs=["loss", "denominator", "logits_gradient"])
    assert answer == {"loss": 0, "denominator": 0, "logits_gradient": [[0] * 3] * 2}


def test_nan_in_an_ignored_row_has_no_effect(http: httpx.Client) -> None:
    inputs, weights = np.array([[1.0, 2.0], [np.nan, 1.0]]), np.array([[0.5, 0.0], [0.0, 0.5]])
    gradient = (softmax(inputs @ weights.T) - np.eye(2)) * [[1.0], [0.0]]
    assert np.isnan(gradient.T @ inputs).any(axis=1).all()
    arrays = {"inputs": inputs, "weights": weights, "targets": np.array([0, -1])}
    answer = train_digits.ask(http, "gradient", arrays, "loss,weights_gradient", ignore_index=-1)
    alone = {"inputs": inputs[:1], "weights": weights, "targets": np.array([0])}
    expected = train_digits.ask(http, "gradient", alone, "loss,weights_gradient")
    np.testing.assert_array_equal(answer["weights_gradient"], expected["weights_gradient"])
    assert answer["loss"] == expected["loss"]


def test_label_minus_1_is_rejected(http: httpx.Client) -> None:
    p = softmax([2.0, 3.0, 4.0])
    assert -np.log(p[-1]) == -np.log(p[2])
    reply = http.post("/loss", json={"logits": [[2, 3, 4]], "targets": [-1]})
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["loc"] == ["targets", 0]
