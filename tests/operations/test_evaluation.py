"""Test measures of predictions against other libraries, and at their edges."""

from __future__ import annotations

from math import exp, inf, log
from typing import Any

import numpy as np
import pytest
from scipy import special
from sklearn import metrics

from service.errors import InvalidOutputs
from tests.operations.support import answer, full_answer

Request = dict[str, Any]

MEASURES = ["top_k_accuracy", "brier_score", "perplexity", "expected_calibration_error"]

BINS = ["bin_counts", "bin_confidences", "bin_accuracies"]


def batch(seed: int, count: int = 200, classes: int = 6) -> Request:
    """Return logits and labels that include every class."""
    generator = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), generator.integers(classes, size=count - classes)])
    return {"logits": generator.normal(scale=2.0, size=(count, classes)), "targets": labels}


@pytest.mark.parametrize("seed", range(3))
def test_measures_agree_with_scikit_learn(seed: int) -> None:
    request = batch(seed)
    answered = answer("loss", **request, top_k=2, outputs=[*MEASURES, "probabilities", "target_log_probabilities"])
    probabilities, labels = answered["probabilities"], request["targets"]
    one_hot = np.eye(6)[labels]
    assert answered["top_k_accuracy"] == metrics.top_k_accuracy_score(labels, probabilities, k=2)
    np.testing.assert_allclose(answered["brier_score"], ((probabilities - one_hot) ** 2).sum(axis=1).mean(), rtol=1e-14)
    np.testing.assert_allclose(np.log(answered["perplexity"]), metrics.log_loss(labels, probabilities), rtol=1e-13)
    np.testing.assert_allclose(
        answered["target_log_probabilities"], np.log(probabilities[np.arange(200), labels]), rtol=1e-12
    )


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_bins_are_those_of_a_loop_over_the_rows(bins: int) -> None:
    request = batch(7)
    outputs = ["expected_calibration_error", *BINS, "probabilities", "predictions"]
    answered = answer("loss", **request, bins=bins, outputs=outputs)
    confidences = answered["probabilities"].max(axis=1)
    hits = answered["predictions"] == request["targets"]
    edges = np.linspace(0.0, 1.0, bins + 1)
    error = 0.0
    for index in range(bins):
        inside = (confidences > edges[index]) & (confidences <= edges[index + 1])
        assert answered["bin_counts"][index] == inside.sum()
        if inside.any():
            np.testing.assert_allclose(answered["bin_confidences"][index], confidences[inside].mean(), rtol=1e-14)
            np.testing.assert_allclose(answered["bin_accuracies"][index], hits[inside].mean(), rtol=1e-14)
            error += inside.mean() * abs(hits[inside].mean() - confidences[inside].mean())
    np.testing.assert_allclose(answered["expected_calibration_error"], error, rtol=1e-13)


def test_bins_of_parts_add_up_to_those_of_the_whole() -> None:
    request = batch(8)
    whole = answer("loss", **request, outputs=BINS)
    parts = [
        answer("loss", logits=request["logits"][rows], targets=request["targets"][rows], outputs=BINS)
        for rows in (slice(70), slice(70, None))
    ]
    counts = sum(part["bin_counts"] for part in parts)
    np.testing.assert_array_equal(counts, whole["bin_counts"])
    for name in ("bin_confidences", "bin_accuracies"):
        total = sum(part[name] * part["bin_counts"] for part in parts)
        np.testing.assert_allclose(total, whole[name] * whole["bin_counts"], rtol=1e-13)


def test_calibration_error_of_confident_rows_keeps_its_digits() -> None:
    logits = [[40.0, 0.0], [0.0, 300.0], [0.0, 20.0]]
    answered = answer("loss", logits=logits, targets=[0, 1, 1], outputs=["expected_calibration_error"])
    np.testing.assert_allclose(answered["expected_calibration_error"], (exp(-40) + 1 / (exp(20) + 1)) / 3, rtol=1e-15)


def test_a_confidence_at_the_end_of_a_bin_belongs_to_it() -> None:
    answered = answer("loss", logits=[[0.0, 0.0], [800.0, 0.0]], targets=[0, 0], bins=2, outputs=["bin_counts"])
    assert answered["bin_counts"].tolist() == [1, 1]


def test_rows_that_are_not_counted_have_no_part_in_measures() -> None:
    request = batch(9)
    some = {**request, "targets": np.where(np.arange(200) % 3, request["targets"], -100), "ignore_index": -100}
    counted = np.arange(200) % 3 > 0
    alone = {"logits": request["logits"][counted], "targets": request["targets"][counted]}
    with_others = answer("loss", **some, top_k=2, outputs=[*MEASURES, *BINS])
    without = answer("loss", **alone, top_k=2, outputs=[*MEASURES, *BINS])
    for name, value in without.items():
        np.testing.assert_allclose(with_others[name], value, rtol=1e-14)


