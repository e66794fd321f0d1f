"""Rows in blocks that stay in the cache, whatever the size of the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from service.compute.softmax import Softmax

BLOCK_ELEMENTS = 16_384
"""Logits in a block: 128 kB of float64, so that the handful of arrays of its size share a 1 MB L2 cache."""


def evaluate(
    block: Callable[[slice], Softmax], shape: tuple[int, int], quantities: Collection[str]
) -> dict[str, npt.NDArray[Any]]:
    """The named quantities of all rows, each an array with N rows, computed a block of rows at a time.

    block: makes the rows of a slice; shape: (N, K) of the logits.
    """
    count, classes = shape
    length = max(1, BLOCK_ELEMENTS // classes)
    collected: dict[str, npt.NDArray[Any]] = {}
    for start in range(0, max(count, 1), length):
        rows = block(slice(start, start + length))
        for name in quantities:
            values = getattr(rows, name)
            if count <= length:
                collected[name] = values
                continue
            if start == 0:
                collected[name] = np.empty((count, *values.shape[1:]), values.dtype)
            collected[name][start : start + length] = values
    return collected
