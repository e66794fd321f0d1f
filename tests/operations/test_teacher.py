"""The logits of a teacher in place of targets: t is their softmax, and p - t keeps its digits."""

from __future__ import annotations

from math import inf, log
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from scipy import special

from service.errors import (
    ConflictingFields,
    ExcludedRow,
    InvalidOutputs,
    MissingField,
    NonFiniteLogit,
    ServiceError,
    ShapeMismatch,
)
from tests.operations.bounds import case, of_divergence, of_teacher_terms, used
from tests.operations.reference import Reference
from tests.operations.strategies import taught
from tests.operations.support import answer, assert_no_nan, full_answer

if TYPE_CHECKING:
    from tests.operations.strategies import Request

DIVERGENCES = ["kl_divergence", "row_kl_divergences"]

SCALES = {"close": 1.0, "far": 10.0, "confident": 60.0, "very confident": 400.0}

OPTIONS: dict[str, Any] = {
    "plain": {},
    "temperature": {"temperature": 3.0},
    "softcap": {"softcap": 4.0, "temperature": 2.0},
    "smoothing": {"label_smoothing": 0.1},
    "weights": {"class_weights": [0.5, 1.0, 2.0, 0.0], "sample_weights": [1.0, 0.0, 2.0, 0.5, 3.0]},
    "sum": {"reduction": "sum", "z_loss": 0.1},
    "none": {"reduction": "none"},
    "denominator": {"denominator": 7.0, "sample_weights": [1.0, -1.0, 2.0, -0.5, 3.0]},
}


def pair(scale: float, noise: float, offset: float = 0.0) -> tuple[Any, Any]:
    """Return logits of a student and of its teacher, which differ by noise and an offset."""
    generator = np.random.default_rng(21)
    teacher = scale * generator.normal(size=(6, 5))
    return teacher + offset + noise * generator.normal(size=(6, 5)), teacher


@pytest.mark.parametrize("name", OPTIONS)
def test_teacher_has_the_outputs_of_its_probabilities(name: str) -> None:
    generator, options = np.random.default_rng(1), OPTIONS[name]
    logits, teacher = generator.normal(size=(5, 4)), 2.0 * generator.normal(size=(5, 4))
    probabilities = special.softmax(teacher / options.get("temperature", 1.0), axis=1)
    answered = full_answer("gradient", logits=logits, teacher_logits=teacher, **options)
    expected = full_answer("gradient", logits=logits, targets=probabilities, **options)
    assert expected.keys() - answered.keys() == {"targets_gradient"}
    for each, values in answered.items():
        np.testing.assert_allclose(values, expected[each], rtol=1e-11, atol=1e-14, err_msg=each)


@pytest.mark.parametrize("temperature", [1.0, 3.7, 1e3])
@pytest.mark.parametrize("offset", [0.0, 5.0, 1e6])
@pytest.mark.parametrize("noise", [1e-8, 1e-3, 1.0, 30.0])
@pytest.mark.parametrize("scale", SCALES)
def test_student_near_its_teacher_keeps_its_digits(scale: str, noise: float, offset: float, temperature: float) -> None:
    logits, teacher = pair(SCALES[scale], noise, offset)
    request: Request = {"logits": logits, "teacher_logits": teacher, "temperature": temperature, "reduction": "sum"}
    answered = answer("gradient", **request, outputs=["logits_gradient", "row_kl_divergences"])
    exact = case(Reference(**request))
    assert used(answered["logits_gradient"], exact.exact.logits_gradient, of_teacher_terms(exact)) <= 1.0
    assert used(answered["row_kl_divergences"], exact.exact.row_kl_divergences, of_divergence(exact)) <= 1.0


def test_nearly_equal_student_has_twelve_digits() -> None:
    logits, teacher = pair(1.0, 1e-8)
    outputs = ["logits_gradient", *DIVERGENCES, "brier_score"]
    answered = answer("gradient", logits=logits, teacher_logits=teacher, outputs=outputs)
    exact = Reference(logits, teacher_logits=teacher)
    for name in outputs:
        expected = np.asarray(getattr(exact, name)).astype(np.float64)
        np.testing.assert_allclose(answered[name], expected, rtol=1e-12, err_msg=name)


