"""Test laws of all outputs for arbitrary logits."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.operations.strategies import (
    NUMBERS,
    ROUNDING,
    Floats,
    Request,
    anywhere,
    floats,
    labelled,
    logits,
    scaled,
    soft,
    taught,
    with_vector,
    without,
)
from tests.operations.support import answer, assert_no_nan, assert_same, full_answer

EPSILON = 2.0**-52

SMALLEST = 2.0**-1074
"""Smallest positive number."""

TINY = 1e-300
"""Smallest normal number. Smaller ones have fewer digits."""


# Shifts and scales


@given(
    arrays(np.float64, (3, 5), elements=st.integers(-500, 500)),
    st.integers(-(2**40), 2**40),
    st.floats(1e-3, 1e3).filter(lambda temperature: temperature != 1.0),
)
def test_shifting_integral_logits_keeps_bits_unless_taken_as_is(values: Floats, shift: int, temperature: float) -> None:
    outputs = ["probabilities", "log_probabilities", "entropy", "loss", "logits_gradient", "hessian"]
    request: Request = {"targets": [0, 1, 2], "temperature": temperature, "outputs": outputs}
    resting, shifted = (answer("gradient", logits=each, **request) for each in (values, values + shift))
    assert_same(shifted, resting)


@given(floats((2, 5), st.floats(-10.0, 10.0)), NUMBERS)
def test_shifting_logits_changes_no_more_than_their_rounding(values: Floats, shift: float) -> None:
    outputs = ["probabilities", "loss", "logits_gradient"]
    request: Request = {"targets": [0, 1], "reduction": "none", "outputs": outputs}
    resting, shifted = (answer("gradient", logits=each, **request) for each in (values, values + shift))
    for name in outputs:
        np.testing.assert_allclose(shifted[name], resting[name], rtol=256 * EPSILON)


@given(floats((2, 5)), NUMBERS)
def test_shifting_logits_shifts_the_log_normalizer(values: Floats, shift: float) -> None:
    resting, shifted = (answer("softmax", logits=each, outputs=["log_normalizer"]) for each in (values, values + shift))
    expected = resting["log_normalizer"] + shift
    np.testing.assert_allclose(shifted["log_normalizer"], expected, rtol=0.0, atol=256 * EPSILON)


@given(logits((3, 4)), st.integers(-20, 20))
def test_a_temperature_divides_the_logits(values: Floats, power: int) -> None:
    divided = values / 2.0**power
    outputs = ["probabilities", "log_probabilities", "predictions", "log_normalizer", "entropy"]
    # not `values`, since a quotient below normal range is rounded
    warm = answer("softmax", logits=divided * 2.0**power, temperature=3.0 * 2.0**power, outputs=outputs)
    assert_same(warm, answer("softmax", logits=divided, temperature=3.0, outputs=outputs))


@given(logits((3, 4)), st.integers(-20, 20))
def test_logits_taken_as_is_differ_at_most_by_distance_rounding(values: Floats, power: int) -> None:
    outputs = ["probabilities", "log_probabilities", "predictions"]
    divided = values / 2.0**power
    warm = answer("softmax", logits=values, temperature=2.0**power, outputs=outputs)
    plain = answer("softmax", logits=divided, outputs=outputs)
    np.testing.assert_array_equal(warm["predictions"], plain["predictions"])
    # exp(-gap) is 0 from a gap of 750
    gaps = np.minimum(divided.max(axis=1, keepdims=True) - divided, 750.0).max(axis=1, keepdims=True)
    allowed = np.broadcast_to((16.0 + gaps) * EPSILON, values.shape)
    for name in outputs[:2]:
        held = np.isfinite(plain[name])
        np.testing.assert_array_equal(np.isfinite(warm[name]), held)
        off = np.abs(warm[name][held] - plain[name][held])
        assert (off <= allowed[held] * np.abs(plain[name][held]) + TINY).all()


@given(scaled(), st.floats(1.0, 50.0))
def test_a_softcap_bounds_the_logits(request: Request, softcap: float) -> None:
    outputs = ["probabilities", "log_normalizer", "entropy"]
    capped = answer("softmax", **request | {"softcap": softcap}, outputs=outputs)
    sent = request["logits"]
    bounded = np.where(np.isneginf(sent), sent, softcap * np.tanh(sent / softcap))
    plain = answer("softmax", **without(request, "softcap") | {"logits": bounded}, outputs=outputs)
    for name in outputs:
        np.testing.assert_allclose(capped[name], plain[name], rtol=1e-11, atol=1e-11)


# Sums


@given(scaled())
def test_the_probabilities_of_a_row_sum_to_1(request: Request) -> None:
    probabilities = answer("softmax", **request)["probabilities"]
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0, rtol=0.0, atol=8 * EPSILON)


@given(labelled())
def test_the_gradient_of_a_label_sums_to_0_relative_to_its_size(request: Request) -> None:
    request = without(request, "softcap", "z_loss", "label_smoothing")
    gradient = answer("gradient", **request)["logits_gradient"]
    assert (np.abs(gradient.sum(axis=-1)) <= 8 * EPSILON * np.abs(gradient).sum(axis=-1) + TINY).all()


@given(labelled() | soft() | taught() | with_vector())
def test_every_gradient_but_that_of_the_z_loss_sums_to_0(request: Request) -> None:
    request = without(request, "softcap", "z_loss")
    if "probabilities_gradient" not in request:
        request["reduction"] = "sum"
    gradient = answer("gradient", **request)["logits_gradient"]
    np.testing.assert_allclose(gradient.sum(axis=-1), 0.0, rtol=0.0, atol=ROUNDING)


@given(scaled())
def test_the_columns_of_the_jacobian_sum_to_0(request: Request) -> None:
    jacobian = answer("softmax", **request, outputs=["jacobian"])["jacobian"]
    np.testing.assert_allclose(jacobian.sum(axis=-2), 0.0, rtol=0.0, atol=16 * EPSILON)


@given(labelled() | soft() | taught())
def test_the_hessian_is_symmetric(request: Request) -> None:
    hessian = answer("gradient", **without(request, "softcap"), outputs=["hessian"])["hessian"]
    np.testing.assert_allclose(hessian, hessian.swapaxes(-1, -2), rtol=4 * EPSILON, atol=TINY)


@given(labelled() | soft() | taught())
def test_the_losses_of_the_rows_add_up_to_the_sum(request: Request) -> None:
    rows = answer("loss", **request, reduction="none", outputs=["loss", "row_losses"])
    total = answer("loss", **request, reduction="sum")["loss"]
    np.testing.assert_array_equal(rows["loss"], rows["row_losses"])
    # below normal range each row is rounded by half of the smallest number
    rounding = rows["loss"].size * SMALLEST
    np.testing.assert_allclose(rows["loss"].sum(), total, rtol=8 * EPSILON, atol=rounding)


@given(labelled() | soft() | taught())
def test_the_mean_is_the_sum_over_the_denominator(request: Request) -> None:
    request = without(request, "z_loss") | {"outputs": ["loss", "logits_gradient", "denominator"]}
    mean, total = (answer("gradient", **request, reduction=each) for each in ("mean", "sum"))
    denominator = mean["denominator"]
    if denominator == 0.0:
        assert mean["loss"] == 0.0
        assert not mean["logits_gradient"].any()
        return
    np.testing.assert_array_equal(mean["loss"], total["loss"] / denominator)
    gradient = mean["logits_gradient"] * denominator
    np.testing.assert_allclose(gradient, total["logits_gradient"], rtol=8 * EPSILON, atol=ROUNDING)


@given(labelled(), st.floats(0.001, 0.1))
def test_the_mean_of_the_z_loss_is_over_the_sample_weights(request: Request, z_loss: float) -> None:
    request = without(request, "z_loss") | {"logits": np.maximum(request["logits"], -100.0)}
    outputs = ["loss", "log_normalizer", "denominator"]
    plain, penalized = (answer("loss", **request, z_loss=each, outputs=outputs) for each in (0.0, z_loss))
    counted = request["targets"] != request["ignore_index"]
    weights = np.where(counted, request.get("sample_weights", 1.0), 0.0)
    penalties = weights * z_loss * plain["log_normalizer"] ** 2
    expected = penalties.sum() / weights.sum() if plain["denominator"] else 0.0
    np.testing.assert_allclose(penalized["loss"] - plain["loss"], expected, rtol=1e-9, atol=ROUNDING)


# Equivalent requests


@pytest.mark.parametrize("scaling", [{}, {"temperature": 0.7, "softcap": 3.0, "z_loss": 0.01}], ids=["plain", "scaled"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [[], ["class_weights"], ["sample_weights"], ["class_weights", "sample_weights"]])
def test_a_one_hot_target_is_its_label_bit_for_bit(weights: list[str], smoothing: float, scaling: Request) -> None:
    generator = np.random.default_rng(6)
    values, labels = generator.normal(size=(100, 7)), generator.integers(7, size=100)
    values[:10, 0] = -np.inf
    tensors = {"class_weights": generator.random(7), "sample_weights": generator.random(100)}
    request = scaling | {name: tensors[name] for name in weights} | {"label_smoothing": smoothing, "reduction": "none"}
    outputs = ["loss", "row_losses", "logits_gradient", "accuracy"] + ([] if scaling else ["hessian"])
    label, one_hot = (
        answer("gradient", logits=values, targets=targets, **request, outputs=outputs)
        for targets in (labels, np.eye(7)[labels])
    )
    assert_same(one_hot, label)


@given(labelled() | soft() | taught())
def test_the_three_operations_agree_bit_for_bit(request: Request) -> None:
    gradient = full_answer("gradient", **request)
    loss = full_answer("loss", **request)
    scaling = {name: request[name] for name in ("logits", "temperature", "softcap") if name in request}
    softmax = full_answer("softmax", **scaling)
    assert softmax.keys() < loss.keys() < gradient.keys()
    assert_same({name: gradient[name] for name in loss}, loss)
    assert_same({name: loss[name] for name in softmax}, softmax)


@given(st.data())
def test_outputs_do_not_depend_on_other_outputs(data: st.DataObject) -> None:
    request = data.draw(labelled() | soft() | taught() | with_vector())
    full = full_answer("gradient", **request)
    others = data.draw(st.lists(st.sampled_from(list(full)), unique=True))
    # every option changes it, and one that changes no output is refused
    names = list(dict.fromkeys([*others, "logits_gradient"]))
    partial = answer("gradient", **request, outputs=names)
    assert list(partial) == names
    assert_same(partial, {name: full[name] for name in names})


@given(labelled() | soft() | taught() | with_vector() | anywhere())
def test_float32_is_float64_rounded_at_both_ends(request: Request) -> None:
    largest = np.finfo(np.float32).max
    for name, value in request.items():
        if isinstance(value, np.ndarray) and value.dtype == np.float64:
            request[name] = np.where(np.isinf(value), value, np.clip(value, -largest, largest))
    rounded = {
        name: value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype == np.float64 else value
        for name, value in request.items()
    }
    exact = full_answer("gradient", **rounded)
    with np.errstate(over="ignore"):
        expected = {
            name: values.astype(np.float32) if values.dtype == np.float64 else values for name, values in exact.items()
        }
    assert_same(full_answer("gradient", **request, dtype="float32"), expected)


@given(labelled() | soft() | taught() | with_vector())
def test_every_output_is_a_number(request: Request) -> None:
    assert_no_nan(full_answer("gradient", **request))


@given(labelled() | soft() | taught() | with_vector())
def test_a_request_is_left_as_it_was(request: Request) -> None:
    before = copy.deepcopy(request)
    full_answer("gradient", **request)
    for name, value in before.items():
        np.testing.assert_array_equal(request[name], value)
