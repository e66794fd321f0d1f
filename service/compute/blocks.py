"""Rows in blocks that stay in the cache, on as many cores as the process may use."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from service.arrays import Array

BLOCK_BYTES = 512 * 1024
"""Bytes of the logits in a block, which stay in a cache of 1 MB."""

PARALLEL_ELEMENTS = 262_144
"""Logits from which on each core gets a thread."""

PARALLEL_BYTES = 8 * BLOCK_BYTES
"""Bytes of the logits that all threads of a request work on at once; they take up to 24 times as much memory."""

CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
"""File with the limit of a container (cgroup v2): microseconds of CPU time in each period, and those of the period."""

LONG_ROW = 512
"""Classes from which on NumPy's buffers are made shorter than a row.

NumPy copies an operand with one number for each row into buffers of several rows. Without the copies a sum takes 20 us
for 64 x 1000 doubles rather than 60.
"""

Rows = TypeVar("Rows")
Result = TypeVar("Result")


def evaluate(
    block: Callable[[slice, Mapping[str, Array]], Rows],
    logits: Array,
    quantities: Mapping[str, Callable[[Rows], Array]],
    rounded: Collection[str] = (),
) -> dict[str, Array]:
    """Return quantities of all rows by name, each with N rows; the same bits on any number of cores.

    block: returns a block of rows, given their slice and arrays in which quantities may be written, by name.
    logits: (N, K), whose bytes per row set the length of a block; rounded: names of the quantities to round to float32.
    """
    count, classes = logits.shape
    _set_buffers(classes)
    if count <= _block_length(logits):
        rows = block(slice(0, count), {})
        return {name: quantity(rows) for name, quantity in quantities.items()}
    # the first row gives the shapes and dtypes
    rows = block(slice(0, 1), {})
    results = {}
    for name, quantity in quantities.items():
        first = quantity(rows)
        results[name] = np.empty((count, *first.shape[1:]), np.float32 if name in rounded else first.dtype)
        results[name][:1] = first

    def fill(place: slice) -> None:
        memory = {name: values[place] for name, values in results.items()}
        rows = block(place, memory)
        for name, quantity in quantities.items():
            values = quantity(rows)
            if values is not memory[name]:
                memory[name][...] = values

    each_block(fill, logits, first=1)
    return results


def each_block(work: Callable[[slice], Result], logits: Array, first: int = 0) -> list[Result]:
    """Return the result of `work` for each block of rows, in order; the same blocks on any number of cores.

    logits: (N, K), whose bytes per row set the length of a block. A batch without rows is one block.
    first: the first row of the first block.
    """
    count, classes = logits.shape
    length = _block_length(logits)
    starts = range(first, max(count, 1), length)
    results: dict[int, Result] = {}

    def compute(share: range) -> None:
        # NumPy's error state and buffers belong to the thread
        with np.errstate(all="ignore"):
            _set_buffers(classes)
            for start in share:
                results[start] = work(slice(start, start + length))

    threads = PARALLEL_BYTES // (length * classes * logits.itemsize) or 1
    cores = min(usable_cores(), len(starts), threads) if count * classes >= PARALLEL_ELEMENTS else 1
    _share(compute, [starts[core::cores] for core in range(cores)])
    return [results[start] for start in starts]


def _block_length(logits: Array) -> int:
    """Return the rows of a block of logits (N, K)."""
    return BLOCK_BYTES // (logits.shape[1] * logits.itemsize) or 1


def _set_buffers(classes: int) -> None:
    """Set the size of NumPy's buffers for rows of this length; `np.errstate` restores it."""
    if classes >= LONG_ROW:
        np.setbufsize(LONG_ROW)


def _share(work: Callable[[range], None], shares: list[range]) -> None:
    """Compute all shares, the first in this thread and each other one in another thread."""
    others = [(_threads(len(shares) - 1).submit(work, share), share) for share in shares[1:]]
    work(shares[0])
    for other, share in others:
        if other.cancel():
            # no thread was free to begin it
            work(share)
        else:
            other.result()


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    """Return a pool of that many threads, which is kept: to start one takes as long as 150,000 logits."""
    return ThreadPoolExecutor(count, thread_name_prefix="rows")


def usable_cores() -> int:
    """Return how many cores the process may use, by its affinity and by the limit of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = map(int, CPU_LIMIT.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        # there is no limit, or it is "max"
        return cores
    return min(cores, -(-quota // period))
