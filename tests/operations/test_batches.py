"""Test that cuts, order and batch axes of requests do not change answers."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.compute.blocks import BLOCK_BYTES
from tests.operations.strategies import (
    ROUNDING,
    ROW_TENSORS,
    Floats,
    Request,
    by_rows,
    labelled,
    soft,
    taught,
    with_vector,
)
from tests.operations.support import NAMED, Answer, answer, assert_same, available, full_answer

if TYPE_CHECKING:
    from random import Random

BLOCK_ELEMENTS = BLOCK_BYTES // 8

targeted = labelled() | soft() | taught()

OF_ROWS = [
    "probabilities",
    "log_probabilities",
    "predictions",
    "log_normalizer",
    "entropy",
    "top_k_classes",
    "top_k_probabilities",
    "row_losses",
    "logits_gradient",
]
"""Outputs with rows, except those larger than the logits."""

SCALINGS: dict[str, Request] = {
    "plain": {},
    "scaled": {"temperature": 0.7, "softcap": 3.0, "label_smoothing": 0.1, "z_loss": 0.01},
}


def batch(count: int, classes: int) -> Request:
    """Return a labelled batch of N(0, 9) logits with weights."""
    generator = np.random.default_rng(classes)
    return {
        "logits": generator.normal(scale=3.0, size=(count, classes)),
        "targets": generator.integers(classes, size=count),
        "sample_weights": generator.random(count),
        "class_weights": generator.random(classes),
        "reduction": "sum",
        "top_k": 1,
    }


def pieces(request: Request, cuts: list[int]) -> Answer:
    """Return the joined answers to the rows between the cuts."""
    bounds = [0, *cuts, len(request["logits"])]
    answers = [
        answer("gradient", **by_rows(request, slice(start, stop)), outputs=OF_ROWS) for start, stop in pairwise(bounds)
    ]
    return {name: np.concatenate([each[name] for each in answers]) for name in OF_ROWS}


def unreduced(request: Request) -> Request:
    """Return the request with reduction "none", if it has a loss."""
    return request | {"reduction": "none"} if "probabilities_gradient" not in request else request


def row_outputs(request: Request) -> list[str]:
    """Return the names of the outputs with a row for each row of the logits."""
    return [name for name in available("gradient", **request) if NAMED["gradient"].named_outputs[name].has_rows]


def by_classes(request: Request, order: list[int]) -> Request:
    """Return the request with the classes in another order."""
    permuted = dict(request)
    for name in ("logits", "teacher_logits", "class_weights", "probabilities_gradient"):
        if name in request:
            permuted[name] = request[name][..., order]
    if "ignore_index" in request:
        labels = request["targets"]
        permuted["targets"] = np.where(labels < 0, labels, np.argsort(order)[labels])
    elif "targets" in request:
        permuted["targets"] = request["targets"][:, order]
    return permuted


def with_axes(request: Request, axes: tuple[int, ...]) -> Request:
    """Return the request with several batch axes in place of one."""
    return {
        name: value.reshape(*axes, *value.shape[1:]) if name in ROW_TENSORS else value
        for name, value in request.items()
    }


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("classes", [1, 2, 7, 8, 9, 63, 64, 65, 1000])
def test_a_row_does_not_know_its_batch(classes: int, scaling: str) -> None:
    request = batch(40, classes) | SCALINGS[scaling]
    assert_same(pieces(request, list(range(1, 40))), answer("gradient", **request, outputs=OF_ROWS))


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("classes", [2, 65])
@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_a_row_of_another_scale_leaves_the_bits_of_the_rest(factor: float, classes: int, scaling: str) -> None:
    request = batch(40, classes) | SCALINGS[scaling]
    request["logits"][3] *= factor
    assert_same(pieces(request, list(range(1, 40))), answer("gradient", **request, outputs=OF_ROWS))


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("classes", [1, 10, 1000, BLOCK_ELEMENTS + 1])
def test_blocks_do_not_show(classes: int, scaling: str) -> None:
    count = 6 * BLOCK_ELEMENTS // classes + 3
    request = batch(count, classes) | SCALINGS[scaling]
    assert_same(pieces(request, [1, count // 3, count - 1]), answer("gradient", **request, outputs=OF_ROWS))


@given(targeted | with_vector(), st.randoms(use_true_random=False))
def test_permuting_rows_permutes_their_outputs(request: Request, random: Random) -> None:
    request = unreduced(request)
    order = list(range(len(request["logits"])))
    random.shuffle(order)
    names = row_outputs(request)
    straight = answer("gradient", **request, outputs=names)
    permuted = answer("gradient", **by_rows(request, order), outputs=names)
    assert_same(permuted, {name: values[order] for name, values in straight.items()})


@given(targeted | with_vector(), st.randoms(use_true_random=False))
def test_permuting_classes_permutes_their_outputs(request: Request, random: Random) -> None:
    order = list(range(request["logits"].shape[1]))
    random.shuffle(order)
    names = ["probabilities", "log_probabilities", "logits_gradient"]
    straight = answer("gradient", **request, outputs=names)
    permuted = answer("gradient", **by_classes(request, order), outputs=names)
    for name in names:
        np.testing.assert_allclose(permuted[name], straight[name][:, order], rtol=1e-13, atol=ROUNDING)


@given(targeted, st.randoms(use_true_random=False))
def test_permuting_classes_keeps_the_loss(request: Request, random: Random) -> None:
    order = list(range(request["logits"].shape[1]))
    random.shuffle(order)
    names = ["loss", "denominator", "entropy", "log_normalizer"]
    straight, permuted = (answer("loss", **each, outputs=names) for each in (request, by_classes(request, order)))
    for name in names:
        np.testing.assert_allclose(permuted[name], straight[name], rtol=1e-13, atol=ROUNDING)


@given(targeted | with_vector())
def test_a_single_sample_is_a_batch_of_one(request: Request) -> None:
    names = row_outputs(request := unreduced(request))
    batch_of_one = answer("gradient", **by_rows(request, slice(1)), outputs=names)
    single = answer("gradient", **by_rows(request, 0), outputs=names)
    assert_same(single, {name: values[0] for name, values in batch_of_one.items()})


@given(targeted | with_vector(), st.sampled_from([(-1, 1), (1, -1), (1, -1, 1), (2, 2)]))
def test_any_rank_is_the_flat_batch(request: Request, axes: tuple[int, ...]) -> None:
    request = by_rows(unreduced(request), [0, -1, -1, 0])
    names = row_outputs(request)
    flat = answer("gradient", **request, outputs=names)
    shaped = answer("gradient", **with_axes(request, axes), outputs=names)
    assert_same(shaped, {name: values.reshape(*axes, *values.shape[1:]) for name, values in flat.items()})


@given(targeted, st.integers(0, 4), st.floats(0.5, 100.0))
def test_parts_with_a_common_denominator_add_up_to_the_whole(request: Request, cut: int, denominator: float) -> None:
    request = request | {"denominator": denominator, "outputs": ["loss", "temperature_gradient", "logits_gradient"]}
    whole = answer("gradient", **request)
    parts = [answer("gradient", **by_rows(request, rows)) for rows in (slice(cut), slice(cut, None))]
    for name in ("loss", "temperature_gradient"):
        np.testing.assert_allclose(sum(part[name] for part in parts), whole[name], rtol=1e-13, atol=1e3 * ROUNDING)
    gradients = np.concatenate([part["logits_gradient"] for part in parts])
    np.testing.assert_array_equal(gradients, whole["logits_gradient"])


def misaligned(values: Floats) -> Floats:
    """Return a copy in memory that starts at an odd address."""
    moved = np.frombuffer(b"\0" * 9 + values.tobytes(), np.uint8)[9:].view(values.dtype).reshape(values.shape)
    assert not moved.flags.aligned
    return moved


@pytest.mark.parametrize("classes", [3, 100])
@pytest.mark.parametrize("count", [1, 50])
def test_where_tensors_are_in_memory_changes_no_bit(count: int, classes: int) -> None:
    random = np.random.default_rng(0)
    layer: Request = {
        "inputs": random.normal(size=(count, 7)),
        "weights": random.normal(size=(classes, 7)),
        "bias": random.normal(size=classes),
    }
    weights: Request = {"class_weights": random.random(classes), "sample_weights": random.random(count)}
    targets = random.random((count, classes))
    requests: list[Request] = [
        layer | weights | {"targets": targets},
        layer | {"probabilities_gradient": targets},
        weights | {"logits": random.normal(size=(count, classes)), "targets": targets.argmax(axis=1)},
    ]
    for request in requests:
        moved = {name: misaligned(values) for name, values in request.items()}
        assert_same(full_answer("gradient", **moved), full_answer("gradient", **request))
