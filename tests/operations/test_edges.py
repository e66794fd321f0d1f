"""Test edge cases: excluded classes, NaN, wrong labels, empty batches, and values out of range."""

from __future__ import annotations

from math import inf, log, nan
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from service.errors import (
    EmptyAxis,
    ExcludedRow,
    InvalidLabel,
    InvalidOutputs,
    InvalidParameter,
    InvalidValue,
    NonFiniteLogit,
    ServiceError,
)
from tests.operations.support import answer, assert_no_nan, assert_same, available, full_answer

if TYPE_CHECKING:
    from service.errors import Location

Request = dict[str, Any]

LAYER: Request = {"weights": [[1.0, 2.0], [0.0, 1.0], [-1.0, 0.5]], "bias": [0.0, 1.0, 2.0]}

SPELLINGS = pytest.mark.parametrize("excluded", ["-Infinity", -inf], ids=["as JSON spells it", "as a float"])

WITH_A_LOSS: dict[str, tuple[str, Request]] = {
    "loss": ("loss", {"targets": [0, 0]}),
    "soft loss": ("loss", {"targets": [[0.5, 0.5], [0.5, 0.5]]}),
    "gradient": ("gradient", {"targets": [0, 0]}),
    "a loss of one's own": ("gradient", {"probabilities_gradient": [[1.0, 2.0], [3.0, 4.0]]}),
}


def refusal(error: type[ServiceError], operation: str, **request: Any) -> ServiceError:
    """Return the error of a request."""
    with pytest.raises(ServiceError) as caught:
        answer(operation, **request)
    assert type(caught.value) is error
    return caught.value


def places(error: ServiceError) -> list[Location]:
    """Return the places that an error names."""
    return [location for location, _ in error.locations]


# Excluded classes


@SPELLINGS
def test_a_class_with_a_logit_of_minus_infinity_is_excluded(excluded: Any) -> None:
    masked = full_answer("softmax", logits=[1.0, excluded, 2.0])
    plain = full_answer("softmax", logits=[1.0, 2.0])
    assert masked["probabilities"][1] == 0.0
    assert masked["log_probabilities"][1] == -inf
    for name in ("probabilities", "log_probabilities"):
        np.testing.assert_array_equal(masked[name][[0, 2]], plain[name])
    for name in ("log_normalizer", "entropy"):
        assert masked[name] == plain[name]
    assert not masked["jacobian"][1].any()
    assert not masked["jacobian"][:, 1].any()


def test_an_excluded_class_stays_excluded_under_a_softcap() -> None:
    answered = full_answer("softmax", logits=[1.0, -inf, 2.0], softcap=0.5)
    assert answered["probabilities"][1] == 0.0
    assert answered["log_probabilities"][1] == -inf
    assert not answered["jacobian"][:, 1].any()


@pytest.mark.parametrize("softcap", [{}, {"softcap": 5.0}], ids=["plain", "softcap"])
def test_softmax_of_a_row_without_classes_is_0_everywhere(softcap: Request) -> None:
    answered = full_answer("softmax", logits=[[-inf, -inf], [0.0, 0.0]], top_k=1, **softcap)
    empty = {name: values[0] for name, values in answered.items()}
    assert empty["probabilities"].tolist() == [0.0, 0.0]
    assert empty["log_probabilities"].tolist() == [-inf, -inf]
    assert empty["predictions"] == -1
    assert empty["log_normalizer"] == -inf
    assert empty["entropy"] == 0.0
    assert empty["top_k_classes"].tolist() == [-1]
    assert empty["top_k_probabilities"].tolist() == [0.0]
    assert not empty["jacobian"].any()
    assert answered["probabilities"][1].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("kind", WITH_A_LOSS)
def test_a_row_without_classes_has_no_loss_and_is_named(kind: str) -> None:
    operation, request = WITH_A_LOSS[kind]
    error = refusal(ExcludedRow, operation, logits=[[1.0, 2.0], [-inf, -inf]], **request)
    assert places(error) == [("logits", 1)]
    assert "logits[1]" in error.detail


