"""Numbers beyond the range of a double, as a mantissa and an exponent.

A weight, a temperature and a denominator may each be anywhere from 1e-308 to 1e308. Their product may not fit into a
double although the result of the whole formula does. So formulas are written for `Numbers`: doubles where a few factors
stay in range, else `Scaled`. Both have the same operators, and give the same bits where both apply.
"""

from __future__ import annotations

from math import frexp, isnan
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeGuard, TypeVar, overload

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from service.arrays import Array, Block, Floats, Mask

LARGEST_POWER = 100

LEAST, MOST = 2.0**-LARGEST_POWER, 2.0**LARGEST_POWER
"""Sizes of factors between which a product of a few of them is a double."""

SAFE = 2.0**-500
"""Size of a result from which on no term that underflowed can have cost it a digit, if its factors are in that range."""

TINY = 2.0**-960
"""Below this a number may have lost digits to underflow, or a sum of such numbers."""

LEAST_EXPONENT = -(2**20)
"""Exponent below that of every number that is finite and not 0."""

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
        return values if isinstance(values, cls) else cls(*np.frexp(values))

    @classmethod
    def unpacked(cls, values: Array) -> Scaled:
        """Return what `packed` packed."""
        return cls(values["mantissa"], values["exponent"])

    @classmethod
    def stacked(cls, numbers: Iterable[Scaled]) -> Scaled:
        """Return single numbers as one array."""
        return cls(*(np.array(part) for part in zip(*numbers, strict=True)))

    def packed(self) -> Array:
        """Return both parts in one array of `DTYPE`."""
        values = np.empty(np.shape(self.mantissa), DTYPE)
        values["mantissa"], values["exponent"] = self
        return values

    def __mul__(self, other: Any) -> Scaled:
        """Multiply, with 0 * inf = 0."""
        mantissa, exponent = Scaled.of(other)
        return Scaled(product(self.mantissa, mantissa), self.exponent + exponent)

    def __rmul__(self, other: Any) -> Scaled:
        """Multiply."""
        return self * other

    def __truediv__(self, other: Any) -> Scaled:
        """Divide by numbers that are not 0."""
        mantissa, exponent = Scaled.of(other)
        return Scaled(self.mantissa / mantissa, self.exponent - exponent)

    def __rtruediv__(self, other: Any) -> Scaled:
        """Divide other numbers."""
        return Scaled.of(other) / self

    def __add__(self, other: Any) -> Scaled:
        """Add: rounding costs 1 unit of the sum, as for doubles."""
        other = Scaled.of(other)
        exponent = np.maximum(self.order, other.order)
        return Scaled(self.in_units(exponent) + other.in_units(exponent), exponent)

    def __radd__(self, other: Any) -> Scaled:
        """Add."""
        return self + other

    def __neg__(self) -> Scaled:
        """Return the negative numbers."""
        return Scaled(-self.mantissa, self.exponent)

    def __sub__(self, other: Any) -> Scaled:
        """Subtract."""
        return self + -Scaled.of(other)

    def __rsub__(self, other: Any) -> Scaled:
        """Subtract from other numbers."""
        return -self + other

    def __abs__(self) -> Scaled:
        """Return the sizes."""
        return Scaled(np.abs(self.mantissa), self.exponent)

    def __bool__(self) -> bool:
        """Return whether a single number is not 0."""
        return bool(self.mantissa != 0.0)

    @property
    def order(self) -> Any:
        """The exponents, with `LEAST_EXPONENT` for a zero or an infinity, which is the same in every unit."""
        return np.where((self.mantissa == 0.0) | np.isinf(self.mantissa), LEAST_EXPONENT, self.exponent)

    def in_units(self, exponent: Any) -> Floats:
        """Return the numbers over 2**exponent."""
        return ldexp(self.mantissa, self.exponent - exponent)

    def each(self, change: Callable[[Any], Any]) -> Scaled:
        """Return the numbers after a change of both parts, such as another shape; a single part stays."""
        return Scaled(*(change(part) if np.ndim(part) else part for part in self))

    def by_rows(self, function: Callable[[Floats], Floats]) -> Scaled:
        """Return a linear function of the rows of (n, K) numbers, each row in units of its largest number."""
        exponent = np.max(np.broadcast_to(self.order, np.shape(self.mantissa)), axis=-1, keepdims=True)
        values = function(self.in_units(exponent))
        return Scaled(values, exponent.reshape(-1) if values.ndim == 1 else exponent)


# NumPy leaves the operators to the class; an attribute inside of it would be a field
Scaled.__array_ufunc__ = None  # type: ignore[attr-defined]

Numbers: TypeAlias = "Floats | Scaled"
"""Doubles or `Scaled`."""

Factor: TypeAlias = "Floats | float | Scaled"
"""Numbers, or a single one that stands for all."""

AnyNumbers = TypeVar("AnyNumbers", "Floats", "Scaled", "Numbers")
AnyFactor = TypeVar("AnyFactor", "Floats", "float", "Scaled", "Numbers", "Factor")
"""Numbers and factors of functions that return what they are given."""


def ldexp(mantissa: Any, exponent: Any) -> Floats:
    """Return mantissa * 2**exponent. NumPy accepts arrays of int and long, and a long has 32 bits on Windows."""
    return np.ldexp(mantissa, np.asarray(exponent, np.int32))


