"""Combine the outputs of the parts of a batch, by the rules of docs/semantics.md, into those of the whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from service.operations import OPERATIONS
from tests.docs.pages import ROOT, read
from tests.operations.strategies import by_rows
from tests.operations.support import answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.operations.support import Answer

Request = dict[str, Any]

GRADIENT = OPERATIONS[2]

RULES = read(ROOT / "docs/semantics.md").split("## Parts of a batch")[1].split("\n## ")[0]

GENERATOR = np.random.default_rng(31)

COUNT, CLASSES = 60, 4

LAYER: Request = {"weights": GENERATOR.normal(size=(CLASSES, 3)), "bias": GENERATOR.normal(size=CLASSES)}

REQUESTS: dict[str, Request] = {
    "labels": {
        "inputs": GENERATOR.normal(size=(COUNT, 3)),
        **LAYER,
        "targets": np.where(GENERATOR.random(COUNT) < 0.2, -1, GENERATOR.integers(CLASSES, size=COUNT)),
        "ignore_index": -1,
        "sample_weights": GENERATOR.random(COUNT),
        "class_weights": GENERATOR.random(CLASSES),
    },
    "teacher": {
        "inputs": GENERATOR.normal(size=(COUNT, 3)),
        **LAYER,
        "teacher_logits": GENERATOR.normal(size=(COUNT, CLASSES)),
        "sample_weights": GENERATOR.random(COUNT),
        "temperature": 2.0,
        "z_loss": 0.1,
    },
}


def total(name: str) -> Callable[[list[Answer]], Any]:
    """Return the rule that adds an output up."""
    return lambda parts: sum(part[name] for part in parts)


def mean(name: str, weight: Callable[[Answer], Any]) -> Callable[[list[Answer]], Any]:
    """Return the rule of a mean of an output, weighted by part."""

    def combine(parts: list[Answer]) -> Any:
        weights = [weight(part) for part in parts]
        products = [part[name] * each for part, each in zip(parts, weights, strict=True)]
        return sum(products) / np.maximum(sum(weights), 1e-300)

    return combine


def counted(part: Answer) -> Any:
    """Return the number of counted rows of a part."""
    return part["bin_counts"].sum()


def perplexity(parts: list[Answer]) -> Any:
    """Return the exponential of the mean of the logarithms."""
    logarithms = [{"log": np.log(part["perplexity"]), "denominator": part["denominator"]} for part in parts]
    return np.exp(mean("log", lambda part: part["denominator"])(logarithms))


def calibration_error(parts: list[Answer]) -> Any:
    """Return the error of the bins of all parts."""
    counts = RULE["bin_counts"](parts)
    gaps = np.abs(RULE["bin_accuracies"](parts) - RULE["bin_confidences"](parts))
    return (counts * gaps).sum() / counts.sum()


RULE: dict[str, Any] = {
    "denominator": total("denominator"),
    "loss": mean("loss", lambda part: part["denominator"]),
    "kl_divergence": mean("kl_divergence", lambda part: part["denominator"]),
    "perplexity": perplexity,
    "accuracy": mean("accuracy", counted),
    "top_k_accuracy": mean("top_k_accuracy", counted),
    "brier_score": mean("brier_score", counted),
    "bin_counts": total("bin_counts"),
    "bin_confidences": mean("bin_confidences", lambda part: part["bin_counts"]),
    "bin_accuracies": mean("bin_accuracies", lambda part: part["bin_counts"]),
    "expected_calibration_error": calibration_error,
    **{name: mean(name, lambda part: part["denominator"]) for name in ("weights_gradient", "bias_gradient")},
    "temperature_gradient": mean("temperature_gradient", lambda part: part["denominator"]),
}
"""Rules for parts that each have their own mean."""

STEPS = ("updated_weights", "updated_bias")


def parts_of(request: Request, outputs: list[str], **options: Any) -> list[Answer]:
    """Return the answers for three parts of a batch."""
    cuts = (slice(0, 7), slice(7, 40), slice(40, None))
    inputs = {name: request[name] for name in ("inputs",)}
    rows = {name: value for name, value in request.items() if name not in inputs}
    return [
        answer("gradient", **by_rows(rows, cut), inputs=request["inputs"][cut], **options, outputs=outputs)
        for cut in cuts
    ]


def reduced() -> list[str]:
    """Return the outputs without a part for each row."""
    return [output.name for output in GRADIENT.outputs if not output.axes[0] or "..." not in output.axes[0]]


def test_every_reduced_output_has_a_rule_in_the_page_and_here() -> None:
    assert set(reduced()) == {*RULE, *STEPS}
    assert {name for name in reduced() if f"`{name}`" not in RULES} == set()
    assert set(re.findall(r"`(\w+_gradient|hessian)`", RULES)) >= {"logits_gradient", "inputs_gradient", "hessian"}


@pytest.mark.parametrize("kind", REQUESTS)
def test_means_of_parts_combine_to_those_of_the_whole(kind: str) -> None:
    request = REQUESTS[kind]
    names = [name for name in RULE if name != "kl_divergence" or "teacher_logits" in request]
    options: Request = {"top_k": 2, "bins": 5}
    whole = answer("gradient", **request, **options, outputs=names)
    parts = parts_of(request, names, **options)
    for name in names:
        np.testing.assert_allclose(RULE[name](parts), whole[name], rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("kind", REQUESTS)
def test_parts_with_the_denominator_of_the_whole_add_up(kind: str) -> None:
    request = REQUESTS[kind]
    denominator = sum(float(part["denominator"]) for part in parts_of(request, ["loss", "denominator"]))
    added = ["loss", "weights_gradient", "bias_gradient", "temperature_gradient"]
    rows = ["logits_gradient", "inputs_gradient", "row_losses", "hessian"]
    whole = answer("gradient", **request, outputs=[*added, *rows])
    parts = parts_of(request, [*added, *rows], denominator=denominator)
    for name in added:
        np.testing.assert_allclose(sum(part[name] for part in parts), whole[name], rtol=1e-12, err_msg=name)
    for name in rows:
        joined = np.concatenate([part[name] for part in parts])
        np.testing.assert_allclose(joined, whole[name], rtol=1e-13, err_msg=name)


def test_the_step_of_the_whole_follows_from_the_gradients() -> None:
    request = REQUESTS["labels"]
    rate = 0.5
    whole = answer("gradient", **request, learning_rate=rate, outputs=[*STEPS])
    parts = parts_of(request, ["weights_gradient", "bias_gradient", "denominator"])
    for name in ("weights", "bias"):
        step = rate * RULE[f"{name}_gradient"](parts)
        np.testing.assert_allclose(request[name] - step, whole[f"updated_{name}"], rtol=1e-12)