@given(taught())
def test_divergence_is_never_negative_or_nan(request: Request) -> None:
    answered = full_answer("gradient", **request)
    assert_no_nan(answered)
    assert (answered["row_kl_divergences"] >= 0.0).all()


def test_divergence_is_0_only_for_an_equal_student() -> None:
    teacher = np.array([[1.0, 2.0, -5.0]])
    outputs = [*DIVERGENCES, "logits_gradient"]
    answered = answer("gradient", logits=teacher, teacher_logits=teacher, outputs=outputs)
    assert not any(values.any() for values in answered.values())
    shifted = answer("gradient", logits=teacher + 3.0, teacher_logits=teacher, outputs=outputs)
    assert all((np.abs(values) < 1e-30).all() for values in shifted.values())
    one = np.nextafter(teacher, [[1.0, inf, -5.0]])
    assert answer("loss", logits=one, teacher_logits=teacher, outputs=["kl_divergence"])["kl_divergence"] > 0.0


@pytest.mark.parametrize("name", ["logits", "inputs", "weights", "bias"])
def test_gradient_with_a_teacher_is_the_derivative(name: str) -> None:
    generator = np.random.default_rng(4)
    layer: Request = {
        "inputs": generator.normal(size=(4, 2)),
        "weights": generator.normal(size=(3, 2)),
        "bias": generator.normal(size=3),
    }
    request: Request = {"logits": generator.normal(size=(4, 3))} if name == "logits" else layer
    request |= {"teacher_logits": generator.normal(size=(4, 3)), "temperature": 1.5, "label_smoothing": 0.1}
    gradient = answer("gradient", **request, outputs=[f"{name}_gradient"])[f"{name}_gradient"]
    for index in np.ndindex(gradient.shape):
        step = np.zeros(gradient.shape)
        step[index] = 2.0**-17
        above, below = (answer("loss", **request | {name: request[name] + each})["loss"] for each in (step, -step))
        np.testing.assert_allclose(gradient[index], (above - below) / 2.0**-16, rtol=1e-7, atol=1e-9)


def test_gradient_of_the_divergence_is_that_of_the_loss() -> None:
    generator = np.random.default_rng(5)
    request: Request = {"logits": generator.normal(size=(1, 4)), "teacher_logits": generator.normal(size=(1, 4))}
    gradient = answer("gradient", **request)["logits_gradient"]
    for index in range(4):
        step = np.zeros((1, 4))
        step[0, index] = 2.0**-17
        above, below = (
            answer("loss", **request | {"logits": request["logits"] + each}, outputs=["kl_divergence"])["kl_divergence"]
            for each in (step, -step)
        )
        np.testing.assert_allclose(gradient[0, index], (above - below) / 2.0**-16, rtol=1e-7)


def test_softcap_bounds_the_student_and_not_the_teacher() -> None:
    logits, teacher = np.array([[9.0, 0.0]]), np.array([[3.0, 0.0]])
    answered = answer("loss", logits=logits, teacher_logits=teacher, softcap=3.0, outputs=["loss"])["loss"]
    p = special.softmax([3.0 * np.tanh(3.0), 0.0])
    np.testing.assert_allclose(answered, -(special.softmax([3.0, 0.0]) * np.log(p)).sum(), rtol=1e-14)


def test_class_that_the_teacher_excludes_has_target_0() -> None:
    answered = full_answer("gradient", logits=[[1.0, 1.0, 1.0]], teacher_logits=[[0.0, -inf, 0.0]])
    np.testing.assert_allclose(answered["logits_gradient"], [[-1 / 6, 1 / 3, -1 / 6]], rtol=1e-15)
    np.testing.assert_allclose(answered["kl_divergence"], log(1.5), rtol=1e-14)


def test_class_that_the_student_alone_excludes_has_infinite_loss() -> None:
    answered = full_answer("gradient", logits=[[1.0, 2.0, 1.0]], mask=[1, 0, 1], teacher_logits=[[0.0, 0.0, 0.0]])
    assert answered["loss"] == answered["kl_divergence"] == inf
    np.testing.assert_allclose(answered["logits_gradient"], [[1 / 6, -1 / 3, 1 / 6]], rtol=1e-15)


