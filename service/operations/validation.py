"""Validation of a request: presence of its fields, shapes of its tensors, and their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.errors import (
    ConflictingFields,
    EmptyAxis,
    ExcludedRow,
    InvalidLabel,
    InvalidOutputs,
    InvalidValue,
    MissingField,
    NonFiniteLogit,
    NumberOutOfRange,
    ShapeMismatch,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from service.arrays import Array, Floats, Integers, Mask, Shape
    from service.errors import Location
    from service.operations.spec import Axes, Input, Operation, Output

    Given = Mapping[str, Shape]
    """The items of a signature, by name."""

MAX_ERRORS = 20
"""Places that an error names."""


def check_presence(operation: Operation, given: Given) -> None:
    """Raises MissingField and ConflictingFields where the inputs and parameters given do not go together."""
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
            if needed not in given:
                raise MissingField(
                    f"{name} means nothing without {needed}; send both or neither.", ((name,), f"needs {needed}")
                )
    if "denominator" in given and "reduction" in given:
        raise ConflictingFields(
            "denominator divides the mean; leave it out, or set reduction to mean.", (("denominator",), "needs a mean")
        )


def check_outputs(operation: Operation, outputs: Sequence[str], given: Given) -> None:
    """Raises InvalidOutputs for an output named twice, and for one that the request cannot have."""
    if len(set(outputs)) < len(outputs):
        raise InvalidOutputs("outputs must name each output once.", (("outputs",), "names an output twice"))
    for index, name in enumerate(outputs):
        reason = unavailable_reason(operation.named_outputs[name], given)
        if reason is not None:
            raise InvalidOutputs(f"outputs cannot have {name} {reason}.", (("outputs", index), reason))


def unavailable_reason(output: Output, given: Given) -> str | None:
    """Why the request cannot have an output; None if it can."""
    for needed in output.needs:
        if needed == "target probabilities":
            rows = given["logits"] if "logits" in given else given["inputs"]
            if len(given.get("targets", ())) < len(rows):
                return "without targets that are class probabilities"
        elif needed not in given:
            return f"without {needed}"
    for excluded in output.unless:
        if excluded in given:
            return f"together with {excluded}"
    return None


def fit(inputs: Iterable[Input], shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """The length of every axis, as a tuple: those of the batch under `...`, the others one each.

    shapes: of the inputs that are there. They are read in order; the first that has an axis sets its length.

    Raises EmptyAxis for a tensor without classes or features, ShapeMismatch for one that fits none of its axes.
    """
    lengths: dict[str, Shape] = {}
    named: list[str] = []
    for each in inputs:
        shape = shapes.get(each.name)
        if shape is None:
            continue
        found = next(filter(None, (_match(axes, shape, lengths) for axes in each.axes)), None)
        if found is None:
            raise _mismatch(each, shape, lengths, named)
        for axis in ("K", "D"):
            if found.get(axis) == (0,):
                raise EmptyAxis(
                    f"{each.name} has no {'classes' if axis == 'K' else 'features'}; its shape is {_written(shape)}.",
                    ((each.name,), "is empty"),
                )
        lengths.update(found)
        named.append(f"{each.name} {_written(shape)}")
    return lengths


def _match(axes: Axes, shape: Shape, lengths: Mapping[str, Shape]) -> dict[str, Shape] | None:
    """The axis lengths that shape implies, if it agrees with the lengths known so far."""
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


def _mismatch(each: Input, shape: Shape, lengths: Mapping[str, Shape], named: Iterable[str]) -> ShapeMismatch:
    expected = " or ".join(_expected(axes, lengths) for axes in each.axes)
    beside = f" beside {', '.join(named)}" if named else ""
    return ShapeMismatch(
        f"{each.name} has shape {_written(shape)}; it must have shape {expected}{beside}.",
        ((each.name,), "has the wrong shape"),
    )


def _expected(axes: Axes, lengths: Mapping[str, Shape]) -> str:
    """The axes with the lengths that are known: (2, K)."""
    written = [str(length) for axis in axes for length in lengths.get(axis, (axis,))]
    return f"({', '.join(written)}{',' if len(written) == 1 else ''})"


def _written(shape: Shape) -> str:
    return str(shape)


def as_dtype(name: str, values: Array, dtype: str) -> Array:
    """values rounded to dtype. Raises NumberOutOfRange where a finite number has no finite neighbour in it."""
    if dtype == "float64":
        return values.astype(np.float64, order="C", copy=False)
    try:
        with np.errstate(over="raise"):
            return values.astype(np.float32, order="C", copy=False)
    except FloatingPointError:
        raise NumberOutOfRange(name, dtype) from None


def labels(targets: Array, classes: int, ignore_index: int | None) -> tuple[Integers, Mask | None]:
    """Class indices, flat, and which of them count (None: all); 0 stands in for one that does not.

    Raises InvalidLabel for a counted label that is no whole number from 0 to classes - 1.
    """
    if ignore_index is None and targets.dtype == np.int64 and targets.size:
        # as a number without a sign, a negative one is large
        unsigned = targets.view(np.uint64)
        if unsigned.item(unsigned.argmax()) < classes:
            return targets.ravel(), None
    counted = None if ignore_index is None else targets != ignore_index
    wrong = ~((targets >= 0) & (targets < classes))
    if targets.dtype.kind == "f":
        wrong |= targets != np.floor(targets)
    if counted is not None:
        wrong &= counted
    if wrong.any():
        places = _places("targets", wrong, targets.shape, "is not a class index")
        label = format(targets[wrong][0], "d" if targets.dtype.kind in "iu" else ".17g")
        raise InvalidLabel(
            f"{_at(places)} is {label}, which is not a class index; labels are whole numbers from 0 to {classes - 1}.",
            *places,
        )
    if counted is None or counted.all():
        return targets.ravel().astype(np.int64, copy=False), None
    return np.where(counted, targets, 0).ravel().astype(np.int64), counted.ravel()


def probabilities(targets: Floats) -> Floats:
    """Target probabilities (..., K) as rows (N, K). Raises InvalidValue for one that is negative or not finite."""
    wrong = ~((targets >= 0) & (targets < np.inf))
    if wrong.any():
        places = _places("targets", wrong, targets.shape, "is negative or not finite")
        raise InvalidValue(f"{_at(places)} must be finite and not negative; targets are probabilities here.", *places)
    return targets.reshape(-1, targets.shape[-1])


def rows_of_layer(inputs: Floats, counted: Mask | None, batch: tuple[int, ...]) -> Mask | None:
    """(N,) Rows of inputs (N, D) that are not counted and hold a NaN or an infinity; None if there are none.

    Raises InvalidValue for such a value in a row that is counted.
    """
    if np.isfinite(inputs).all():
        return None
    wrong = ~np.isfinite(inputs)
    offending = wrong if counted is None else wrong & counted[:, None]
    if offending.any():
        places = _places("inputs", offending, (*batch, inputs.shape[1]), "is not finite")
        raise InvalidValue(f"{_at(places)} is not finite; inputs must be finite numbers.", *places)
    return np.asarray(wrong.any(axis=1))


def rows_not_counted(logits: Array, counted: Mask) -> Array:
    """Logits (N, K) in which a row that is not counted and holds a NaN or +inf has every class excluded."""
    absent = ~counted & ~(logits.max(axis=1) < np.inf)
    return np.where(absent[:, None], -np.inf, logits) if absent.any() else logits


def logits_of_layer(logits: Floats, counted: Mask | None, batch: tuple[int, ...]) -> Floats:
    """As `rows_not_counted`, where -inf is an overflow too. Raises NonFiniteLogit for one in a row that is counted."""
    if np.isfinite(logits).all():
        return logits
    wrong = ~np.isfinite(logits)
    offending = wrong if counted is None else wrong & counted[:, None]
    if offending.any():
        places = _places("logits", offending, (*batch, logits.shape[1]), "overflows")
        raise NonFiniteLogit(f"{_at(places)} overflows; scale inputs, weights or bias down.", *places)
    return np.where(wrong.any(axis=1, keepdims=True), -np.inf, logits)


def maxima(largest: Floats, logits: Array, batch: tuple[int, ...]) -> None:
    """Raises NonFiniteLogit where the largest logit (N,) of a row is NaN or +inf."""
    if np.maximum.reduce(largest, initial=-np.inf) < np.inf:
        return
    places = _places("logits", ~(logits < np.inf), (*batch, logits.shape[1]), "is NaN or infinite")
    raise NonFiniteLogit(
        f'{_at(places)} is NaN or infinite; logits must be finite, or "-Infinity" to exclude a class.', *places
    )


def no_excluded_row(largest: Floats, counted: Mask | None, batch: tuple[int, ...]) -> None:
    """Raises ExcludedRow for a counted row that excludes every class: its largest logit, of (N,), is -inf."""
    if np.minimum.reduce(largest, initial=0.0) > -np.inf:
        return
    excluded = largest == -np.inf
    if counted is not None:
        excluded &= counted
    if excluded.any():
        places = _places("logits", excluded, batch, "excludes every class")
        raise ExcludedRow(f"{_at(places)} excludes every class; leave at least one in a row that has a loss.", *places)


def _places(name: str, wrong: Mask, shape: tuple[int, ...], message: str) -> list[tuple[Location, str]]:
    """The first places where wrong, a mask of that shape or flat, is set."""
    first = np.flatnonzero(wrong)[:MAX_ERRORS]
    return [((name, *(int(i) for i in np.unravel_index(index, shape))), message) for index in first]


def _at(places: list[tuple[Location, str]]) -> str:
    """The first place as it is written in code: logits[3, 17]."""
    name, *index = places[0][0]
    return f"{name}[{', '.join(map(str, index))}]" if index else str(name)
