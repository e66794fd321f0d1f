"""A mask excludes classes, with the same bits as "-Infinity" in the logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special

from service.errors import ExcludedRow, InvalidValue, NonFiniteLogit, ServiceError, ShapeMismatch
from tests.operations.strategies import floats, labelled, scaled, soft, taught, with_vector
from tests.operations.support import answer, assert_same, full_answer

if TYPE_CHECKING:
    from tests.operations.strategies import Request

LAYER: dict[str, Any] = {
    "inputs": [[1.0, 0.5], [-2.0, 0.25], [0.5, 3.0]],
    "weights": [[0.2, -0.4], [0.5, 0.3], [-0.1, 0.6], [1.0, -1.0]],
    "bias": [0.1, 0.2, 0.3, 0.4],
}
"""Three samples in front of a layer of four nodes."""

LONG = {
    "softmax": ["probabilities", "log_probabilities", "log_normalizer", "entropy", "predictions"],
    "gradient": ["loss", "row_losses", "logits_gradient", "brier_score"],
    "calibrate": ["temperature", "loss", "bin_counts"],
}
"""Outputs that are compared for many long rows."""

MASK = np.array([[True, False, True, True], [True, True, False, False], [False, True, True, True]])


def masked(data: st.DataObject, request: Request) -> tuple[Request, Request]:
    """Return a request with excluded classes, and the same with a mask and any logits in their place."""
    mask = request["logits"] > -np.inf
    hidden = data.draw(st.sampled_from([0.0, 1e308, -1e308, np.inf, np.nan, -np.inf]))
    sent = data.draw(st.sampled_from([mask, mask.astype(np.uint8), mask.astype(np.float64)]))
    return request, request | {"logits": np.where(mask, request["logits"], hidden), "mask": sent.view(_numeric(sent))}


def _numeric(mask: Any) -> Any:
    """Return the dtype of a mask as the formats read it."""
    return np.uint8 if mask.dtype == bool else mask.dtype


@given(st.data())
def test_mask_of_softmax_has_the_bits_of_minus_infinity(data: st.DataObject) -> None:
    plain, other = masked(data, data.draw(scaled()))
    assert_same(full_answer("softmax", **other, top_k=1), full_answer("softmax", **plain, top_k=1))


@given(st.data())
def test_mask_of_gradient_has_the_bits_of_minus_infinity(data: st.DataObject) -> None:
    plain, other = masked(data, data.draw(labelled() | soft() | taught() | with_vector()))
    assert_same(full_answer("gradient", **other), full_answer("gradient", **plain))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_mask_of_long_rows_has_the_bits_of_minus_infinity(dtype: str) -> None:
    generator = np.random.default_rng(1)
    logits, mask = generator.normal(size=(2000, 100)), generator.random((2000, 100)) < 0.7
    excluded = np.where(mask, logits, -np.inf)
    common: Request = {"dtype": dtype}
    for operation, outputs in LONG.items():
        if operation != "softmax":
            common["targets"] = excluded.argmax(axis=1)
        plain = answer(operation, logits=excluded, **common, outputs=outputs)
        assert_same(answer(operation, logits=logits, mask=mask.view(np.uint8), **common, outputs=outputs), plain)


@given(st.data(), arrays(np.bool_, 3))
def test_mask_of_one_axis_is_that_of_every_row(data: st.DataObject, mask: Any) -> None:
    mask[0] = True
    logits, shape = data.draw(floats((2, 2, 3))), (2, 2, 3)
    every = np.broadcast_to(mask, shape).astype(np.uint8)
    one = full_answer("gradient", logits=logits, targets=np.zeros((2, 2), int), mask=mask.view(np.uint8))
    assert_same(one, full_answer("gradient", logits=logits, targets=np.zeros((2, 2), int), mask=every))


@pytest.mark.parametrize("options", [{}, {"softcap": 2.0, "temperature": 0.5}, {"dtype": "float32"}], ids=str)
def test_mask_of_a_layer_applies_to_its_logits(options: Request) -> None:
    targets: Request = {"targets": [0, 1, 3], **options}
    layer = full_answer("gradient", **LAYER, **targets, mask=MASK.view(np.uint8), learning_rate=0.1)
    logits = answer("softmax", **LAYER, dtype=options.get("dtype", "float64"), outputs=["logits"])["logits"]
    alone = full_answer("gradient", logits=np.where(MASK, logits, -np.inf), **targets)
    assert not layer["logits_gradient"][~MASK].any()
    if "dtype" not in options:
        assert_same({name: layer[name] for name in alone}, alone)
    gradient = layer["logits_gradient"].astype(np.float64)
    rtol = 1e-6 if "dtype" in options else 1e-13
    np.testing.assert_allclose(layer["weights_gradient"], gradient.T @ np.array(LAYER["inputs"]), rtol, 1e-7)
    np.testing.assert_allclose(layer["inputs_gradient"], gradient @ np.array(LAYER["weights"]), rtol, 1e-7)


def test_weights_of_a_masked_class_change_nothing_and_stay() -> None:
    request: Request = {"targets": [0, 2, 3], "mask": [1, 0, 1, 1], "learning_rate": 0.5}
    huge = [[0.2, -0.4], [1.7e308, 1.7e308], [-0.1, 0.6], [1.0, -1.0]]
    plain, other = (
        full_answer("gradient", **LAYER, **request),
        full_answer("gradient", **LAYER | {"weights": huge}, **request),
    )
    assert other["updated_weights"][1].tolist() == huge[1]
    for name in plain.keys() - {"updated_weights"}:
        np.testing.assert_array_equal(other[name], plain[name], name)


def test_policy_gradient_with_a_mask_weighs_rows_by_advantage() -> None:
    generator = np.random.default_rng(6)
    logits, actions, advantages = generator.normal(size=(3, 4)), np.array([0, 1, 3]), np.array([2.0, -1.0, -0.5])
    request: Request = {"logits": logits, "mask": MASK.view(np.uint8), "targets": actions, "sample_weights": advantages}
    gradient = answer("gradient", **request, reduction="sum")["logits_gradient"]
    masked = np.where(MASK, logits, -np.inf)
    probabilities = special.softmax(masked, axis=1)
    np.testing.assert_allclose(gradient, advantages[:, None] * (probabilities - np.eye(4)[actions]), rtol=1e-14)
    assert not gradient[~MASK].any()


def test_ignored_row_may_mask_every_class() -> None:
    request: Request = {"logits": [[1.0, 2.0], [3.0, 4.0]], "mask": [[1, 1], [0, 0]], "ignore_index": -1}
    answered = full_answer("gradient", **request, targets=[0, -1])
    assert answered["loss"] == answer("loss", logits=[[1.0, 2.0]], targets=[0])["loss"]
    assert not answered["logits_gradient"][1].any()


def test_softmax_of_a_row_that_masks_every_class_is_0() -> None:
    answered = full_answer("softmax", logits=[[1.0, 2.0]], mask=[0, 0])
    assert answered["probabilities"].tolist() == [[0.0, 0.0]]
    assert answered["predictions"].tolist() == [-1]
    assert answered["log_normalizer"].tolist() == [-np.inf]


REFUSED: dict[str, tuple[type[ServiceError], Request, tuple[Any, ...], str]] = {
    "two": (InvalidValue, {"mask": [[1, 2], [1, 1]]}, ("mask", 0, 1), "is neither 0 nor 1"),
    "half": (InvalidValue, {"mask": [1, 0.5]}, ("mask", 1), "0 or false to exclude it"),
    "NaN": (InvalidValue, {"mask": np.array([1.0, np.nan])}, ("mask", 1), "is neither 0 nor 1"),
    "three classes": (ShapeMismatch, {"mask": [1, 1, 1]}, ("mask",), "must have shape (2, 2) or (2,)"),
    "a mask for each row": (ShapeMismatch, {"mask": [[1], [1]]}, ("mask",), "must have shape (2, 2) or (2,)"),
    "a row without classes": (ExcludedRow, {"mask": [[1, 1], [0, 0]]}, ("mask", 1), "leave at least one"),
    "no class at all": (ExcludedRow, {"mask": [0, 0]}, ("mask",), "leave at least one"),
    "a row without classes left": (
        ExcludedRow,
        {"mask": [1, 0], "logits": np.array([[1.0, 2.0], [-np.inf, 2.0]])},
        ("logits", 1),
        "leave at least one",
    ),
    "a logit that is kept": (
        NonFiniteLogit,
        {"mask": [1, 0], "logits": np.array([[1.0, np.nan], [np.nan, 2.0]])},
        ("logits", 1, 0),
        "is NaN or infinite",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_mask_is_refused_with_the_place_and_the_mend(name: str) -> None:
    error, request, place, mend = REFUSED[name]
    with pytest.raises(ServiceError) as refused:
        answer("loss", **{"logits": [[1.0, 2.0], [3.0, 4.0]], "targets": [0, 0], **request})
    assert type(refused.value) is error
    assert refused.value.locations[0][0] == place
    assert mend in refused.value.detail
