"""Products of matrices whose numbers, or whose products of numbers, doubles cannot hold.

A matrix is the sum of a few pieces, each of numbers of a limited range in one unit. Sums of products of two pieces are in
the range of doubles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.compute.linear import ROWS
from service.compute.scaled import Scaled, ldexp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.arrays import Floats, Integers

PIECE = 960
"""Exponents of the numbers of a piece."""

MODERATE = 2.0 ** (PIECE // 2 - 1)
"""Size up to which, and down to whose inverse, a number belongs to the piece whose unit is 1."""

LEAST_UNIT = -3 * PIECE
"""Exponent of products of two pieces that no learning rate brings back into double range."""

LEAST_PLACE, ZERO = LEAST_UNIT // PIECE - 2, LEAST_UNIT // PIECE - 3
"""Least number of a piece that can matter, and the number of no piece."""

ELEMENTS = 262_144
"""Elements of a block of a matrix, whose pieces are made at once."""


def rows_at_once(classes: int, features: int) -> int:
    """Return how many rows `add_product` is given at once: a few of long rows, which take more memory than time."""
    return max(ROWS // 4, ELEMENTS // (ROWS * max(classes, min(features, _width(classes)))) * ROWS)


def _width(classes: int) -> int:
    """Return the columns of a block of the matrix at the right. The number of rows does not change it."""
    return ELEMENTS // min(classes, ELEMENTS // ROWS)


def add_product(
    total: Scaled, product: Callable[[Floats, Floats], Floats], left: Scaled, right: Floats, *, over_rows: bool
) -> None:
    """Add left.T @ right, (K, D), to the total if it is over rows, else left @ right, (n, D).

    The bits of left @ right do not depend on the number of rows.

    product: of two pieces; left: (n, K), at most `rows_at_once` rows; right: (n, D) if it is over rows, else (K, D).
    """
    classes, length = left.mantissa.shape[1], ELEMENTS // ROWS
    width = _width(classes)
    for start in range(0, classes, length):
        some = slice(start, start + length)
        lefts = list(pieces(Scaled(left.mantissa[:, some], left.exponent[:, some])))
        for place in range(0, right.shape[1], width):
            columns = slice(place, place + width)
            sums: dict[int, Floats] = {}
            for factors, unit in pieces(right[slice(None) if over_rows else some, columns]):
                for values, other in lefts:
                    both = unit + other
                    if both >= LEAST_UNIT:
                        part = product(values, factors)
                        sums[both] = sums[both] + part if both in sums else part
            block = (some if over_rows else slice(None), columns)
            before, added = Scaled(total.mantissa[block], total.exponent[block]), _folded(sums)
            total.mantissa[block], total.exponent[block] = before + added if before.mantissa.any() else added


def _folded(sums: dict[int, Floats]) -> Scaled:
    """Return the sum of arrays in units of 2**unit, by unit: each element in the largest unit in which it is not 0."""
    first, *others = sorted(sums, reverse=True) or [0]
    result: Floats = sums.get(first, np.zeros(()))
    units: Integers | int = first
    for unit in others:
        is_zero = result == 0.0
        if is_zero.any():
            units = np.where(is_zero, unit, units)
        result = result + ldexp(sums[unit], unit - units)
    return Scaled(result, units)


def pieces(values: Floats | Scaled) -> Iterator[tuple[Floats, int]]:
    """Yield arrays that add up to the numbers, each in units of 2**unit, and the unit, a multiple of `PIECE`."""
    if not isinstance(values, Scaled):
        sizes = np.abs(values)
        if ((sizes <= MODERATE) & ((sizes >= 1.0 / MODERATE) | (sizes == 0.0))).all():
            yield values, 0
            return
        values = Scaled(values, 0)
    mantissa, exponent = np.frexp(values.mantissa)
    exponent = exponent + values.exponent
    places = np.where(mantissa == 0.0, ZERO, (exponent + PIECE // 2) // PIECE)
    values = ldexp(mantissa, exponent - places * PIECE)
    for place in range(max(LEAST_PLACE, int(places.min(initial=0))), int(places.max(initial=0)) + 1):
        chosen = places == place
        if chosen.any():
            yield np.where(chosen, values, 0.0), place * PIECE
