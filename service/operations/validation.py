"""Validation of a request: presence of its fields, shapes of its tensors, and their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import (
    ConflictingFields,
    EmptyAxis,
    InvalidOutputs,
    InvalidParameter,
    MissingField,
    ShapeMismatch,
)
from service.operations.spec import TARGET_CLASSES, TARGET_PROBABILITIES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from service.arrays import Shape
    from service.operations.spec import Axes, Input, Operation, Output

    Given = Mapping[str, Shape]
    """The items of a signature, by name."""


def check_presence(operation: Operation, given: Given) -> None:
    """Raise MissingField or ConflictingFields if the given inputs and parameters do not go together."""
    for group in operation.alternatives:
        chosen = [name for name in group if name in given]
        if not chosen:
            raise MissingField(f"Send {' or '.join(group)}.", ((group[0],), "is missing"))
        if len(chosen) > 1:
            raise ConflictingFields(
                f"Send either {' or '.join(chosen)}, not both.", *(((name,), "excludes another") for name in chosen)
            )
    for name in given:
        for needed in operation.needs.get(name, ()):
            if not is_met(needed, given):
                is_other = name == "weights" and "class_weights" in operation.domains
                advice = (
                    "those of a loss are class_weights and sample_weights"
                    if is_other
                    else f"leave {name} out otherwise"
                )
                raise MissingField(f"{name} needs {needed}; {advice}.", ((name,), f"needs {needed}"))
    if "denominator" in given and "reduction" in given:
        raise ConflictingFields(
            "denominator divides the mean; leave it out, or set reduction to mean.", (("denominator",), "needs a mean")
        )


def check_outputs(operation: Operation, outputs: Sequence[str], given: Given) -> None:
    """Raise InvalidOutputs for an output named twice, or one that the request cannot have."""
    if len(set(outputs)) < len(outputs):
        raise InvalidOutputs("outputs must name each output once.", (("outputs",), "names an output twice"))
    for index, name in enumerate(outputs):
        reason = unavailable_reason(operation.named_outputs[name], given)
        if reason is not None:
            raise InvalidOutputs(f"outputs cannot have {name} {reason}.", (("outputs", index), reason))


def check_effects(operation: Operation, outputs: Collection[str], given: Given) -> None:
    """Raise InvalidParameter for an input or a parameter that changes none of the outputs."""
    for each in operation.described:
        if each.name not in given or not each.outputs or set(each.outputs) & set(outputs):
            continue
        changed = [
            output.name
            for output in operation.outputs
            if output.name in each.outputs and unavailable_reason(output, given) is None
        ]
        raise InvalidParameter(
            f"{each.name} changes only {', '.join(changed)}; name one of these in outputs, or leave {each.name} out.",
            ((each.name,), "changes none of the outputs"),
        )


def unavailable_reason(output: Output, given: Given) -> str | None:
    """Return the reason why the request cannot have an output, None if it can."""
    for needed in output.needs:
        if not is_met(needed, given):
            has_other = needed == TARGET_PROBABILITIES and "teacher_logits" not in output.unless
            return f"without {needed}{' or teacher_logits' if has_other else ''}"
    for excluded in output.unless:
        if excluded in given:
            return f"together with {excluded}"
    return None


def is_met(needed: str, given: Given) -> bool:
    """Return whether a request has what a field or an output needs: see `service.operations.spec.Input`."""
    if needed in (TARGET_CLASSES, TARGET_PROBABILITIES):
        if "targets" not in given:
            return needed == TARGET_PROBABILITIES and "teacher_logits" in given
        rows = given["logits"] if "logits" in given else given["inputs"]
        return (len(given["targets"]) < len(rows)) == (needed == TARGET_CLASSES)
    return any(name in given for name in needed.split(" or "))


def axis_lengths(inputs: Iterable[Input], shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return the length of every axis, as a tuple: all batch axes under `...`, one length under each other name.

    shapes: shapes of the inputs that are present, in order. The first input with an axis sets its length.

    Raises EmptyAxis for a tensor without classes or features, ShapeMismatch for one that fits none of its axes.
    """
    lengths: dict[str, Shape] = {}
    named: list[str] = []
    for tensor in inputs:
        shape = shapes.get(tensor.name)
        if shape is None:
            continue
        found = next(filter(None, (_match(axes, shape, lengths) for axes in tensor.axes)), None)
        if found is None:
            raise _mismatch(tensor, shape, lengths, named)
        for axis in ("K", "D"):
            if found.get(axis) == (0,):
                missing = "classes" if axis == "K" else "features"
                # an empty list is the batch without rows of a client that sends JSON
                empty_batch = f" A batch without rows has shape (0, {axis}), which .npy files and /v2 can send."
                hint = empty_batch if shape == (0,) else ""
                raise EmptyAxis(
                    f"{tensor.name} has no {missing}; its shape is {shape}.{hint}", ((tensor.name,), "is empty")
                )
        lengths.update(found)
        named.append(f"{tensor.name} {shape}")
    return lengths


def _match(axes: Axes, shape: Shape, lengths: Mapping[str, Shape]) -> dict[str, Shape] | None:
    """Return the axis lengths that a shape implies, or None where they contradict the known lengths."""
    fixed = len(axes) - ("..." in axes)
    split = len(shape) - fixed
    if split < 0 or (split > 0 and "..." not in axes):
        return None
    found: dict[str, Shape] = {}
    rest = iter(shape[split:])
    for axis in axes:
        found[axis] = shape[:split] if axis == "..." else (next(rest),)
        if lengths.get(axis, found[axis]) != found[axis]:
            return None
    return found


def _mismatch(tensor: Input, shape: Shape, lengths: Mapping[str, Shape], named: Iterable[str]) -> ShapeMismatch:
    expected = " or ".join(_expected(axes, lengths) for axes in tensor.axes)
    beside = f" beside {', '.join(named)}" if named else ""
    logits = (*lengths.get("...", ()), *lengths.get("K", ()))
    # PyTorch has the classes on the second axis
    is_second = tensor.name == "targets" and shape == (*logits[:1], *logits[2:])
    hint = " Move the classes to the last axis." if is_second else ""
    return ShapeMismatch(
        f"{tensor.name} has shape {shape}; it must have shape {expected}{beside}.{hint}",
        ((tensor.name,), "has the wrong shape"),
    )


def _expected(axes: Axes, lengths: Mapping[str, Shape]) -> str:
    """Return the axes with the known lengths filled in: (2, K)."""
    written = [str(length) for axis in axes for length in lengths.get(axis, (axis,))]
    return f"({', '.join(written)}{',' if len(written) == 1 else ''})"
