"""Rows in blocks that stay in the cache, on as many cores as the process may use."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from service.compute.softmax import Softmax

BLOCK_ELEMENTS = 65_536
"""Logits in a block: 512 kB of float64, the fastest of 4,096 to 65,536 where a core has 1 MB of L2 cache."""

PARALLEL_ELEMENTS = 4 * BLOCK_ELEMENTS
"""Logits from which on there is a thread for each core; on two cores a softmax of that size gains 3 times, one of 500,000
loses a third, and one of 1,000,000, which waits for fresh memory, stays as it is."""


def evaluate(
    block: Callable[[slice], Softmax], shape: tuple[int, int], quantities: Collection[str]
) -> dict[str, npt.NDArray[Any]]:
    """The named quantities of all rows, each an array with N rows; the same bits whatever the number of cores.

    block: makes the rows of a slice; shape: (N, K) of the logits.
    """
    count, classes = shape
    length = max(1, BLOCK_ELEMENTS // classes)
    rows = block(slice(0, length))
    first = {name: getattr(rows, name) for name in quantities}
    if count <= length:
        return first
    collected = {name: np.empty((count, *values.shape[1:]), values.dtype) for name, values in first.items()}
    for name, values in first.items():
        collected[name][:length] = values

    def fill(start: int) -> None:
        rows = block(slice(start, start + length))
        # a thread starts without the error state of the one that started it
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for name in quantities:
                collected[name][start : start + length] = getattr(rows, name)

    starts = range(length, count, length)
    cores = _cores() if count * classes >= PARALLEL_ELEMENTS else 1
    if cores == 1:
        for start in starts:
            fill(start)
    else:
        with ThreadPoolExecutor(cores) as threads:
            for done in [threads.submit(fill, start) for start in starts]:
                done.result()
    return collected


def _cores() -> int:
    """How many cores the process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
