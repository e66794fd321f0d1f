"""Time every output and option beside the direct way with NumPy and SciPy: `python -m bench.outputs > bench/outputs.md`.

Both compute arrays from arrays, on one core; CPU time, the least of many repeats in turns. The service also checks the
values, which the direct ways do not.
"""

from __future__ import annotations

import os
import sys
from time import process_time
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from bench import masks
from bench.cases import CASES, Case
from bench.direct import Data
from bench.exactness import AS_EXACT, errors
from service.operations import OPERATIONS, execute
from service.schemas.requests import request_model
from service.server.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


SHAPES = ((1, 10), (64, 1_000), (1_024, 1_000), (16, 50_000))
DTYPES = ("float64", "float32")

SLOWER = 1.1
"""Ratio above which the service is slower than the direct way."""

MAX_ELEMENTS = 2**24
"""Largest output that is measured: a Jacobian has rows x classes x classes."""

REPEATS = 9

REPEAT_SECONDS = 0.01
"""Calls are repeated until a measurement takes this long."""

NAMED = {operation.name: operation for operation in OPERATIONS}

HEAD = """\
# Every output and option beside the direct way

`python -m bench.outputs > bench/outputs.md` measures this page: the CPU time of the service for one output, divided by
that of the direct way with NumPy and SciPy, from arrays to arrays on one core. Below 1 the service is faster.
Torch is not measured: its wheel for Linux brings the libraries of CUDA.

The columns of errors have the largest error of the direct way, then that of the service, on rows of 10 and 1000 classes:
spread, confident, with an offset of 1e6, with targets that are certain, and with targets that nearly agree. The unit is
half of the distance from 1 to the next number of the dtype, and each error is relative to its own element.

A ratio is **bold** where the service takes more than 1.1x the time and the direct way is as exact: its error is at most
twice that of the service. [docs/performance.md](../docs/performance.md) explains each of these.

"""

MASKS = """
## Requests with excluded classes

CPU time of a whole request in JSON, divided by that of a request without excluded classes (`python -m bench.masks`).

"""


def service(case: Case, data: Data) -> Callable[[], Any]:
    """Return a function that computes the output as the service does."""
    operation = NAMED[case.operation]
    message = request_model(operation).read(case.request(data) | {"dtype": data.dtype})
    return lambda: execute(operation, message.arguments, message.output_names)


def ratio(case: Case, data: Data) -> float:
    """Return the CPU time of the service over that of the direct way."""
    functions = service(case, data), lambda: case.direct(data)
    with np.errstate(all="ignore"):
        counts = [max(1, int(REPEAT_SECONDS / max(1e-7, seconds(each, 1)))) for each in functions]
        turns = [[seconds(*each) for each in zip(functions, counts, strict=True)] for _ in range(REPEATS)]
    ours, theirs = (min(each) for each in zip(*turns, strict=True))
    return ours / theirs


def seconds(function: Callable[[], Any], count: int) -> float:
    """Return the mean CPU seconds of a call."""
    start = process_time()
    for _ in range(count):
        function()
    return (process_time() - start) / count


def lines() -> Iterator[str]:
    """Yield the lines of the table."""
    columns = [(rows, classes, dtype) for rows, classes in SHAPES for dtype in DTYPES]
    heads = [f"{rows} x {classes} {dtype}" for rows, classes, dtype in columns] + [
        f"errors {dtype}" for dtype in DTYPES
    ]
    yield f"| output | direct way | {' | '.join(heads)} |"
    yield f"| :-- | :-- |{' --: |' * len(heads)}"
    tensors = [Data(*column) for column in columns]
    for case in CASES:
        measured = {dtype: errors(case, dtype, service) for dtype in DTYPES}
        cells = [cell(case, data, measured[data.dtype]) for data in tensors]
        cells += [" / ".join(written(error, dtype) for error in each) for dtype, each in measured.items()]
        yield f"| `{case.name}` | {case.text} | {' | '.join(cells)} |"


def cell(case: Case, data: Data, measured: tuple[float, float]) -> str:
    """Return the ratio, bold where the service is slower and the direct way as exact."""
    if case.name in ("jacobian", "hessian") and data.rows * data.classes**2 > MAX_ELEMENTS:
        return "-"
    times = ratio(case, data)
    is_as_exact = measured[0] <= AS_EXACT * measured[1]
    return f"**{times:.2f}**" if times > SLOWER and is_as_exact else f"{times:.2f}"


def written(error: float, dtype: str) -> str:
    """Return an error in units of u, or a word for a result of which no digit is right."""
    if error >= 1.0 / float(np.finfo(dtype).eps):
        return "all digits"
    return f"{error:,.1f}" if error < 1e4 else f"{error:.0e}"  # noqa: PLR2004 - in few characters


def main() -> None:
    """Print the table."""
    keep_freed_memory()
    threadpool_limits(limits=1, user_api="blas")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sys.stdout.write(HEAD)
    for line in lines():
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    sys.stdout.write(MASKS + masks.measured())


if __name__ == "__main__":
    main()
