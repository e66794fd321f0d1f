"""python -m bench.compute: the arithmetic alone, beside SciPy's, in one process."""

from __future__ import annotations

import os
import sys
from functools import partial
from itertools import product
from operator import attrgetter
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import special

from bench import tables
from bench.results import Comparison
from service.compute.blocks import evaluate
from service.compute.float32 import SHORT_ROW, Float32Softmax
from service.compute.softmax import Softmax
from service.server.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Array = npt.NDArray[Any]

SHAPES = ((1, 10), (32, 10), (1_000, 10), (100_000, 10), (64, 1_000), (1_024, 1_000), (16, 50_000))
DTYPES = ("float64", "float32")
SCIPY: dict[str, Callable[..., Array]] = {"probabilities": special.softmax, "log_probabilities": special.log_softmax}

REPEATS = 7
"""The fastest of them counts: all that is slower was disturbed."""

REPEAT_SECONDS = 0.02
"""Calls are repeated until a measurement takes this long."""


def compare(cores: set[int]) -> list[Comparison]:
    """Every quantity, dtype and shape, on one of the cores and on all of them; SciPy has use for one."""
    # neither is to wait for fresh pages
    keep_freed_memory()
    random = np.random.default_rng(0)
    cases = [
        (quantity, random.normal(scale=3.0, size=shape).astype(dtype))
        for shape, dtype, quantity in product(SHAPES, DTYPES, SCIPY)
    ]
    os.sched_setaffinity(0, {max(cores)})
    on_one = [fastest(*functions(*case)) for case in cases]
    # threads made before would stay on the one core
    os.sched_setaffinity(0, cores)
    on_all = [fastest(*functions(*case)[:1]) for case in cases]
    return [
        Comparison(quantity, logits.dtype.name, len(logits), logits.shape[1], one, everywhere, theirs)
        for (quantity, logits), (one, theirs), (everywhere,) in zip(cases, on_one, on_all, strict=True)
    ]


def functions(quantity: str, logits: Array) -> tuple[Callable[[], Array], Callable[[], Array]]:
    """Return the functions that compute a quantity here and in SciPy, after comparing their results."""
    ours, theirs = partial(compute, quantity, logits), partial(SCIPY[quantity], logits, axis=-1)
    np.testing.assert_allclose(ours(), theirs(), rtol=1e-5, atol=1e-5)
    return ours, theirs


def compute(quantity: str, logits: Array) -> Array:
    """Return a quantity of each row, computed as the service does: in blocks, short float32 rows in float64."""
    in_float32 = logits.dtype == np.float32

    def block(rows: slice, memory: Mapping[str, Array]) -> Softmax | Float32Softmax:
        if in_float32 and logits.shape[1] > SHORT_ROW:
            return Float32Softmax(logits[rows], memory)
        return Softmax(logits[rows].astype(np.float64, copy=False), memory={} if in_float32 else memory)

    results = evaluate(block, logits, {quantity: attrgetter(quantity)}, [quantity] if in_float32 else [])
    return results[quantity].astype(logits.dtype, copy=False)


def fastest(*functions: Callable[[], Array]) -> list[float]:
    """Seconds of the fastest call of each, measured in turns."""
    counts = [max(1, int(REPEAT_SECONDS / seconds(function, 1))) for function in functions]
    turns = [[seconds(*each) for each in zip(functions, counts, strict=True)] for _ in range(REPEATS)]
    return [min(each) for each in zip(*turns, strict=True)]


def seconds(function: Callable[[], Array], count: int) -> float:
    """Mean seconds of a call."""
    start = perf_counter()
    for _ in range(count):
        function()
    return (perf_counter() - start) / count


if __name__ == "__main__":
    sys.stdout.write(tables.compute(compare(os.sched_getaffinity(0))))
