"""Validation of the values of a request, which takes a pass over its tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.errors import (
    MAX_ERRORS,
    ExcludedRow,
    InvalidLabel,
    InvalidTensor,
    InvalidValue,
    NonFiniteLogit,
    NumberOutOfRange,
    written,
)

if TYPE_CHECKING:
    from service.arrays import Array, Floats, Integers, Mask, Shape
    from service.errors import Location


def as_dtype(name: str, values: Array, dtype: str) -> Array:
    """Return the values rounded to dtype. Raise NumberOutOfRange if a finite number becomes infinite."""
    if dtype == "float64":
        return values.astype(np.float64, order="C", copy=False)
    try:
        with np.errstate(over="raise"):
            return values.astype(np.float32, order="C", copy=False)
    except FloatingPointError:
        with np.errstate(over="ignore"):
            wrong = np.isinf(values.astype(np.float32)) & np.isfinite(values)
        raise NumberOutOfRange(dtype, *places_of(name, wrong)) from None


def labels(targets: Array, classes: int, ignore_index: int | None) -> tuple[Integers, Mask | None]:
    """Return class indices (N,), 0 for a row that is not counted, and the counted rows, None for all.

    Raise InvalidLabel for a counted label that is not a whole number from 0 to classes - 1.
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
        places = places_of("targets", wrong)
        label = format(targets[wrong][0], "d" if targets.dtype.kind in "iu" else ".17g")
        hint = f", or set ignore_index to {label}" if label in ("-100", "-1", "255") else ""
        raise InvalidLabel(
            f"{written(places[0])} is {label}, which is not a class index; use 0 to {classes - 1}{hint}.",
            *((place, "is not a class index") for place in places),
        )
    if counted is None or counted.all():
        return targets.ravel().astype(np.int64, copy=False), None
    return np.where(counted, targets, 0).ravel().astype(np.int64), counted.ravel()


def probabilities(targets: Floats) -> Floats:
    """Return target probabilities (..., K) as rows (N, K). Raise InvalidValue for one that is negative or not finite."""
    if not targets.size or (targets.min() >= 0.0 and targets.max() < np.inf):
        return targets.reshape(-1, targets.shape[-1])
    wrong = ~((targets >= 0) & (targets < np.inf))
    advice = "class probabilities must be finite and at least 0."
    raise invalid("targets", wrong, "is negative or not finite", advice)


def sample_weights(weights: Floats, reduction: str, denominator: float | None) -> Floats:
    """Return weights (...) as (N,). Raise InvalidValue for a negative one if they are the divisor of a mean."""
    if reduction == "mean" and denominator is None and weights.size and weights.min() < 0.0:
        advice = "a mean divides by the sum of the weights: set reduction to sum or none, or send a denominator."
        raise invalid("sample_weights", weights < 0.0, "is negative", advice)
    return weights.reshape(-1)


def inputs_of_layer(inputs: Floats, counted: Mask | None, axes: Shape) -> Floats:
    """Return inputs (N, D) with 0 in the rows that are not counted and not finite.

    Raise InvalidValue for a NaN or an infinity in a row that is counted.
    """
    wrong = ~np.isfinite(inputs)
    offending = wrong if counted is None else wrong & counted[:, None]
    if offending.any():
        offending = offending.reshape(*axes, -1)
        raise invalid("inputs", offending, "is not finite", "inputs must be finite numbers.")
    return np.where(wrong.any(axis=1, keepdims=True), 0.0, inputs)


def rows_not_counted(logits: Array, counted: Mask) -> Array:
    """Return logits (N, K) with every class excluded in the rows that are not counted and hold a NaN or +inf."""
    absent = ~counted & ~(logits.max(axis=1) < np.inf)
    return np.where(absent[:, None], -np.inf, logits) if absent.any() else logits


def logits_of_layer(logits: Floats, counted: Mask | None, kept: Mask | None, axes: Shape) -> Floats:
    """Return logits (N, K) with every class excluded in the rows that are not finite.

    Raise NonFiniteLogit for an overflow in a counted row.

    kept: (N, K) or (1, K) the classes that may not overflow; None for all.
    """
    wrong = ~np.isfinite(logits) if kept is None else ~np.isfinite(logits) & kept
    offending = wrong if counted is None else wrong & counted[:, None]
    if offending.any():
        offending, advice = offending.reshape(*axes, -1), "scale inputs, weights or bias down."
        raise invalid("logits", offending, "overflows", advice, NonFiniteLogit)
    return np.where(wrong.any(axis=1, keepdims=True), -np.inf, logits)


def teacher_logits(logits: Floats) -> Floats:
    """Return logits (..., K) as rows (N, K). Raise NonFiniteLogit and ExcludedRow as for the logits of the student."""
    rows, axes = logits.reshape(-1, logits.shape[-1]), logits.shape[:-1]
    largest = rows.max(axis=1)
    check_maxima(largest, rows, axes, "teacher_logits")
    if (largest == -np.inf).any():
        raise _excluded_row("teacher_logits", largest == -np.inf, axes)
    return rows


def check_maxima(largest: Floats, logits: Array, axes: Shape, name: str = "logits") -> None:
    """Raise NonFiniteLogit if the largest logit (N,) of a row is NaN or +inf."""
    if np.maximum.reduce(largest, initial=-np.inf) < np.inf:
        return
    wrong = ~(logits < np.inf).reshape(*axes, -1)
    advice = f'{name} must be finite, or "-Infinity" to exclude a class.'
    raise invalid(name, wrong, "is NaN or infinite", advice, NonFiniteLogit)


def check_excluded_rows(largest: Floats, counted: Mask | None, mask: Array | None, axes: Shape) -> None:
    """Raise ExcludedRow if a counted row excludes every class: its largest logit, of (N,), is -inf.

    mask: as sent. The error names it instead of the logits, unless it is (K,) and keeps a class.
    """
    if np.minimum.reduce(largest, initial=0.0) > -np.inf:
        return
    excluded = largest == -np.inf
    if counted is not None:
        excluded &= counted
    if excluded.any():
        if mask is None or (mask.ndim == 1 and mask.any()):
            raise _excluded_row("logits", excluded, axes)
        raise _excluded_row("mask", excluded if mask.ndim > 1 else np.True_, mask.shape[:-1])


def _excluded_row(name: str, excluded: Mask | np.bool_, axes: Shape) -> InvalidTensor:
    """Return the error for rows of a tensor that exclude every class."""
    advice = "leave at least one in a row that has a loss."
    return invalid(name, np.reshape(excluded, axes), "excludes every class", advice, ExcludedRow)


def invalid(
    name: str, wrong: Mask, message: str, advice: str, error: type[InvalidTensor] = InvalidValue
) -> InvalidTensor:
    """Return the error for the values of a tensor where wrong, a mask of its shape, is set."""
    places = places_of(name, wrong)
    return error(f"{written(places[0])} {message}; {advice}", *((place, message) for place in places))


def places_of(name: str, wrong: Mask) -> list[Location]:
    """Return the first places where wrong, a mask of the shape of a tensor, is set."""
    return [(name, *map(int, np.unravel_index(index, wrong.shape))) for index in np.flatnonzero(wrong)[:MAX_ERRORS]]