def test_row_without_classes_is_let_through_if_not_counted() -> None:
    request: Request = {"ignore_index": 9, "reduction": "sum", "z_loss": 0.1}
    answered = full_answer("gradient", logits=[[1.0, 2.0], [-inf, -inf]], targets=[0, 9], **request)
    alone = full_answer("gradient", logits=[[1.0, 2.0]], targets=[0], **request)
    assert_no_nan(answered)
    assert answered["loss"] == alone["loss"]
    assert not answered["logits_gradient"][1].any()


@pytest.mark.parametrize("softcap", [{}, {"softcap": 5.0}], ids=["plain", "softcap"])
@pytest.mark.parametrize("targets", [[1], [[0.0, 1.0, 0.0]]], ids=["label", "probabilities"])
def test_target_on_excluded_class_has_inf_loss_finite_gradient(targets: Any, softcap: Request) -> None:
    answered = full_answer("gradient", logits=[[1.0, -inf, 1.0]], targets=targets, **softcap)
    assert answered["loss"] == inf
    assert np.isfinite(answered["logits_gradient"]).all()
    assert np.isfinite(answered["temperature_gradient"])
    assert_no_nan(answered)
    if not softcap:
        assert answered["logits_gradient"].tolist() == [[0.5, -1.0, 0.5]]


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "beside another row"])
@pytest.mark.parametrize(
    "target",
    [
        {"targets": [[0.5, 0.5, 1e-310]], "class_weights": [1.0, 1.0, 1e-20]},
        {"teacher_logits": [[0.0, 1.0, -800.0]]},
        {"teacher_logits": [[0.0, 1.0, -800.0]], "temperature": 1e-2},
    ],
    ids=["weight", "teacher", "cold teacher"],
)
def test_target_below_double_range_on_excluded_class_is_inf(target: Request, others: int) -> None:
    more = [[0.0] * 3] * others
    request = {name: value + more if np.ndim(value) == 2 else value for name, value in target.items()}
    answered = full_answer("loss", logits=[[1.0, 2.0, -inf], *more], reduction="none", **request)
    assert answered["loss"][0] == inf
    assert answered["row_kl_divergences"][0] == inf


def test_class_of_weight_0_needs_no_probability() -> None:
    request: Request = {"logits": [[1.0, 2.0, -inf]], "targets": [[0.25, 0.25, 0.5]], "class_weights": [1.0, 1.0, 0.0]}
    assert np.isfinite(answer("loss", **request)["loss"])


def test_target_probability_0_on_excluded_class_adds_nothing() -> None:
    masked = full_answer("gradient", logits=[[1.0, -inf, 2.0]], targets=[[0.25, 0.0, 0.75]])
    plain = full_answer("gradient", logits=[[1.0, 2.0]], targets=[[0.25, 0.75]])
    assert masked["loss"] == plain["loss"]
    assert masked["logits_gradient"].tolist() == np.insert(plain["logits_gradient"], 1, 0.0, axis=1).tolist()
    assert_no_nan(masked)


# Logits that are not numbers


@pytest.mark.parametrize("wrong", [inf, nan])
@pytest.mark.parametrize("operation", ["softmax", "loss", "gradient"])
def test_logit_infinite_or_nan_is_refused_with_its_place(operation: str, wrong: Any) -> None:
    targets = {} if operation == "softmax" else {"targets": [0, 1]}
    error = refusal(NonFiniteLogit, operation, logits=[[1.0, -inf, 0.0], [2.0, wrong, wrong]], **targets)
    assert places(error) == [("logits", 1, 1), ("logits", 1, 2)]
    assert "logits[1, 1]" in error.detail


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("wrong", [inf, nan])
@pytest.mark.parametrize("classes", [2, 70, 9000])
def test_no_output_hides_a_logit_infinite_or_nan(classes: int, wrong: float, dtype: str) -> None:
    logits = np.zeros((3, classes))
    logits[1, 0] = wrong
    request: Request = {"logits": logits, "targets": [0, 1, 0], "dtype": dtype}
    asked: dict[str, Request] = {name: {} for name in available("gradient", **request)}
    for name in ("top_k_classes", "top_k_probabilities", "top_k_log_probabilities", "top_k_accuracy"):
        asked[name] = {"top_k": 2}
    for name, options in asked.items():
        if name not in ("jacobian", "hessian") or classes == 2:
            error = refusal(NonFiniteLogit, "gradient", **request, **options, outputs=[name])
            assert places(error) == [("logits", 1, 0)], name


