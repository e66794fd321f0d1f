"""Test which shapes fit together, and the errors for other shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import EmptyAxis, ShapeMismatch
from service.operations import OPERATIONS
from service.operations.validation import axis_lengths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.operations.spec import Axes

Shape = tuple[int, ...]

GRADIENT = OPERATIONS[2]

lengths = st.fixed_dictionaries(
    {
        "...": st.lists(st.integers(0, 4), max_size=3).map(tuple),
        "K": st.tuples(st.integers(1, 5)),
        "D": st.tuples(st.integers(1, 5)),
    }
)


def fitted(**shapes: Shape) -> Mapping[str, Shape]:
    """Return the lengths of axes in tensors of these shapes."""
    return axis_lengths(GRADIENT.inputs, shapes)


def shape(axes: Axes, known: Mapping[str, Shape]) -> Shape:
    """Return the shape of axes with these lengths."""
    return tuple(length for axis in axes for length in known[axis])


@given(lengths, st.data())
def test_every_shape_of_the_description_fits(known: dict[str, Shape], data: st.DataObject) -> None:
    shapes = {each.name: shape(data.draw(st.sampled_from(each.axes)), known) for each in GRADIENT.inputs}
    assert fitted(**shapes) == known


@given(lengths, st.data())
def test_a_length_that_differs_is_refused_with_both_shapes(known: dict[str, Shape], data: st.DataObject) -> None:
    shapes = {each.name: shape(each.axes[-1], known) for each in GRADIENT.inputs}
    # logits and inputs set the lengths, so the error names the other tensor
    name = data.draw(st.sampled_from([name for name in list(shapes)[2:] if shapes[name]]))
    wrong = list(shapes[name])
    wrong[data.draw(st.integers(0, len(wrong) - 1))] += data.draw(st.integers(1, 3))
    with pytest.raises(ShapeMismatch) as refused:
        fitted(**{**shapes, name: tuple(wrong)})
    assert refused.value.locations[0][0] == (name,)
    assert f"{name} has shape {tuple(wrong)}; it must have shape" in refused.value.detail
    assert f"logits {shapes['logits']}" in refused.value.detail
    assert f" {shapes[name]}" in refused.value.detail


@given(lengths)
def test_a_tensor_with_an_axis_too_many_is_refused(known: dict[str, Shape]) -> None:
    for each in GRADIENT.inputs[1:]:
        longer = (*shape(max(each.axes, key=len), known), 1)
        with pytest.raises(ShapeMismatch):
            fitted(logits=shape(("...", "K"), known), **{each.name: longer})


@pytest.mark.parametrize(
    ("shapes", "sentence"),
    [
        (
            {"logits": (2, 3), "targets": (3,)},
            "targets has shape (3,); it must have shape (2,) or (2, 3) beside logits (2, 3).",
        ),
        (
            {"logits": (3,), "targets": (1,)},
            "targets has shape (1,); it must have shape () or (3,) beside logits (3,).",
        ),
        (
            {"inputs": (2, 4), "weights": (3, 5)},
            "weights has shape (3, 5); it must have shape (K, 4) beside inputs (2, 4).",
        ),
        (
            {"inputs": (2, 4), "weights": (3, 4), "bias": (4,)},
            "bias has shape (4,); it must have shape (3,) beside inputs (2, 4), weights (3, 4).",
        ),
        ({"logits": ()}, "logits has shape (); it must have shape (..., K)."),
        ({"inputs": ()}, "inputs has shape (); it must have shape (..., D)."),
    ],
    ids=["targets", "a single target", "weights", "bias", "a scalar for logits", "a scalar for inputs"],
)
def test_the_sentence_names_both_shapes(shapes: dict[str, Shape], sentence: str) -> None:
    with pytest.raises(ShapeMismatch) as refused:
        fitted(**shapes)
    assert refused.value.detail == sentence


@pytest.mark.parametrize(
    ("shapes", "name", "missing"),
    [
        ({"logits": (0,)}, "logits", "classes"),
        ({"logits": (2, 0)}, "logits", "classes"),
        ({"inputs": (2, 0), "weights": (3, 0)}, "inputs", "features"),
        ({"inputs": (2, 4), "weights": (0, 4)}, "weights", "classes"),
    ],
    ids=["no class", "no class in two rows", "no feature", "a layer without classes"],
)
def test_a_tensor_without_classes_or_features_is_refused(shapes: dict[str, Shape], name: str, missing: str) -> None:
    with pytest.raises(EmptyAxis) as refused:
        fitted(**shapes)
    assert refused.value.locations[0][0] == (name,)
    assert f"{name} has no {missing}" in refused.value.detail


def test_no_rows_at_all_fit() -> None:
    assert fitted(logits=(0, 3), targets=(0,), sample_weights=(0,)) == {"...": (0,), "K": (3,)}
