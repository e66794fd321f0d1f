"""The layer in front of the softmax, z = x W^T + b: forward, its gradients, one step of gradient descent.

One BLAS thread makes every product in blocks, whose size follows from the lengths of the rows. So a row of logits has the
same bits alone, in any batch, and on any number of cores.
"""

from __future__ import annotations

from functools import cache
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from service.compute.scaled import Numbers, ldexp, rounded

if TYPE_CHECKING:
    from service.arrays import Floats, Integers

ROWS = 24
"""Rows in a block: BLAS reads the weights once for each block, and a single row costs as much as a block.

The tile of OpenBLAS with AVX-512: rows of a shorter tile have other bits in the last columns.
"""

LONG = 65_536
"""Elements of a row and of its product from which on a block is one row: 24 of them would take too much memory."""

SUMMED_ROWS = 48
"""Rows that BLAS adds one after another; longer sums are added pairwise."""

GROUP_ELEMENTS = 65_536
"""Elements of logits or of partial sums that are made at once."""


def forward(inputs: Floats, weights: Floats, bias: Floats | None = None) -> tuple[Floats, bool]:
    """Return (N, K) z = inputs @ weights.T + bias, and whether all of them are finite.

    inputs: (N, D); weights: (K, D); bias: (K,), None for 0.
    """
    logits, are_finite = np.empty((len(inputs), len(weights))), True
    length = _group_length(len(weights))
    for start in range(0, len(inputs), length):
        rows, group = inputs[start : start + length], logits[start : start + length]
        by_rows(rows, weights.T, group)
        if bias is not None:
            group += bias
        are_finite = are_finite and is_finite(group)
    if not are_finite:
        _sum_in_units(logits, inputs, weights, bias)
        are_finite = is_finite(logits)
    return logits, are_finite


def _sum_in_units(logits: Floats, inputs: Floats, weights: Floats, bias: Floats | None) -> None:
    """Replace the logits that overflowed by sums in units of the largest number of each row and column."""
    overflowed = np.flatnonzero(~np.isfinite(logits).all(axis=1) & np.isfinite(inputs).all(axis=1))
    if not len(overflowed):
        return
    columns = _exponents(weights).T
    scaled = ldexp(weights.T, -columns)
    length = _group_length(len(weights))
    for start in range(0, len(overflowed), length):
        places = overflowed[start : start + length]
        group, rows = logits[places], _exponents(inputs[places])
        sums = ldexp(by_rows(ldexp(inputs[places], -rows), scaled), rows + columns)
        logits[places] = np.where(np.isfinite(group), group, sums if bias is None else sums + bias)


def _group_length(classes: int) -> int:
    """Return the rows of a group of logits, which stays in the cache."""
    return ROWS * max(1, GROUP_ELEMENTS // (ROWS * classes))


def step(values: Floats, gradient: Numbers, learning_rate: float) -> Floats:
    """Return the values after one step of gradient descent: values - learning_rate * gradient.

    gradient: `Scaled` where the step may be beyond double range.
    """
    return rounded(values - gradient * learning_rate) if learning_rate else values


def by_rows(left: Floats, right: Floats, out: Floats | None = None) -> Floats:
    """Return left @ right, (N, A) @ (A, B), each row with bits that do not depend on the other rows.

    out: contiguous memory for the result.
    """
    _use_one_thread()
    length = ROWS if left.shape[1] + right.shape[1] < LONG else 1
    whole = len(left) // length * length
    if whole < len(left):
        padded = np.zeros((length, left.shape[1]))
        padded[: len(left) - whole] = left[whole:]
        last = (padded @ right)[: len(left) - whole]
        if not whole and out is None:
            return last
    products = np.empty((len(left), right.shape[1])) if out is None else out
    if whole:
        np.matmul(_blocks(left[:whole], length), right, out=_blocks(products[:whole], length))
    if whole < len(left):
        products[whole:] = last
    return products


def sum_of_outer_products(left: Floats, right: Floats) -> Floats:
    """Return (K, D) sum_n left[n] outer right[n] of (N, K) and (N, D), in chunks of rows that are added pairwise."""
    _use_one_thread()
    if len(left) <= SUMMED_ROWS:
        return left.T @ right
    group = SUMMED_ROWS * max(1, GROUP_ELEMENTS // (left.shape[1] * right.shape[1]))
    if len(left) > group:
        half = -(-len(left) // (2 * group)) * group
        return sum_of_outer_products(left[:half], right[:half]) + sum_of_outer_products(left[half:], right[half:])
    whole = len(left) // SUMMED_ROWS * SUMMED_ROWS
    products = pairwise_sum(_blocks(left[:whole], SUMMED_ROWS).swapaxes(1, 2) @ _blocks(right[:whole], SUMMED_ROWS))
    return products if whole == len(left) else products + left[whole:].T @ right[whole:]


def _blocks(values: Floats, rows: int) -> Floats:
    """Return (N, A) as blocks of rows, (N / rows, rows, A)."""
    return values.reshape(len(values) // rows, rows, values.shape[1])


def pairwise_sum(values: Floats) -> Floats:
    """Return the sum over the first axis, whose rounding does not grow with its length."""
    while len(values) > 1:
        half = (len(values) + 1) // 2
        folded = values[:half].copy()
        folded[: len(values) - half] += values[half:]
        values = folded
    return values[0] if len(values) else np.zeros(values.shape[1:])


def _exponents(values: Floats) -> Integers:
    """Return (n, 1) the exponent of the largest of each row; 0 where all values are 0."""
    return np.frexp(np.max(np.abs(values), axis=1, keepdims=True))[1]


def is_finite(values: Floats) -> bool:
    """Return whether no number is infinite or NaN."""
    # argmax and argmin return the place of a NaN; for a small array they take a third of the time of isfinite and all
    return not values.size or (values.item(values.argmax()) < np.inf and values.item(values.argmin()) > -np.inf)


def norm(values: Floats) -> float:
    """Return the root of the sum of the squares, in one pass; infinite or NaN where a number or a square is."""
    flat = values.ravel()
    return sqrt(flat.dot(flat))


@cache
def _use_one_thread() -> None:
    """Restrict BLAS to one thread for the life of the process: the bits of a product depend on how it is shared out."""
    threadpool_limits(limits=1, user_api="blas")