def test_a_refusal_names_the_first_twenty_places_in_any_shape() -> None:
    error = refusal(NonFiniteLogit, "softmax", logits=np.full((2, 3, 4), nan))
    assert places(error) == [("logits", *np.unravel_index(index, (2, 3, 4))) for index in range(20)]


def test_a_wrong_logit_is_found_in_any_block() -> None:
    logits = np.zeros((40_000, 2))
    logits[39_999, 1] = nan
    assert places(refusal(NonFiniteLogit, "softmax", logits=logits)) == [("logits", 39_999, 1)]


@pytest.mark.parametrize("wrong", [inf, nan])
def test_layer_input_not_finite_is_refused_with_its_place(wrong: float) -> None:
    error = refusal(InvalidValue, "softmax", inputs=[[1.0, 2.0], [wrong, 0.0]], **LAYER)
    assert places(error) == [("inputs", 1, 0)]


def test_a_layer_that_overflows_is_refused() -> None:
    error = refusal(NonFiniteLogit, "softmax", inputs=[1e308, 1e308], **LAYER)
    assert places(error) == [("logits", 0)]


def test_wrong_logit_in_counted_row_is_refused_among_uncounted() -> None:
    error = refusal(NonFiniteLogit, "loss", logits=[[nan, 0.0], [0.0, nan]], targets=[-100, 0], ignore_index=-100)
    assert places(error) == [("logits", 1, 1)]


# Labels


@pytest.mark.parametrize("label", [-1, -3, -100, 3, 2**62])
@pytest.mark.parametrize("operation", ["loss", "gradient"])
def test_a_label_that_is_no_class_is_refused_and_never_wraps(operation: str, label: int) -> None:
    error = refusal(InvalidLabel, operation, logits=np.zeros((2, 2, 3)), targets=[[0, 1], [label, 2]])
    assert places(error) == [("targets", 1, 0)]
    assert f"targets[1, 0] is {label}" in error.detail


def test_nothing_is_ignored_without_ignore_index() -> None:
    refusal(InvalidLabel, "loss", logits=[[1.0, 2.0]], targets=[-100])


def test_a_class_can_be_the_label_to_ignore() -> None:
    answered = answer("loss", logits=np.zeros((3, 2)), targets=[0, 1, 1], ignore_index=1, outputs=["denominator"])
    assert answered["denominator"] == 1.0


@pytest.mark.parametrize("labels", [[1.0, 0.0], np.array([1, 0], np.uint8), np.array([1, 0], np.float32)])
def test_an_integral_label_of_any_type_is_accepted(labels: Any) -> None:
    request: Request = {"logits": [[1.0, 2.0], [3.0, 5.0]]}
    assert_same(full_answer("gradient", **request, targets=labels), full_answer("gradient", **request, targets=[1, 0]))


@pytest.mark.parametrize("label", [1.5, nan, inf, 2.0**70])
def test_a_label_that_is_not_a_class_index_is_refused(label: float) -> None:
    assert places(refusal(InvalidLabel, "loss", logits=[1.0, 2.0, 3.0], targets=np.array(label))) == [("targets",)]


# Few classes, few rows