def test_class_that_both_exclude_changes_nothing() -> None:
    request: Request = {"logits": [[1.0, 3.0]], "teacher_logits": [[0.5, 3.0]]}
    wider: Request = {"logits": [[1.0, -inf, 3.0]], "teacher_logits": [[0.5, -inf, 3.0]]}
    plain, masked = full_answer("gradient", **request), full_answer("gradient", **wider)
    for name in ("loss", *DIVERGENCES, "brier_score", "entropy"):
        np.testing.assert_array_equal(masked[name], plain[name], name)
    np.testing.assert_array_equal(masked["logits_gradient"][:, [0, 2]], plain["logits_gradient"])


@pytest.mark.parametrize("size", [1e308, -1e308])
def test_logits_at_the_ends_of_double_range_are_compared(size: float) -> None:
    answered = full_answer("gradient", logits=[[size, 0.0]], teacher_logits=[[-size, 0.0]])
    assert_no_nan(answered)
    np.testing.assert_array_equal(np.abs(answered["logits_gradient"]), [[1.0, 1.0]])


@pytest.mark.parametrize("weight", [1e-300, 1e300])
def test_weights_of_any_size_keep_the_digits_of_the_gradient(weight: float) -> None:
    logits, teacher = pair(400.0, 1e-3)
    request: Request = {"logits": logits, "teacher_logits": teacher, "sample_weights": np.full(6, weight)}
    answered = answer("gradient", **request, reduction="sum")["logits_gradient"]
    exact = Reference(**request, reduction="sum").logits_gradient.astype(np.float64)
    np.testing.assert_allclose(answered, exact, rtol=1e-12, atol=1e-306)


def test_empty_batch_has_no_loss() -> None:
    answered = full_answer("gradient", logits=np.empty((0, 3)), teacher_logits=np.empty((0, 3)))
    assert [float(answered[name]) for name in ("loss", "kl_divergence", "denominator")] == [0.0, 0.0, 0.0]


REFUSED: dict[str, tuple[type[ServiceError], Request, tuple[Any, ...], str]] = {
    "targets too": (ConflictingFields, {"targets": [0, 1]}, ("targets",), "not both"),
    "ignore_index": (MissingField, {"ignore_index": -1}, ("ignore_index",), "targets that are class indices"),
    "another shape": (ShapeMismatch, {"teacher_logits": [[1.0], [2.0]]}, ("teacher_logits",), "(2, 2)"),
    "NaN": (
        NonFiniteLogit,
        {"teacher_logits": [[1.0, 2.0], [np.nan, 1.0]]},
        ("teacher_logits", 1, 0),
        "teacher_logits must be finite",
    ),
    "a row without classes": (
        ExcludedRow,
        {"teacher_logits": [[1.0, 2.0], [-inf, -inf]]},
        ("teacher_logits", 1),
        "leave at least one",
    ),
    "gradient of the targets": (InvalidOutputs, {"outputs": ["targets_gradient"]}, ("outputs", 0), "teacher_logits"),
    "log-probability of a label": (
        InvalidOutputs,
        {"outputs": ["target_log_probabilities"]},
        ("outputs", 0),
        "without targets that are class indices",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_teacher_is_refused_with_the_place_and_the_mend(name: str) -> None:
    error, request, place, mend = REFUSED[name]
    teacher = np.array([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(ServiceError) as refused:
        answer("gradient", **{"logits": teacher, "teacher_logits": teacher, **request})
    assert type(refused.value) is error
    assert refused.value.locations[0][0] == place
    assert mend in refused.value.detail


def test_ignore_index_with_target_probabilities_is_refused() -> None:
    with pytest.raises(MissingField, match="ignore_index needs targets that are class indices"):
        answer("loss", logits=[[1.0, 2.0]], targets=[[0.5, 0.5]], ignore_index=-1)


def test_float32_rounds_both_logits_and_the_outputs() -> None:
    logits, teacher = pair(2.0, 1e-3)
    outputs = ["loss", "kl_divergence", "logits_gradient"]
    narrow = answer("gradient", logits=logits, teacher_logits=teacher, dtype="float32", outputs=outputs)
    rounded: Request = {"logits": logits.astype(np.float32), "teacher_logits": teacher.astype(np.float32)}
    wide = answer("gradient", **rounded, outputs=outputs)
    for name in outputs:
        assert narrow[name].dtype == np.float32
        np.testing.assert_array_equal(narrow[name], wide[name].astype(np.float32))
