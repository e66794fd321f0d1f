"""Nested lists of numbers as arrays: the slow way, for Python callers and for logits with strings among them."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from service.errors import NotANumber, NumberOutOfRange, RaggedTensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.arrays import Array

MAX_RANK = 32
"""Axes of a tensor; NumPy counts to 64, and the answer may have two more."""

NONFINITE = {"Infinity": inf, "-Infinity": -inf, "NaN": nan}
"""How JSON spells what it has no numbers for, as ProtoJSON does."""


def from_nested(name: str, value: Any) -> Array:
    """A number, or a nested list of numbers, as an array: int64 if all are integers that fit, else float64.

    Among logits the strings of `NONFINITE` are numbers too. Raises NotANumber, NumberOutOfRange and RaggedTensor.
    """
    shape: list[int] = []
    level: Sequence[Any] = [value]
    while any(isinstance(item, list) for item in level):
        sizes = {len(item) if isinstance(item, list) else -1 for item in level}
        if len(sizes) > 1:
            raise RaggedTensor(name)
        shape.append(sizes.pop())
        level = [item for items in level for item in items]
    if name == "logits":
        level = [NONFINITE.get(item, item) if isinstance(item, str) else item for item in level]
    return _from_numbers(name, level).reshape(shape)


def _from_numbers(name: str, values: Sequence[Any]) -> Array:
    kinds = set(map(type, values))
    if not kinds <= {int, float}:
        raise NotANumber(name)
    try:
        if kinds == {int} and -(2**63) <= min(values) <= max(values) < 2**63:
            return np.array(values, np.int64)
        return np.array(values, np.float64)
    except OverflowError:
        raise NumberOutOfRange(name, "float64") from None