@pytest.mark.parametrize("options", [{}, {"temperature": 0.3, "softcap": 2.0}, {"label_smoothing": 0.1}])
def test_a_single_class_is_certain(options: Request) -> None:
    answered = full_answer("gradient", logits=[[5.0], [-1e300]], targets=[0, 0], **options)
    assert answered["probabilities"].tolist() == [[1.0], [1.0]]
    assert answered["predictions"].tolist() == [0, 0]
    assert answered["loss"] == 0.0
    for name in ("log_probabilities", "entropy", "jacobian", "row_losses", "logits_gradient", "temperature_gradient"):
        assert not answered[name].any(), name


@pytest.mark.parametrize("logits", [[], [[]], [[], []], np.empty((2, 0)), np.empty((0, 0))], ids=str)
def test_logits_without_a_class_are_refused(logits: Any) -> None:
    assert places(refusal(EmptyAxis, "softmax", logits=logits)) == [("logits",)]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("targets", [np.empty(0, int), np.empty((0, 3))], ids=["labels", "probabilities"])
def test_no_rows_have_a_loss_of_0(targets: Any, reduction: str) -> None:
    answered = full_answer("gradient", logits=np.empty((0, 3)), targets=targets, reduction=reduction)
    for name in ("loss", "denominator", "accuracy", "temperature_gradient"):
        assert answered[name] == 0.0
        assert answered[name].shape == ()
    for name in ("probabilities", "log_probabilities", "logits_gradient"):
        assert answered[name].shape == (0, 3)
    assert answered["predictions"].shape == (0,)
    assert answered["hessian"].shape == (0, 3, 3)


def test_no_rows_without_a_reduction_have_no_losses() -> None:
    assert answer("loss", logits=np.empty((2, 0, 3)), targets=np.empty((2, 0)), reduction="none")["loss"].shape == (
        2,
        0,
    )


def test_no_rows_move_no_weights() -> None:
    answered = answer("gradient", inputs=np.empty((0, 2)), **LAYER, targets=np.empty(0, int), learning_rate=1.0)
    assert answered["updated_weights"].tolist() == LAYER["weights"]
    assert answered["updated_bias"].tolist() == LAYER["bias"]
    assert answered["inputs_gradient"].shape == (0, 2)


# Parameters and weights out of range


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("label_smoothing", [-0.1, 1.0, 1.5, nan, inf]),
        ("temperature", [0.0, -1.0, nan, inf]),
        ("softcap", [0.0, -1.0, nan, inf]),
        ("z_loss", [-0.1, nan, inf]),
        ("denominator", [-1.0, nan, inf]),
        ("reduction", ["average"]),
        ("dtype", ["float16"]),
    ],
)
def test_a_parameter_out_of_range_is_refused_by_name(name: str, values: list[Any]) -> None:
    for value in values:
        error = refusal(InvalidParameter, "loss", logits=[[1.0, 2.0]], targets=[0], **{name: value})
        assert places(error) == [(name,)]
        assert name in error.detail


@pytest.mark.parametrize(
    ("name", "weight"),
    [*(("class_weights", weight) for weight in (-1.0, nan, inf)), ("sample_weights", nan), ("sample_weights", inf)],
)
def test_weight_negative_or_not_finite_is_refused_by_name(name: str, weight: float) -> None:
    error = refusal(InvalidValue, "loss", logits=np.zeros((2, 2)), targets=[0, 1], **{name: [1.0, weight]})
    assert places(error) == [(name, 1)]


def test_negative_sample_weights_of_a_mean_are_refused() -> None:
    error = refusal(InvalidValue, "loss", logits=np.zeros((2, 2)), targets=[0, 1], sample_weights=[1.0, -1.0])
    assert places(error) == [("sample_weights", 1)]


@pytest.mark.parametrize("options", [{"reduction": "sum"}, {"reduction": "none"}, {"denominator": 2.0}])
def test_negative_sample_weights_negate_loss_and_gradient(options: Request) -> None:
    request: Request = {"logits": [[1.0, 2.0], [0.5, 0.0]], "targets": [0, 1], **options}
    outputs = ["loss", "logits_gradient", "row_losses"]
    positive = answer("gradient", **request, sample_weights=[1.0, 3.0], outputs=outputs)
    negative = answer("gradient", **request, sample_weights=[-1.0, -3.0], outputs=outputs)
    for name in outputs:
        np.testing.assert_array_equal(negative[name], -positive[name])


