"""Test the faults that users of other implementations report."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.operations.support import answer, assert_no_nan, full_answer

if TYPE_CHECKING:
    import httpx

Request = dict[str, Any]

GENERATOR = np.random.default_rng(10)

LOGITS = GENERATOR.normal(size=(4, 3))
INPUTS = GENERATOR.normal(size=(4, 2))
LAYER: Request = {"weights": GENERATOR.normal(size=(3, 2)), "bias": GENERATOR.normal(size=3), "learning_rate": 0.1}

IGNORED = -100
EVERYTHING: Request = {
    "class_weights": [0.5, 1.0, 2.0],
    "sample_weights": [1.0, 2.0, 3.0, 4.0],
    "label_smoothing": 0.1,
    "z_loss": 0.1,
    "ignore_index": IGNORED,
}

by_reduction = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


@by_reduction
def test_batch_of_ignored_rows_has_loss_and_gradients_of_0(reduction: str) -> None:
    request = EVERYTHING | {"targets": [IGNORED] * 4, "reduction": reduction}
    answered = full_answer("gradient", inputs=INPUTS, **LAYER, **request)
    assert_no_nan(answered)
    for name in ("loss", "denominator", "accuracy", *(name for name in answered if name.endswith("_gradient"))):
        assert not answered[name].any(), name
    np.testing.assert_array_equal(answered["updated_weights"], LAYER["weights"])


@pytest.mark.parametrize("weights", ["class_weights", "sample_weights"])
def test_weights_of_0_have_a_mean_and_gradients_of_0(weights: str) -> None:
    request = {"targets": [0, 0, 0], "z_loss": 0.1, weights: [0.0, 0.0, 0.0]}
    answered = full_answer("gradient", logits=np.zeros((3, 3)), **request)
    assert_no_nan(answered)
    for name in ("loss", "denominator", "logits_gradient", "temperature_gradient"):
        assert not answered[name].any(), name


def test_a_denominator_of_0_from_the_caller_gives_0() -> None:
    answered = full_answer("gradient", logits=LOGITS, targets=[0, 1, 2, 0], denominator=0.0)
    for name in ("loss", "denominator", "logits_gradient", "temperature_gradient", "hessian"):
        assert not answered[name].any(), name


@by_reduction
@pytest.mark.parametrize("wrong", [nan, inf, -inf, [nan, 1.0, inf]], ids=str)
def test_what_an_ignored_row_of_logits_holds_reaches_nothing(wrong: Any, reduction: str) -> None:
    logits = LOGITS.copy()
    logits[1] = wrong
    request = EVERYTHING | {"targets": [0, IGNORED, 2, 1], "reduction": reduction}
    leaking = full_answer("gradient", logits=logits, **request)
    sound = full_answer("gradient", logits=LOGITS, **request)
    assert_no_nan(leaking)
    assert not leaking["logits_gradient"][1].any()
    assert not leaking["row_losses"][1]
    for name, values in sound.items():
        rows = [0, 2, 3] if values.shape[:1] == (4,) else ...
        np.testing.assert_array_equal(leaking[name][rows], values[rows], name)


@by_reduction
@pytest.mark.parametrize("wrong", [nan, inf, -inf, [nan, 1.0]], ids=str)
def test_what_an_ignored_row_of_inputs_holds_reaches_nothing(wrong: Any, reduction: str) -> None:
    inputs = INPUTS.copy()
    inputs[1] = wrong
    request = EVERYTHING | LAYER | {"targets": [0, IGNORED, 2, 1], "reduction": reduction}
    leaking = full_answer("gradient", inputs=inputs, **request)
    sound = full_answer("gradient", inputs=INPUTS, **request)
    assert_no_nan(leaking)
    assert not leaking["inputs_gradient"][1].any()
    assert not leaking["probabilities"][1].any()
    for name, values in sound.items():
        rows = [0, 2, 3] if values.shape[:1] == (4,) else ...
        np.testing.assert_array_equal(leaking[name][rows], values[rows], name)


def test_an_ignored_row_of_inputs_may_overflow_the_layer() -> None:
    layer: Request = {"weights": [[2.0, 2.0], [-2.0, 2.0]], "targets": [IGNORED, 0], "ignore_index": IGNORED}
    answered = full_answer("gradient", inputs=[[1e308, 1e308], [1.0, 1.0]], **layer)
    alone = full_answer("gradient", inputs=[[1.0, 1.0]], **layer | {"targets": [0]})
    assert_no_nan(answered)
    assert answered["probabilities"][0].tolist() == [0.0, 0.0]
    for name in ("loss", "weights_gradient"):
        np.testing.assert_array_equal(answered[name], alone[name])


@pytest.mark.parametrize("wrong", [nan, inf])
def test_rows_ignored_by_loss_are_ignored_in_probability_outputs(wrong: float) -> None:
    answered = full_answer("loss", logits=[[wrong, 0.0], [0.0, 0.0]], targets=[IGNORED, 0], ignore_index=IGNORED)
    assert answered["probabilities"].tolist() == [[0.0, 0.0], [0.5, 0.5]]
    assert answered["predictions"].tolist() == [-1, 0]


def test_smoothing_goes_with_ignored_rows_and_class_weights() -> None:
    targets, weights, smoothing = np.array([0, IGNORED, 2, 1]), np.array([0.5, 1.0, 2.0]), 0.1
    counted = np.array([0, 2, 3])
    log_p = np.log(np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True))
    smoothed = (1 - smoothing) * np.eye(3)[targets[counted]] + smoothing / 3
    expected = -(weights * smoothed * log_p[counted]).sum() / weights[targets[counted]].sum()
    answered = answer(
        "loss",
        logits=LOGITS,
        targets=targets,
        ignore_index=IGNORED,
        class_weights=weights,
        label_smoothing=smoothing,
    )
    np.testing.assert_allclose(answered["loss"], expected, rtol=1e-14)
    assert answered["denominator"] == weights[targets[counted]].sum()


def test_means_of_hard_and_soft_targets_differ_by_told_divisors() -> None:
    labels, weights = [0, 2, 1, 1], [0.5, 1.0, 2.0]
    hard, soft = (
        answer("loss", logits=LOGITS, targets=targets, class_weights=weights) for targets in (labels, np.eye(3)[labels])
    )
    assert hard["denominator"] == 4.5
    assert soft["denominator"] == 4.0
    np.testing.assert_allclose(hard["loss"] * 4.5, soft["loss"] * 4.0, rtol=1e-15)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_soft_targets_on_masked_logits_are_never_nan(smoothing: float) -> None:
    logits, targets = [[1.0, -inf, 2.0], [-inf, -inf, 0.0]], [[0.5, 0.0, 0.5], [0.0, 0.0, 1.0]]
    answered = full_answer("gradient", logits=logits, targets=targets, label_smoothing=smoothing)
    assert_no_nan(answered)
    assert np.isfinite(answered["logits_gradient"]).all()
    assert np.isfinite(answered["loss"])


def test_a_label_of_minus_one_is_not_the_last_class() -> None:
    request: Request = {"logits": LOGITS, "targets": [0, -1, 2, 1], "ignore_index": -1}
    assert answer("loss", **request)["loss"] != answer("loss", **request | {"targets": [0, 2, 2, 1]})["loss"]
    assert answer("loss", **request, outputs=["row_losses"])["row_losses"][1] == 0.0


@pytest.mark.parametrize("gap", [37.0, 40.0, 100.0, 700.0])
def test_a_confident_row_keeps_its_loss_and_its_gradient(gap: float) -> None:
    answered = answer("gradient", logits=[gap, 0.0], targets=0)
    tail = np.exp(-gap)
    np.testing.assert_allclose(answered["loss"], tail, rtol=1e-15)
    np.testing.assert_allclose(answered["logits_gradient"], [-tail, tail], rtol=1e-15)


def test_confident_row_in_float32_keeps_its_loss_and_gradient() -> None:
    answered = answer("gradient", logits=[40.0, 0.0], targets=0, dtype="float32")
    tail = np.float32(np.exp(-40.0))
    assert answered["loss"] == tail
    assert answered["logits_gradient"].tolist() == [-tail, tail]


async def test_a_masked_class_goes_through_json_both_ways(client: httpx.AsyncClient) -> None:
    request = {
        "logits": [[0, "-Infinity", 0]],
        "targets": [1],
        "outputs": ["loss", "log_probabilities", "probabilities"],
    }
    reply = await client.post("/loss", json=request)
    assert reply.status_code == 200
    answered = reply.json()
    assert answered["loss"] == "Infinity"
    assert answered["log_probabilities"][0][1] == "-Infinity"
    assert answered["probabilities"] == [[0.5, 0.0, 0.5]]
