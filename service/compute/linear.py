"""The layer in front of the softmax, z = x W^T + b: forward, its gradients, one step of gradient descent.

Every product is made in blocks of one fixed size by one BLAS thread, so that a row of logits has the same bits alone, in
any batch, and on any number of cores.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from service.compute.scaled import LEAST_EXPONENT, product

if TYPE_CHECKING:
    from service.arrays import Floats, Integers

ROWS = 32
"""Rows in a block: BLAS reads the weights once for each block, and a single row costs as much as a block."""

GROUP_ELEMENTS = 65_536
"""Elements of the partial sums that are made at once."""


def forward(inputs: Floats, weights: Floats, bias: Floats | None = None) -> Floats:
    """Return (N, K) z = inputs @ weights.T + bias, for inputs (N, D), weights (K, D) and bias (K,)."""
    logits = by_rows(inputs, weights.T)
    if bias is not None:
        logits += bias
    return logits


def step(values: Floats, gradient: Floats, learning_rate: float) -> Floats:
    """Return the values after one step of gradient descent: values - learning_rate * gradient."""
    return values - product(learning_rate, gradient)


def by_rows(left: Floats, right: Floats) -> Floats:
    """Return left @ right, (N, A) @ (A, B), each row with bits that do not depend on the other rows."""
    _use_one_thread()
    whole = len(left) // ROWS * ROWS
    products = np.empty((len(left), right.shape[1]))
    np.matmul(
        left[:whole].reshape(-1, ROWS, left.shape[1]), right, out=products[:whole].reshape(-1, ROWS, right.shape[1])
    )
    rest = len(left) - whole
    if rest:
        padded = np.zeros((ROWS, left.shape[1]))
        padded[:rest] = left[whole:]
        products[whole:] = (padded @ right)[:rest]
    if np.isfinite(np.add.reduce(products, axis=None)):
        return products
    # A partial sum overflowed, perhaps.
    rows, columns = _exponents(left, 1), _exponents(right, 0)
    scaled = np.ldexp(left, -rows) @ np.ldexp(right, -columns)
    return np.where(np.isfinite(products), products, np.ldexp(scaled, rows + columns))


def sum_of_outer_products(left: Floats, right: Floats) -> Floats:
    """Return (K, D) sum_n left[n] outer right[n] of (N, K) and (N, D), in chunks of rows that are added pairwise."""
    total = _sum_pairwise(left, right)
    if np.isfinite(np.add.reduce(total, axis=None)):
        return total
    # A partial sum overflowed, perhaps.
    rows, columns = _exponents(left, 0), _exponents(right, 0)
    scaled = _sum_pairwise(np.ldexp(left, -rows), np.ldexp(right, -columns))
    return np.where(np.isfinite(total), total, np.ldexp(scaled, rows.T + columns))


def _sum_pairwise(left: Floats, right: Floats) -> Floats:
    _use_one_thread()
    shape = left.shape[1], right.shape[1]
    group = ROWS * max(1, GROUP_ELEMENTS // (shape[0] * shape[1]))
    # partial[level] is the sum of 2**level groups, as in a binary counter.
    partial: list[Floats | None] = []
    for start in range(0, len(left), group):
        total = _sum_of_group(left[start : start + group], right[start : start + group])
        level = 0
        while level < len(partial) and (other := partial[level]) is not None:
            total = other + total
            partial[level] = None
            level += 1
        partial[level : level + 1] = [total]
    total = np.zeros(shape)
    for part in partial:
        if part is not None:
            total = part + total
    return total


def _sum_of_group(left: Floats, right: Floats) -> Floats:
    whole = -(-len(left) // ROWS) * ROWS
    if whole > len(left):
        left, right = (np.concatenate([each, np.zeros((whole - len(each), each.shape[1]))]) for each in (left, right))
    chunks = (each.reshape(-1, ROWS, each.shape[1]) for each in (left, right))
    return fold(next(chunks).swapaxes(1, 2) @ next(chunks))


def sum_of_rows(values: Floats) -> Floats:
    """Return (K,) the sum of (N, K) rows, pairwise."""
    total = fold(values)
    if np.isfinite(np.add.reduce(total)):
        return total
    exponents = _exponents(values, 0)[0]
    return np.where(np.isfinite(total), total, np.ldexp(fold(np.ldexp(values, -exponents)), exponents))


def fold(values: Floats) -> Floats:
    """Return the sum over the first axis, pairwise."""
    while len(values) > 1:
        half = (len(values) + 1) // 2
        folded = values[:half].copy()
        folded[: len(values) - half] += values[half:]
        values = folded
    return values[0] if len(values) else np.zeros(values.shape[1:])


def _exponents(values: Floats, axis: int) -> Integers:
    """Return the largest exponents along an axis, which is kept; 0 where all values are 0."""
    mantissa, exponent = np.frexp(values)
    largest = np.max(
        np.where(mantissa == 0.0, LEAST_EXPONENT, exponent), axis=axis, keepdims=True, initial=LEAST_EXPONENT
    )
    return np.where(largest == LEAST_EXPONENT, 0, largest)


@cache
def _use_one_thread() -> None:
    """Restrict BLAS to one thread for the life of the process: the bits of a product depend on how it is shared out."""
    threadpool_limits(limits=1, user_api="blas")
