"""The k largest logits of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.compute.rows import at, starts

if TYPE_CHECKING:
    from service.arrays import Array, Integers, Mask


GROUP = 32
"""Classes in a group, of which the first selection reads only the largest logit."""

LONG_ROW = 8_192
"""Classes from which on the first selection takes less time than a partition of the row."""


def top_k_classes(logits: Array, k: int) -> Integers:
    """Return (n, k) the classes of the k largest logits in falling order, -1 for an excluded one.

    Of equal logits the lowest class comes first, also where they compete for the last places.
    """
    rows, classes = logits.shape
    least = _kth_largest(logits, k)
    # a NaN counts as the largest logit, so that every row has k: the check of values refuses it afterwards
    chosen = ~(logits < least)
    if np.count_nonzero(chosen) > rows * k:
        above = logits > least
        is_tied = chosen & ~above
        places = k - np.count_nonzero(above, axis=-1, keepdims=True)
        chosen = above | (is_tied & (np.cumsum(is_tied, axis=-1) <= places))
    candidates = np.flatnonzero(chosen)
    values = logits.ravel().take(candidates)
    order = np.argsort(-values.reshape(rows, k), axis=-1, kind="stable") + starts(rows, k)[:, None]
    classes_in_order = candidates.take(order) - starts(rows, classes)[:, None]
    return np.where(values.take(order) == -np.inf, -1, classes_in_order)


def is_in_top_k(logits: Array, top: Integers, classes: Integers, k: int) -> Mask:
    """Return (n,) whether a class of each row is one of its `top_k_classes`; top: (n,) the first of these."""
    own = at(logits, classes)[:, None]
    above = _counts(logits > own)
    hits = (above < k) & (own[:, 0] > -np.inf)
    # equal logits may have taken the place
    rows = np.flatnonzero(hits & (classes != top))
    tied = rows[above[rows] + _counts(logits[rows] == own[rows]) > k]
    if len(tied):
        hits[tied] = (top_k_classes(logits[tied], k) == classes[tied, None]).any(axis=-1)
    return hits


def _counts(conditions: Mask) -> Integers:
    """Return (n,) how many of (n, K) conditions are true, in half the time of `count_nonzero`."""
    return np.add.reduce(conditions, axis=-1, dtype=np.int32)


def _kth_largest(logits: Array, k: int) -> Array:
    """Return (n, 1) the k-th largest logit of each row."""
    classes = logits.shape[1]
    groups = classes // GROUP
    if classes < LONG_ROW or groups < 4 * k:
        return np.partition(logits, classes - k, axis=-1)[:, classes - k, None]
    # the k-th largest of the maxima of groups is a lower bound, which few other logits exceed
    maxima = logits[:, : GROUP * groups].reshape(-1, GROUP, groups).max(axis=1)
    bounds = np.partition(maxima, groups - k, axis=-1)[:, groups - k]
    selected = [row[~(row < bound)] for row, bound in zip(logits, bounds, strict=True)]
    return np.array([[np.partition(row, -k)[-k]] for row in selected], logits.dtype).reshape(-1, 1)
