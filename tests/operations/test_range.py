"""Test requests from the whole range of doubles, and laws of the scale of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from tests.operations.bounds import case
from tests.operations.reference import Reference
from tests.operations.strategies import anywhere, without
from tests.operations.support import answer, assert_no_nan, assert_same, available, full_answer
from tests.operations.sweep import parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.operations.strategies import Floats, Request

GENERATOR = np.random.default_rng(11)


@pytest.fixture(scope="module", autouse=True)
def windows() -> Iterator[None]:
    """Reject arrays of exponents of 64 bits, as NumPy does where a long of C has 32."""
    ldexp = np.ldexp

    def strict(mantissa: Any, exponent: Any) -> Floats:
        assert isinstance(exponent, int) or exponent.dtype.itemsize <= 4
        return ldexp(mantissa, exponent)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "ldexp", strict)
        yield


DIGITS = 2500
"""Decimal digits of 1 - p that show the least p which the largest weights bring back into double range."""


@example({"logits": np.array([[0.0, -np.inf]]), "targets": np.full((1, 2), 1.7e308), "temperature": 1e307})
@example({"logits": np.zeros((1, 2)), "probabilities_gradient": np.array([[-1.79e308, 1e307]]), "temperature": 5e307})
@example({"logits": np.zeros((1, 1)), "targets": np.full((1, 1), 1.7e308)})
@example(
    {
        "logits": np.array([[5.0, -3.0]]),
        "targets": np.array([0]),
        "temperature": 2e-309,
        "reduction": "sum",
        "class_weights": np.zeros(2),
    }
)
@given(anywhere())
@settings(max_examples=3 * settings().max_examples)
def test_finite_input_anywhere_gives_no_nan(request: Request) -> None:
    assert_no_nan(full_answer("gradient", **request))


LAYER: Request = {
    "inputs": np.ones((1, 1)),
    "weights": np.zeros((2, 1)),
    "targets": np.array([0]),
    "reduction": "sum",
}

TEACHER: Request = {"logits": np.array([[1480.0, 601.0]]), "sample_weights": np.array([1.7e308]), "reduction": "sum"}


@example({**TEACHER, "teacher_logits": TEACHER["logits"] - [1, 0]})
@example({**TEACHER, "teacher_logits": TEACHER["logits"] / 1480, "class_weights": np.array([1e-110, 1e147])})
@example(
    {
        "logits": np.array([[-1e97, 0.0, 0.0]]),
        "teacher_logits": np.array([[-5072.311732946678, 0.0, 0.0]]),
        "class_weights": np.array([1.7e308, 1.0, 1.0]),
        "temperature": 9.83002456287443,
    }
)
@example({"logits": np.array([[0.0, 3e4]]), "targets": np.array([[1e-262, 0.0]]), "temperature": 3e-311})
@example(
    {"logits": np.array([[400.0, 100.0]]), "targets": np.array([[0.0, 1e-300]]), "temperature": 5e-324, "softcap": 15.0}
)
@example({"logits": np.array([[9.0, 1.0]]), "probabilities_gradient": np.array([[1e197, 0.0]]), "softcap": 5e-324})
@example({"logits": np.array([[789.0, 0.0]]), "targets": np.array([[1.7e308, 1e-38]])})
@example(
    {"logits": np.array([[0.0, -1e300]]), "targets": np.array([[0, 1e-300]]), "class_weights": np.array([1, 3e-21])}
)
@example({"logits": np.array([[0.0, -1e300]]), "teacher_logits": np.array([[0.0, -744.9]]), "denominator": 1.0})
@example({"logits": np.array([[0.0, -714.0]]), "targets": np.array([[1e30, 0.0]]), "reduction": "sum"})
@example({"logits": np.array([[0.0, -714.0]]), "probabilities_gradient": np.array([[1e30, 0.0]])})
@example({"logits": np.array([[4e302, 3.9e302]]), "targets": np.array([0]), "temperature": 1e-300, "softcap": 1e300})
@example({**LAYER, "inputs": np.array([[1e300]]), "sample_weights": np.array([1e10]), "learning_rate": 1e-300})
@example(
    {
        **LAYER,
        "weights": np.array([[1.7e308], [-1.7e308]]),
        "targets": np.array([1]),
        "sample_weights": np.array([2.0]),
        "learning_rate": 1.7e308,
    }
)
@example({**LAYER, "inputs": np.array([[1e150]]), "sample_weights": np.array([1e-250]), "temperature": 1e100})
@example({**LAYER, "weights": np.array([[1e150], [2e150]]), "sample_weights": np.array([1e-250]), "temperature": 1e100})
@example(
    {
        "inputs": np.array([[1e200, 0.0], [1e-200, 3e-316], [-1e200, 1.0]]),
        "weights": np.array([[0.0, 4e150], [0.0, 3.0], [0.0, -1e-160]]),
        "bias": np.array([0.0, -740.0, -800.0]),
        "targets": np.array([0, 1, 2]),
        "sample_weights": np.array([1e-150, 1.0, 1e-320]),
        "reduction": "sum",
        "learning_rate": 1e300,
    }
)
@example(
    {
        "logits": np.array([[1.1991e-320, 1.0884e-320, -np.inf], [1.4871e-321, 1.1991e-320, 0.0]]),
        "targets": np.array([[1e-287, 2.5, 0.0], [4e306, 1e16, 1e-306]]),
        "label_smoothing": 0.5702545857952173,
        "temperature": 1e-323,
    }
)
@example(
    {
        "logits": np.array([[0.0, -1e120]]),
        "targets": np.array([[0.0, 2.1e-296]]),
        "class_weights": np.array([1.0, 9.9e-28]),
        "sample_weights": np.array([2.0**100]),
        "denominator": 2.0**-100,
    }
)
@given(anywhere(within=True))
@settings(max_examples=3 * settings().max_examples, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_output_anywhere_is_within_its_bound_0_or_infinite(request: Request) -> None:
    answered = full_answer("gradient", **request)
    assert_no_nan(answered)
    # The rounding of a layer is that of its logits.
    exact = case(Reference(**request | {"logits": answered["logits"]}, digits=DIGITS))
    assert {name: part for name, part in parts(answered, exact).items() if part > 1.0} == {}


@pytest.mark.parametrize("options", [{"reduction": "sum"}, {"denominator": 2.0}])
def test_infinite_losses_of_both_signs_are_an_infinite_loss(options: Request) -> None:
    logits = np.array([[0.0, -np.inf], [1.0, -np.inf], [2.0, 1.0]])
    request = {"logits": logits, "targets": np.array([1, 1, 0]), "sample_weights": np.array([2.0, -3.0, 1.0])}
    assert answer("loss", **request, **options, outputs=["loss"])["loss"] == np.inf


@example({"logits": np.array([[41.0, 0.0]]), "targets": np.array([[1.03471157e16, 1.0]])})
@given(anywhere())
def test_a_temperature_is_found_for_logits_anywhere(request: Request) -> None:
    request = {name: request[name] for name in ("logits", "inputs", "weights", "bias", "targets") if name in request}
    if "targets" not in request:
        request["targets"] = np.zeros(len(request["logits" if "logits" in request else "inputs"]), int)
    answered = full_answer("calibrate", **request)
    assert_no_nan(answered)
    assert 1e-6 <= answered["temperature"] <= 1e6
    # the loss before may be the largest double
    assert answered["loss"] * (1 - 1e-12) <= answered["loss_before"]


def weighted(**options: Any) -> Request:
    """Return a labelled batch with weights."""
    return {
        "logits": GENERATOR.normal(scale=3.0, size=(40, 7)),
        "targets": GENERATOR.integers(7, size=40),
        "sample_weights": GENERATOR.random(40),
        "class_weights": GENERATOR.random(7),
        "temperature": 0.7,
        **options,
    }


OPTIONS: dict[str, Request] = {
    "labels": weighted(),
    "z-loss": weighted(z_loss=0.1),
    "smoothed": weighted(label_smoothing=0.1),
    "probabilities": weighted(targets=GENERATOR.random((40, 7))),
}


def powers(weights: Floats) -> tuple[int, int]:
    """Return the least and the largest power of two whose products with the weights are doubles, exactly."""
    mantissas, exponents = np.frexp(weights[weights > 0.0])
    if not len(mantissas):
        return 0, 0
    digits = [len(f"{int(each * 2.0**53):b}".rstrip("0")) for each in mantissas]
    return -1074 - int((exponents - digits).min()), 1024 - int(exponents.max())


FAR: Request = {"logits": np.concatenate([np.zeros((2, 1)), GENERATOR.uniform(-700.0, -668.0, (2, 30))], axis=1)}
"""Probabilities that have other last bits if they are made of an `ExtendedSoftmax`."""

LARGEST = np.full(31, 1.7e308)


@example({**FAR, "targets": np.array([0, 1]), "class_weights": LARGEST}, 0.9)
@example({**FAR, "targets": np.array([0, 1]), "class_weights": LARGEST, "label_smoothing": 0.1}, 0.9)
@example({**FAR, "targets": np.array([0, 1]), "sample_weights": LARGEST[:2], "z_loss": 1e-3}, 0.5)
@example({**FAR, "teacher_logits": GENERATOR.random((2, 31)), "sample_weights": LARGEST[:2]}, 0.0)
@given(st.sampled_from(list(OPTIONS.values())) | anywhere(is_mean=True), st.floats(0.0, 1.0))
@settings(max_examples=3 * settings().max_examples)
def test_the_scale_of_weights_changes_no_bit_of_a_mean(request: Request, place: float) -> None:
    has_labels = "targets" in request and request["targets"].ndim == 1
    names = {"sample_weights", "class_weights"} if has_labels else {"sample_weights"}
    scaled = dict(request)
    for name in names & set(request):
        least, most = powers(request[name])
        scaled[name] = np.ldexp(request[name], round(least + place * (most - least)))
    outputs = [name for name in available("gradient", **request) if name not in {"denominator", "row_losses"}]
    assert_same(*(answer("gradient", **each, outputs=outputs) for each in (scaled, request)))


@pytest.mark.parametrize("kind", OPTIONS)
def test_duplicated_rows_change_a_mean_only_by_rounding(kind: str) -> None:
    request = OPTIONS[kind]
    twice = {
        name: np.concatenate([value, value]) if np.shape(value)[:1] == (40,) else value
        for name, value in request.items()
    }
    once, doubled = (answer("gradient", **each, outputs=["loss", "temperature_gradient"]) for each in (request, twice))
    for name, value in once.items():
        np.testing.assert_allclose(doubled[name], value, rtol=1e-14)


@pytest.mark.parametrize("classes", [1, 3, 7, 8, 63, 64, 65, 1000])
def test_padding_by_masked_classes_changes_no_bit(classes: int) -> None:
    generator = np.random.default_rng(classes)
    logits = generator.normal(scale=5.0, size=(6, classes))
    targets = generator.random((6, classes))
    places = np.sort(generator.permutation(classes + 9)[:classes])
    padded, padded_targets = np.full((6, classes + 9), -np.inf), np.zeros((6, classes + 9))
    padded[:, places], padded_targets[:, places] = logits, targets
    names = ["probabilities", "log_probabilities", "log_normalizer", "entropy", "loss", "logits_gradient"]
    names += ["temperature_gradient", "row_losses"]
    for options in ({}, {"label_smoothing": 0.1, "z_loss": 0.1, "temperature": 0.3}):
        request: Request = {**options, "outputs": names}
        plain = answer("gradient", logits=logits, targets=targets, **request)
        masked = answer("gradient", logits=padded, targets=padded_targets, **request)
        for name in ("probabilities", "log_probabilities", "logits_gradient"):
            masked[name] = masked[name][:, places]
        assert_same(masked, plain)


@pytest.mark.parametrize(("features", "classes"), [(1, 1), (3, 5), (64, 10), (100, 130), (1, 70_000), (70_001, 3)])
def test_a_row_of_a_layer_does_not_know_its_batch(features: int, classes: int) -> None:
    generator = np.random.default_rng(features)
    inputs = generator.normal(size=(70, features))
    layer = {"weights": generator.normal(size=(classes, features)), "bias": generator.normal(size=classes)}
    names = ["logits", "probabilities", "inputs_gradient"]
    request = {**layer, "reduction": "none", "outputs": names}
    targets = generator.integers(classes, size=70)
    together = answer("gradient", inputs=inputs, targets=targets, **request)
    for row in (0, 1, 31, 32, 63, 69):
        alone = answer("gradient", inputs=inputs[row], targets=int(targets[row]), **request)
        assert_same(alone, {name: values[row] for name, values in together.items()})


def test_a_row_beyond_the_range_does_not_know_its_batch() -> None:
    generator = np.random.default_rng(5)
    gaps = np.linspace(0.0, 300.0, 9)
    tensors = {
        "inputs": np.zeros((40, 3)),
        "targets": generator.integers(9, size=40),
        # Some rows are ordinary, others have a dL/dz below double range. The terms of each have about the same size.
        "sample_weights": np.where(generator.random(40) < 0.5, 1.0, 1e-300),
    }
    layer: Request = {"weights": generator.normal(size=(9, 3)) * np.exp(gaps + 50.0)[:, None], "bias": -gaps}
    request: Request = {**layer, "reduction": "none", "outputs": ["inputs_gradient"]}
    together = answer("gradient", **tensors, **request)["inputs_gradient"]
    assert (np.abs(together) > 0.0).all()
    for row in range(40):
        alone = answer("gradient", **{name: values[[row]] for name, values in tensors.items()}, **request)
        np.testing.assert_array_equal(alone["inputs_gradient"][0], together[row])


@example({**LAYER, "inputs": np.array([[1e10]]), "sample_weights": np.array([1e-320]), "learning_rate": 1e300})
@given(anywhere().filter(lambda request: "inputs" in request))
def test_a_gradient_does_not_depend_on_the_learning_rate(request: Request) -> None:
    plain = without(request, "learning_rate")
    names = available("gradient", **plain)
    with_step = answer("gradient", **request, outputs=[*names, "updated_weights"])
    del with_step["updated_weights"]
    assert_same(with_step, answer("gradient", **plain, outputs=names))


@pytest.mark.parametrize("count", [1000, 100_000])
def test_sums_over_many_equal_rows_keep_their_digits(count: int) -> None:
    row: Request = {
        "inputs": np.array([[0.3, 0.7]]),
        "weights": [[0.1, 0.2], [0.5, -0.3], [0.9, 0.4]],
        "bias": [0.1, 0, 0],
    }
    names = ["weights_gradient", "bias_gradient", "temperature_gradient"]
    one = answer("gradient", **row, targets=[1], reduction="sum", outputs=names)
    rows = row | {"inputs": np.repeat(row["inputs"], count, axis=0), "targets": [1] * count}
    many = answer("gradient", **rows, reduction="sum", outputs=names)
    for name, values in one.items():
        np.testing.assert_allclose(many[name], values * count, rtol=32 * 2.0**-53)


EXTREMES: dict[str, tuple[Request, str, Any]] = {
    "mean of two losses near the end of the range": (
        {"logits": [[1.7e308, 0.0]] * 2, "targets": [1, 1]},
        "loss",
        1.7e308,
    ),
    "weights whose sum overflows": (
        {"logits": [[0.0, 0.0]] * 2, "targets": [1, 1], "sample_weights": [1.7e308, 1.7e308]},
        "loss",
        np.log(2.0),
    ),
    "products of weights that underflow": (
        {"logits": [[0.0, 0.0]], "targets": [1], "sample_weights": [1e-200], "class_weights": [1e-200, 1e-200]},
        "loss",
        np.log(2.0),
    ),
    "a tiny loss with a large weight": (
        {"logits": [[690.0, 0.0]], "targets": [0], "sample_weights": [1e300], "reduction": "sum"},
        "loss",
        1e300 * np.exp(-690.0),
    ),
    "a loss below the range with a large weight": (
        {"logits": [[800.0, 0.0]], "targets": [0], "sample_weights": [1e300], "reduction": "sum"},
        "loss",
        1e300 * np.exp(-400.0) * np.exp(-400.0),
    ),
    "a probability below the range over a small temperature": (
        {"logits": [7.6e-28, 0.0], "targets": 0, "temperature": 1e-30},
        "logits_gradient",
        [-np.exp(-380.0) * 1e30 * np.exp(-380.0), np.exp(-380.0) * 1e30 * np.exp(-380.0)],
    ),
    "a probability near the end of the range with a small weight": (
        {"logits": [690.0, 0.0], "targets": 0, "class_weights": [1e-20, 1.0]},
        "logits_gradient",
        [-np.exp(-690.0), np.exp(-690.0)],
    ),
    "a label beyond the range": (
        {"logits": [1e308, -1e308], "targets": 1, "temperature": 1e-10},
        "temperature_gradient",
        -np.inf,
    ),
    "tiny logits under a tiny softcap": (
        {"logits": [1e-308, 0.0], "temperature": 1e-308, "softcap": 1e308, "targets": 0},
        "probabilities",
        [1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(1.0))],
    ),
    "spread mass": (
        {"logits": [0.0] * 1000, "probabilities_gradient": [1.0] + [0.0] * 999},
        "logits_gradient",
        [(1 - 1e-3) * 1e-3] + [-1e-6] * 999,
    ),
    "a step whose gradient overflows": (
        {**LAYER, "inputs": [[1e300]], "sample_weights": [1e10], "learning_rate": 1e-300},
        "updated_weights",
        [[5e9], [-5e9]],
    ),
    "a step from many rows whose sum overflows": (
        {
            "inputs": [[1.0]] * 100,
            "weights": [[0.0]] * 2,
            "bias": [0.0, 0.0],
            "targets": [0] * 100,
            "sample_weights": [1.7e308] * 100,
            "reduction": "sum",
            "learning_rate": 1e-308,
        },
        "updated_bias",
        [85.0, -85.0],
    ),
    "a gradient of weights from one below the range": (
        {**LAYER, "inputs": [[1e150]], "sample_weights": [1e-250], "temperature": 1e100},
        "weights_gradient",
        [[-5e-201], [5e-201]],
    ),
    "a gradient of inputs from one below the range": (
        {**LAYER, "inputs": [[0.0]], "weights": [[1e150], [2e150]], "sample_weights": [1e-250], "temperature": 1e100},
        "inputs_gradient",
        [[5e-201]],
    ),
    "a step that a large rate lifts into the range": (
        {**LAYER, "inputs": [[1e-200]], "sample_weights": [1e-200], "learning_rate": 1e300},
        "updated_weights",
        [[5e-101], [-5e-101]],
    ),
    "many subnormal exponentials": (
        {"logits": [0.0] + [-719.8] * 9999, "targets": 0},
        "loss",
        np.exp(-359.9) * 9999 * np.exp(-359.9),
    ),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_a_result_in_range_is_right_beyond_the_range(name: str) -> None:
    request, output, expected = EXTREMES[name]
    actual = answer("gradient", **request, outputs=[output])[output]
    np.testing.assert_allclose(actual, expected, rtol=2e-13)
