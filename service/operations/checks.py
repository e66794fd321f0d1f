"""What can only be refused once the values are known and the rows are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from service.errors import ExcludedRow, InvalidLabel, InvalidValue, NonFiniteLogit, NumberOutOfRange

if TYPE_CHECKING:
    from service.compute.softmax import Floats, Integers
    from service.errors import Location

Mask = npt.NDArray[np.bool_]

MOST = 20
"""Places that a refusal names."""


def as_dtype(name: str, values: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    """values rounded to dtype. Raises NumberOutOfRange where a finite number has no finite neighbour in it."""
    if dtype == "float64":
        return values.astype(np.float64, order="C", copy=False)
    try:
        with np.errstate(over="raise"):
            return values.astype(np.float32, order="C", copy=False)
    except FloatingPointError:
        raise NumberOutOfRange(name, dtype) from None


def labels(targets: npt.NDArray[Any], classes: int, ignore_index: int | None) -> tuple[Integers, Mask | None]:
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


def rows_not_counted(logits: npt.NDArray[Any], counted: Mask) -> npt.NDArray[Any]:
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


def maxima(largest: Floats, logits: npt.NDArray[Any], batch: tuple[int, ...]) -> None:
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
    first = np.flatnonzero(wrong)[:MOST]
    return [((name, *(int(i) for i in np.unravel_index(index, shape))), message) for index in first]


def _at(places: list[tuple[Location, str]]) -> str:
    """The first place as it is written in code: logits[3, 17]."""
    name, *index = places[0][0]
    return f"{name}[{', '.join(map(str, index))}]" if index else str(name)