@overload
def in_range(values: float) -> Scaled | float: ...
@overload
def in_range(values: Floats) -> Numbers: ...
@overload
def in_range(values: Scaled) -> Scaled: ...
def in_range(values: Factor) -> Factor:
    """Return the values as they are if each is 0 or has a size from `LEAST` to `MOST`, else as `Scaled`."""
    if isinstance(values, Scaled):
        return values
    if isinstance(values, float):
        return values if LEAST <= abs(values) <= MOST else Scaled.of(values)
    # argmin takes a quarter of the time of min for a small array
    if not values.size or (values.item(values.argmin()) >= LEAST and values.item(values.argmax()) <= MOST):
        return values
    sizes = np.abs(values[values != 0.0])
    return values if ((sizes >= LEAST) & (sizes <= MOST)).all() else Scaled.of(values)


def power_of_two(power: int) -> float | Scaled:
    """Return 2**power, in range."""
    return 2.0**power if abs(power) <= LARGEST_POWER else Scaled(1.0, power)


def normalized(values: Floats) -> tuple[Numbers, int]:
    """Return values / 2**power in range, of which the largest has a size from 1 to 2, and the power."""
    power = frexp(largest(values))[1] - 1
    if values.size and abs(power) <= LARGEST_POWER and values.item(values.argmin()) >= LEAST * 2.0**power:
        return values * 2.0**-power, power
    mantissa, exponent = np.frexp(values)
    quotients = ldexp(mantissa, exponent - power)
    is_double = (np.abs(quotients) >= LEAST) | (mantissa == 0.0)
    return (quotients if is_double.all() else Scaled(mantissa, exponent - power)), power


def is_safe(result: Numbers) -> TypeGuard[Floats]:
    """Return whether a result made in doubles is right: no factor was out of range, and neither is the result."""
    if isinstance(result, Scaled):
        return False
    if result.ndim == 0:
        return bool(SAFE <= abs(result) < np.inf)
    sizes = np.abs(result)
    return bool(((sizes >= SAFE) & (sizes < np.inf)).all())


@overload
def rounded(values: float) -> float: ...
@overload
def rounded(values: Numbers) -> Floats: ...
def rounded(values: Factor) -> Floats | float:
    """Return the nearest doubles: beyond double range an infinity, or 0."""
    return ldexp(*values) if isinstance(values, Scaled) else values


def largest(values: Factor) -> float:
    """Return the largest size, 0 without a number, infinity beyond double range."""
    if isinstance(values, float):
        return abs(values)
    sizes = np.abs(rounded(values))
    return sizes.item(sizes.argmax()) if sizes.size else 0.0


def total(values: AnyNumbers) -> AnyNumbers:
    """Return the sum of (N,) numbers, pairwise."""
    if not isinstance(values, Scaled):
        return np.add.reduce(values)
    exponent = np.max(values.order, initial=LEAST_EXPONENT)
    return Scaled(np.add.reduce(values.in_units(exponent)), exponent)


def rows_of(values: AnyFactor, block: Block) -> AnyFactor:
    """Return the numbers of some rows; a single number stands for every row."""
    if isinstance(values, float):
        return values
    if isinstance(values, Scaled):
        return values.each(lambda part: part[block])
    return values[block] if values.ndim else values


def column(values: AnyFactor) -> AnyFactor:
    """Return (n,) numbers as (n, 1), a single one as it is."""
    if isinstance(values, float):
        return values
    if isinstance(values, Scaled):
        return values.each(column)
    return values[:, None] if values.ndim else values


def mantissas(values: Numbers) -> Floats:
    """Return the numbers up to positive factors, in their own memory."""
    return values.mantissa if isinstance(values, Scaled) else values


@overload
def choose(condition: Mask, chosen: Floats | float, others: Floats | float) -> Floats: ...
@overload
def choose(condition: Mask, chosen: Factor, others: Factor) -> Numbers: ...
def choose(condition: Mask, chosen: Factor, others: Factor) -> Numbers:
    """Return the chosen numbers where the condition is true, the others elsewhere."""
    if not isinstance(chosen, Scaled) and not isinstance(others, Scaled):
        return np.where(condition, chosen, others)
    parts = zip(Scaled.of(chosen), Scaled.of(others), strict=True)
    return Scaled(*(np.where(condition, *each) for each in parts))


@overload
def product(weights: Floats | float, values: Floats) -> Floats: ...
@overload
def product(weights: Factor, values: Numbers) -> Numbers: ...
def product(weights: Factor, values: Numbers) -> Numbers:
    """Return weights * values with 0 * inf = 0: a weight of 0 excludes its value."""
    products = weights * values
    # argmax returns the place of a NaN, in a quarter of the time of a sum for a small array
    if isinstance(products, Scaled) or not products.size or not isnan(products.item(products.argmax())):
        return products
    return np.where((weights == 0.0) | (values == 0.0), 0.0, products)


def scaled_exp(values: Floats) -> Scaled:
    """Return exp of numbers that are not positive, as the 8th power of exp(values / 8).

    Its 16 units of rounding are less than those of a distance beyond which exp(values) underflows.
    """
    root, exponent = np.frexp(np.exp(np.where(values < LEAST_DISTANCE, -np.inf, values) / 8.0))
    return Scaled(((root**2) ** 2) ** 2, 8 * exponent)


def lifted(values: Floats, logarithms: Floats) -> Numbers:
    """Return positive numbers up to 1, made of their logarithms where they are below double range."""
    # argmin takes a quarter of the time of min for a small array
    if not values.size or values.item(values.argmin()) >= TINY:
        return values
    tiny = (values < TINY) & (logarithms > -np.inf)
    if not tiny.any():
        return values
    mantissa, exponent = np.frexp(values)
    mantissa[tiny], exponent[tiny] = scaled_exp(logarithms[tiny])
    return Scaled(mantissa, exponent)
