"""Rows in blocks that stay in the cache, on as many cores as the process may use."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from service.compute.quiet import quietly

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from service.compute.softmax import SingleSoftmax, Softmax

BLOCK_ELEMENTS = 65_536
"""Logits in a block: 512 kB of float64, the fastest of 4,096 to 65,536 where a core has 1 MB of L2 cache. With twice as many
one core takes a twentieth less, but a batch of 4 MB a fifth more memory."""

PARALLEL_ELEMENTS = 4 * BLOCK_ELEMENTS
"""Logits from which on there is a thread for each core: there two take 0.6 of the time of one, with half of that 0.8."""


def evaluate(
    block: Callable[[slice], Softmax | SingleSoftmax],
    shape: tuple[int, int],
    quantities: Collection[str],
    single: Collection[str] = (),
) -> dict[str, npt.NDArray[Any]]:
    """The named quantities of all rows, each an array with N rows; the same bits whatever the number of cores.

    block: makes the rows of a slice; shape: (N, K) of the logits; single: the quantities to round to float32.
    """
    count, classes = shape
    length = BLOCK_ELEMENTS // classes or 1
    # all rows if they fit, else one, which tells what the others will be like
    rows = block(slice(0, length if count <= length else 1))
    first = {}
    for name in quantities:
        first[name] = getattr(rows, name)
    if count <= length:
        return first
    dtypes = {name: np.dtype(np.float32) if name in single else values.dtype for name, values in first.items()}
    collected = {name: np.empty((count, *values.shape[1:]), dtypes[name]) for name, values in first.items()}
    del rows, first

    def fill(starts: range) -> None:
        for start in starts:
            place = slice(start, start + length)
            rows = block(place)
            for name, values in collected.items():
                if values.dtype == rows.logits.dtype:
                    rows.memory[name] = values[place]
            for name in quantities:
                # which copies nothing that is there already
                collected[name][place] = getattr(rows, name)

    starts = range(0, count, length)
    cores = min(_cores(), len(starts)) if count * classes >= PARALLEL_ELEMENTS else 1
    _share(fill, [starts[core::cores] for core in range(cores)])
    return collected


def _share(work: Callable[[range], None], shares: list[range]) -> None:
    """Does the work of all shares, the first in this thread and each other in one of its own."""
    others = [(_threads(len(shares) - 1).submit(quietly, work, share), share) for share in shares[1:]]
    work(shares[0])
    for other, share in others:
        if other.cancel():
            # no thread was free to begin it
            work(share)
        else:
            other.result()


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    """That many threads, which are kept: to start one takes as long as 150,000 logits."""
    return ThreadPoolExecutor(count, thread_name_prefix="rows")


def _cores() -> int:
    """How many cores the process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