@pytest.mark.parametrize("probability", [-0.1, nan, inf])
def test_target_below_0_or_not_finite_is_refused_with_its_place(probability: float) -> None:
    error = refusal(InvalidValue, "loss", logits=np.zeros((2, 2)), targets=[[0.5, 0.5], [0.5, probability]])
    assert places(error) == [("targets", 1, 1)]


@pytest.mark.parametrize("top_k", [0, -1, 4])
def test_top_k_is_refused_below_1_and_above_the_classes(top_k: int) -> None:
    assert places(refusal(InvalidParameter, "softmax", logits=[1.0, 2.0, 3.0], top_k=top_k)) == [("top_k",)]


@pytest.mark.parametrize("outputs", [[], ["entropy", "entropy"], ["top_k_classes"], ["loss"]], ids=str)
def test_outputs_empty_repeated_or_unavailable_are_refused(outputs: list[str]) -> None:
    error = refusal(InvalidOutputs, "softmax", logits=[1.0, 2.0], outputs=outputs)
    assert places(error)[0][0] == "outputs"


# Predictions


def test_of_equal_logits_the_lowest_class_is_the_prediction() -> None:
    answered = answer("softmax", logits=[[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]], top_k=2)
    assert answered["predictions"].tolist() == [1, 0]
    assert answered["top_k_classes"].tolist() == [[1, 2], [0, 1]]


def test_many_equal_logits_are_named_in_order_of_classes() -> None:
    logits = np.tile([1.0, 2.0], 500)
    answered = answer("softmax", logits=logits, top_k=1000)
    assert answered["top_k_classes"].tolist() == [*range(1, 1000, 2), *range(0, 1000, 2)]


def test_top_classes_end_where_only_excluded_ones_are_left() -> None:
    answered = answer("softmax", logits=[-inf, 0.0, -inf, 0.0], top_k=3)
    assert answered["top_k_classes"].tolist() == [1, 3, -1]
    assert answered["top_k_probabilities"].tolist() == [0.5, 0.5, 0.0]


def test_accuracy_is_unweighted_share_of_right_counted_rows() -> None:
    request: Request = {"logits": [[2.0, 1.0], [2.0, 1.0], [1.0, 2.0], [1.0, 2.0]], "outputs": ["accuracy"]}
    assert answer("loss", **request, targets=[0, 1, 0, 0])["accuracy"] == 0.25
    assert answer("loss", **request, targets=[0, 1, 0, -1], ignore_index=-1)["accuracy"] == 1 / 3
    request["outputs"].append("loss")
    assert answer("loss", **request, targets=[0, 1, 0, 0], sample_weights=[9.0, 0.0, 1.0, 1.0])["accuracy"] == 0.25


def test_accuracy_of_target_probabilities_is_that_of_the_largest() -> None:
    targets = [[0.4, 0.6], [0.9, 0.8], [0.5, 0.5]]
    assert answer("loss", logits=[[2.0, 1.0]] * 3, targets=targets, outputs=["accuracy"])["accuracy"] == 2 / 3


# float32 and float16


def test_rows_are_added_up_in_float64() -> None:
    logits = np.zeros((1001, 2), np.float32)
    logits[0] = [0.0, 2.0**25]
    total = answer("loss", logits=logits, targets=np.zeros(1001, int), reduction="sum", dtype="float32")["loss"]
    assert total == np.float32(2.0**25 + 1000 * log(2.0))


def test_a_sum_of_float16_logits_does_not_overflow() -> None:
    logits = np.full((200, 2), [0.0, 1000.0], np.float16)
    total = answer("loss", logits=logits, targets=np.zeros(200, int), reduction="sum", dtype="float32")["loss"]
    assert total == 200_000.0