@pytest.mark.parametrize("targets", [[], [-100, -100]], ids=["no rows", "all ignored"])
def test_measures_without_a_counted_row_are_neutral(targets: list[int]) -> None:
    request: Request = {"logits": np.zeros((len(targets), 2)), "targets": np.array(targets, int), "ignore_index": -100}
    answered = answer("loss", **request, top_k=1, outputs=[*MEASURES, *BINS])
    assert answered["perplexity"] == 1.0
    for name in ("top_k_accuracy", "brier_score", "expected_calibration_error", *BINS):
        assert not answered[name].any(), name


def test_ties_at_top_k_count_for_the_lowest_class() -> None:
    request: Request = {"logits": [[1.0, 1.0, 1.0]] * 3, "targets": [0, 1, 2], "top_k": 2}
    assert answer("loss", **request, outputs=["top_k_accuracy"])["top_k_accuracy"] == 2 / 3


def test_the_perplexity_of_equal_logits_is_the_number_of_classes() -> None:
    answered = answer(
        "loss", logits=np.zeros((5, 50)), targets=[3] * 5, reduction="sum", outputs=["loss", "perplexity"]
    )
    np.testing.assert_allclose(answered["perplexity"], 50.0, rtol=1e-14)


def test_the_perplexity_overflows_to_infinity() -> None:
    assert answer("loss", logits=[[0.0, 1e3]], targets=[0], outputs=["perplexity"])["perplexity"] == inf


def test_the_brier_score_keeps_the_digits_of_a_confident_row() -> None:
    score = answer("loss", logits=[[40.0, 0.0]], targets=[0], outputs=["brier_score"])["brier_score"]
    np.testing.assert_allclose(score, 2 * exp(-80.0), rtol=1e-14)


def test_target_log_probabilities_need_labels() -> None:
    with pytest.raises(InvalidOutputs):
        answer("loss", logits=[[0.0, 1.0]], targets=[[0.5, 0.5]], outputs=["target_log_probabilities"])


def test_top_k_log_probabilities_are_those_of_the_classes() -> None:
    answered = full_answer("softmax", logits=np.array([[1.0, -inf, 1.0], [0.0, 3.0, 1.0]]), top_k=3)
    assert answered["top_k_log_probabilities"][0].tolist() == [-log(2.0), -log(2.0), -inf]
    taken = np.take_along_axis(answered["log_probabilities"][1], answered["top_k_classes"][1], axis=0)
    np.testing.assert_array_equal(answered["top_k_log_probabilities"][1], taken)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_the_divergence_agrees_with_scipy(reduction: str) -> None:
    generator = np.random.default_rng(3)
    logits, targets = generator.normal(scale=3.0, size=(50, 6)), generator.random((50, 6))
    targets[:, 2] = 0.0
    weights = generator.random(50)
    request: Request = {"logits": logits, "targets": targets, "sample_weights": weights, "reduction": reduction}
    answered = answer("loss", **request, outputs=["kl_divergence", "row_kl_divergences"])
    rows = special.kl_div(targets, special.softmax(logits, axis=1)).sum(axis=1)
    np.testing.assert_allclose(answered["row_kl_divergences"], rows, rtol=1e-12)
    expected = {"mean": (weights * rows).sum() / weights.sum(), "sum": (weights * rows).sum(), "none": weights * rows}
    np.testing.assert_allclose(answered["kl_divergence"], expected[reduction], rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_divergence_of_nearly_equal_rows_is_small_not_negative(seed: int) -> None:
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(100, 20))
    probabilities = answer("softmax", logits=logits)["probabilities"]
    answered = answer("loss", logits=logits, targets=probabilities, outputs=["row_kl_divergences"])
    assert (answered["row_kl_divergences"] >= 0.0).all()
    assert (answered["row_kl_divergences"] < 1e-30).all()


def test_target_on_excluded_class_has_infinite_divergence() -> None:
    request: Request = {"logits": np.array([[0.0, -inf], [0.0, -inf]]), "targets": [[0.5, 0.5], [1.0, 0.0]]}
    assert answer("loss", **request, outputs=["row_kl_divergences"])["row_kl_divergences"].tolist() == [inf, 0.0]


def test_brier_score_is_finite_where_only_its_sum_overflows() -> None:
    answered = answer("loss", logits=np.zeros((200, 1)), targets=np.full((200, 1), 1e154), outputs=["brier_score"])
    np.testing.assert_allclose(answered["brier_score"], 1e308, rtol=1e-13)
    answered = answer("loss", logits=np.zeros((2, 1)), targets=[[1.6e154], [1.0]], outputs=["brier_score"])
    np.testing.assert_allclose(answered["brier_score"], 1.28e308, rtol=1e-13)
