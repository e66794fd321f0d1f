"""Numbers beyond the range of a double, as a mantissa and an exponent.

A weight, a temperature and a denominator may each be anywhere from 1e-308 to 1e308. Their product may not fit into a
double although the result of the whole formula does. Such factors are kept as mantissa * 2**exponent, and rounded last.
"""

from __future__ import annotations

from math import frexp
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.arrays import Array, Floats

LEAST_EXPONENT = -(2**20)
"""Exponent of a zero: below that of every other number."""

LEAST_DISTANCE = -(2.0**14)
"""Least argument of `scaled_exp` that is not rounded to 0: no product of doubles brings exp(-16384) back into range."""

DTYPE = np.dtype([("mantissa", np.float64), ("exponent", np.int64)])
"""One array for both parts, see `Scaled.packed`."""


class Scaled(NamedTuple):
    """mantissa * 2**exponent, elementwise; the two parts broadcast to each other.

    Mantissas are not normalised: a product of a few numbers with mantissas from 1/2 to 1 cannot overflow or underflow.
    """

    mantissa: Any
    exponent: Any

    @classmethod
    def of(cls, values: Any) -> Scaled:
        """Return the values, exactly."""
        return cls(*np.frexp(values))

    @classmethod
    def of_number(cls, value: float) -> Scaled:
        """Return one number, as a Python float, which costs 0.1x of a NumPy array."""
        return cls(*frexp(value))

    @classmethod
    def unpacked(cls, values: Array) -> Scaled:
        """Return what `packed` packed."""
        return cls(values["mantissa"], values["exponent"])

    def packed(self) -> Array:
        """Return both parts in one array of `DTYPE`."""
        values = np.empty(np.shape(self.mantissa), DTYPE)
        values["mantissa"], values["exponent"] = self
        return values

    def rounded(self) -> Floats:
        """Return the nearest doubles: beyond double range an infinity, or 0."""
        return np.ldexp(self.mantissa, self.exponent)

    def __mul__(self, other: Scaled | Any) -> Scaled:
        """Multiply, with 0 * inf = 0."""
        mantissa, exponent = other if isinstance(other, Scaled) else (other, 0)
        return Scaled(product(self.mantissa, mantissa), self.exponent + exponent)

    def __truediv__(self, other: Scaled | Any) -> Scaled:
        """Divide by numbers that are not 0."""
        mantissa, exponent = other if isinstance(other, Scaled) else (other, 0)
        return Scaled(self.mantissa / mantissa, self.exponent - exponent)

    def __add__(self, other: Scaled) -> Scaled:  # type: ignore[override]
        """Add: rounding costs 1 unit of the sum, as for doubles."""
        exponent = np.maximum(self.order, other.order)
        return Scaled(self.in_units(exponent) + other.in_units(exponent), exponent)

    def __sub__(self, other: Scaled) -> Scaled:
        """Subtract."""
        return self + Scaled(-other.mantissa, other.exponent)

    @property
    def order(self) -> Any:
        """The exponents, with `LEAST_EXPONENT` for a zero."""
        return np.where(self.mantissa == 0.0, LEAST_EXPONENT, self.exponent)

    def size(self) -> Scaled:
        """Return the absolute values."""
        return Scaled(np.abs(self.mantissa), self.exponent)

    def in_units(self, exponent: Any) -> Floats:
        """Return the numbers over 2**exponent."""
        return np.ldexp(self.mantissa, self.exponent - exponent)

    def total(self) -> Scaled:
        """Return the sum of all elements, pairwise."""
        exponent = np.maximum.reduce(self.order, axis=None, initial=LEAST_EXPONENT)
        return Scaled(np.add.reduce(self.in_units(exponent), axis=None), exponent)

    def sums(self, sums: Callable[[Floats], Floats]) -> Scaled:
        """Return (n,) sums over the classes of (n, K) numbers, added up by `sums`."""
        exponent = np.maximum.reduce(np.broadcast_to(self.order, np.shape(self.mantissa)), axis=-1)
        return Scaled(sums(self.in_units(exponent[:, None])), exponent)

    def columns(self) -> Scaled:
        """Return (n,) numbers as (n, 1), single ones as they are."""
        return Scaled(column(self.mantissa), column(self.exponent))

    def rows(self, block: Any) -> Scaled:
        """Return the numbers of some rows; a single number stands for every row."""
        return Scaled(*(part[block] if np.ndim(part) else part for part in self))


ONE = Scaled(1.0, 0)

ZERO = Scaled(0.0, 0)


def scaled_exp(values: Floats) -> Scaled:
    """Return exp of numbers that are not positive, as the 8th power of exp(values / 8).

    Its 16 units of rounding are less than those of a distance beyond which exp(values) underflows.
    """
    root, exponent = np.frexp(np.exp(np.where(values < LEAST_DISTANCE, -np.inf, values) / 8.0))
    return Scaled(((root**2) ** 2) ** 2, 8 * exponent)


def product(weights: Any, values: Any) -> Floats:
    """Return weights * values with 0 * inf = 0: a weight of 0 excludes its value."""
    products = np.multiply(weights, values)
    if np.isnan(np.add.reduce(products, axis=None)):
        return np.where((weights == 0.0) | (values == 0.0), 0.0, products)
    return products


def column(values: Any) -> Any:
    """Return (n,) values as (n, 1), a single one as it is."""
    return values[:, None] if np.ndim(values) else values
