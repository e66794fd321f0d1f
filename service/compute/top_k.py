"""The k largest logits of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from service.arrays import Array, Integers


def top_k_classes(logits: Array, k: int) -> Integers:
    """Return (n, k) the classes of the k largest logits in falling order, -1 for an excluded one.

    Of equal logits the lowest class comes first, also where they compete for the last places.
    """
    rows, classes = logits.shape
    least = np.partition(logits, classes - k, axis=-1)[:, classes - k, None]
    # A NaN counts as the largest logit, so that every row has k: the check of values refuses it afterwards.
    chosen = ~(logits < least)
    if np.count_nonzero(chosen) > rows * k:
        above = logits > least
        is_tied = chosen & ~above
        places = k - np.count_nonzero(above, axis=-1, keepdims=True)
        chosen = above | (is_tied & (np.cumsum(is_tied, axis=-1) <= places))
    candidates = np.flatnonzero(chosen).reshape(rows, k)
    values = logits.reshape(-1)[candidates]
    order = np.argsort(-values, axis=-1, kind="stable")
    classes_in_order = np.take_along_axis(candidates, order, axis=-1) - np.arange(0, rows * classes, classes)[:, None]
    return np.where(np.take_along_axis(values, order, axis=-1) == -np.inf, -1, classes_in_order)
