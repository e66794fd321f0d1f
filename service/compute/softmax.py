"""Softmax of rows of logits, to the last digits, and what follows from it alone."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


SHORT_ROW = 64
"""Classes up to which a plain sum is as exact as a pairwise one, and a product with ones takes half the time; float32, too,
takes less only beyond."""

ONES = np.ones(SHORT_ROW)

UNSHIFTED = 680.0
"""Largest logit up to which a row is not shifted: exp(680) is in range, and so is the sum of 10**12 of them."""

UNSHIFTED_SINGLE = 60.0
"""The same in float32."""

MODERATE = int(np.float64(UNSHIFTED).view(np.uint64))
MODERATE_SINGLE = int(np.float32(UNSHIFTED_SINGLE).view(np.uint32))
"""Their bits."""

Value = TypeVar("Value")


class quantity(Generic[Value]):  # noqa: N801 - a decorator, like property
    """An attribute that is computed when first asked for, and then kept.

    functools.cached_property takes a lock before Python 3.12: 0.5 us each time, where this takes 0.2.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self.compute = compute
        self.name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...

    @overload
    def __get__(self, owner: object, kind: type) -> Value: ...

    def __get__(self, owner: object | None, kind: type) -> Self | Value:
        if owner is None:
            return self
        value = owner.__dict__[self.name] = self.compute(owner)
        return value


class Softmax:
    """p[n, i] = exp(u[n, i]) / sum_j exp(u[n, j]) of a block of rows; each quantity is computed when first asked for.

    u = c / T, with c = softcap * tanh(z / softcap), or c = z without a softcap.

    logits: (n, K), nats. A row of -inf alone has p = 0 everywhere.
    temperature, softcap: positive and finite.
    top_k: how many of the most probable classes `top_k_classes` names.

    The row is shifted by its largest logit before it is scaled, so that neither step can make inf - inf. The exponentials
    are summed without the largest, and that tail divided by it: log1p of the tail keeps the digits that log of the whole sum
    rounds away when one class dominates.

    .. [1] Blanchard, Higham & Higham (2021), Accurately computing the log-sum-exp and softmax functions.
    """

    def __init__(
        self,
        logits: Floats,
        temperature: float = 1.0,
        softcap: float | None = None,
        top_k: int | None = None,
    ) -> None:
        self.logits = logits
        self.temperature = temperature
        self.softcap = softcap
        self.top_k = top_k
        self.memory: dict[str, Floats] = {}
        """Where to put a quantity, (n, K), rather than in an array of its own: probabilities and log_probabilities."""
        self.top: Integers = logits.argmax(-1)
        """(n,) The class of the largest logit, the lowest index of equals."""
        self._top_places = self.top if logits.shape[0] == 1 else starts(*logits.shape) + self.top
        """(n,) Its place in the flat (n, K)."""
        self.maximum: Floats = logits.take(self._top_places)
        """(n,) max z."""
        self.is_moderate = are_moderate(self.maximum)
        """Is max z from 0 to UNSHIFTED in every row?"""
        self.empty = None if self.is_moderate else empty_rows(self.maximum)
        """(n,) Rows of which every class is excluded; None if there are none."""

    @quantity
    def distances(self) -> Floats:
        """(n, K) d = u - max u, at most 0."""
        return self._distances(self.logits)

    def distances_at(self, classes: Integers) -> Floats:
        """(n,) d of one class of each row."""
        return self._distances(self.at(self.logits, classes)[:, None])[:, 0]

    def _distances(self, logits: Floats) -> Floats:
        """(n, k) u - max u of some logits of each row, in an array of its own."""
        maximum = self.maximum if self.empty is None else np.where(self.empty, 0.0, self.maximum)
        if self.softcap is None:
            return scaled_difference(logits, maximum, self.temperature)
        # tanh a - tanh b = 2 expm1(2 (a - b)) sigmoid(-2 a) sigmoid(2 b), which does not cancel where both are saturated
        a, b = logits / self.softcap, maximum / self.softcap
        distances = np.expm1(2.0 * scaled_difference(logits, maximum, self.softcap))
        distances /= 1.0 + np.exp(2.0 * a)
        distances /= (1.0 + np.exp(-2.0 * b))[:, None]
        distances *= 2.0
        # the smaller factor first, so that the product does not overflow on its way
        if self.temperature > 1.0:
            distances /= self.temperature
            distances *= self.softcap
        else:
            distances *= self.softcap
            distances /= self.temperature
        distances[np.isneginf(logits)] = -np.inf
        return distances

    @quantity
    def exponentials(self) -> Floats:
        """(n, K) e = exp(u - c), c[n] = max u, or 0 where no exponential can overflow, nor be less than its probability.

        A difference costs a pass over the block, and its rounding the digits of exp(d).
        """
        memory = self.memory.get("probabilities")
        if self.temperature == 1.0 and self.softcap is None:
            if self.is_moderate:
                return np.exp(self.logits, out=memory)
            unshifted = (self.maximum >= 0.0) & (self.maximum <= UNSHIFTED)
            if self.empty is not None:
                unshifted |= self.empty
            shifts = np.where(unshifted, 0.0, self.maximum)
            distances = np.subtract(self.logits, shifts[:, None], out=memory)
        elif "distances" in self.__dict__:
            return np.exp(self.distances, out=memory)
        else:
            distances = self._distances(self.logits)
        return np.exp(distances, out=distances if memory is None else memory)

    @quantity
    def tail(self) -> Floats:
        """(n,) s, the sum of exp d over every class but the top one."""
        flat = self.exponentials.reshape(-1)
        largest = flat.take(self._top_places)
        flat[self._top_places] = 0.0
        tail = row_sums(self.exponentials)
        flat[self._top_places] = largest
        return tail / (largest if self.empty is None else np.where(self.empty, 1.0, largest))

    @quantity
    def log_tail(self) -> Floats:
        """(n,) log1p(s) = logsumexp(u) - max u."""
        return np.log1p(self.tail)

    @quantity
    def probabilities(self) -> Floats:
        """(n, K) p = e / sum e, in the memory of e: who needs `tail` too asks for that first."""
        total = row_sums(self.exponentials)
        if self.empty is not None:
            total[self.empty] = 1.0
        exponentials: Floats = self.__dict__.pop("exponentials")
        self.memory.pop("probabilities", None)
        # a number divides in half the time that an array takes to be spread over the classes
        exponentials /= total.item() if len(total) == 1 else total.astype(exponentials.dtype, copy=False)[:, None]
        return exponentials

    @quantity
    def complements(self) -> Floats:
        """(n, K) q = 1 - p, as s / (1 + s) for the top class, where 1 - p would cancel."""
        others = self.tail / (1.0 + self.tail)
        complements = 1.0 - self.probabilities
        self.put(complements, self.top, others)
        return complements

    def complements_at(self, classes: Integers) -> Floats:
        """(n,) q of one class of each row."""
        others = self.tail / (1.0 + self.tail)
        return np.where(classes == self.top, others, 1.0 - self.at(self.probabilities, classes))

    @quantity
    def surprisals(self) -> Floats:
        """(n, K) -log p = log1p(s) - d."""
        distances = self.distances
        return self.log_tail[:, None] - distances

    @quantity
    def log_probabilities(self) -> Floats:
        """(n, K) log p = d - log1p(s), nats; -inf for an excluded class."""
        distances = self.distances
        log_tail = self.log_tail.astype(distances.dtype, copy=False)
        return np.subtract(distances, log_tail[:, None], out=self.memory.get("log_probabilities"))

    @quantity
    def scaled_maximum(self) -> Floats:
        """(n,) max u."""
        maximum = self.maximum
        if self.softcap is not None:
            capped = self.softcap * np.tanh(maximum / self.softcap)
            maximum = np.where(np.isneginf(maximum), maximum, capped)
        return maximum / self.temperature

    @quantity
    def log_normalizer(self) -> Floats:
        """(n,) l = logsumexp(u), nats."""
        return self.scaled_maximum + self.log_tail

    @property
    def predictions(self) -> Integers:
        """(n,) The most probable class, the lowest index of equals; -1 if every class is excluded."""
        return self.top if self.empty is None else np.where(self.empty, -1, self.top)

    @quantity
    def entropy(self) -> Floats:
        """(n,) -sum_i p_i log p_i, nats, with 0 log 0 = 0."""
        surprisals = self.surprisals
        return product(self.probabilities, surprisals).sum(axis=-1)

    @quantity
    def top_k_classes(self) -> Integers:
        """(n, k) The k most probable classes in falling order, the lowest index first among equals; -1 for an excluded one."""
        order = np.argsort(-self.logits, axis=-1, kind="stable")[:, : self.top_k]
        return np.where(np.isneginf(np.take_along_axis(self.logits, order, axis=-1)), -1, order)

    @quantity
    def top_k_probabilities(self) -> Floats:
        """(n, k) p of `top_k_classes`; 0 for an excluded one."""
        chosen = np.take_along_axis(self.probabilities, self.top_k_classes, axis=-1)
        return np.where(self.top_k_classes < 0, 0.0, chosen)

    @quantity
    def slopes(self) -> Floats | None:
        """(n, K) dc/dz = 1 - tanh(z / softcap)**2, as 1 / cosh**2, which does not cancel; None without a softcap."""
        return None if self.softcap is None else (1.0 / np.cosh(self.logits / self.softcap)) ** 2

    @quantity
    def jacobian(self) -> Floats:
        """(n, K, K) dp_i/dz_j = p_i (delta_ij - p_j) / T * dc_j/dz_j."""
        jacobian = self._curvature(1.0, 0.0)
        jacobian /= self.temperature
        if self.slopes is not None:
            jacobian *= self.slopes[:, None, :]
        return jacobian

    def _curvature(self, spread: Floats | float, square: Floats | float) -> Floats:
        """(n, K, K) spread (diag p - p p^T) + square p p^T, for (n,) factors."""
        complements, spread, square = self.complements, np.reshape(spread, (-1, 1)), np.reshape(square, (-1, 1))
        p = self.probabilities
        curvature = 0.0 - ((spread - square) * p)[:, :, None] * p[:, None, :]
        diagonal = np.arange(p.shape[1])
        curvature[:, diagonal, diagonal] = p * (spread * complements + square * p)
        return curvature

    # one flat index costs a third of a pair of indices

    def at(self, values: Floats, classes: Integers) -> Floats:
        """(n,) values[n, classes[n]] of a contiguous (n, K)."""
        return values.take(starts(*values.shape) + classes)

    def put(self, values: Floats, classes: Integers, new: Floats | float) -> None:
        """values[n, classes[n]] = new[n] in a contiguous (n, K)."""
        values.reshape(-1)[starts(*values.shape) + classes] = new


@lru_cache(maxsize=8)
def starts(rows: int, classes: int) -> Integers:
    """(n,) The place of each row in a flat (n, K)."""
    return np.arange(0, rows * classes, classes)


def empty_rows(maxima: Floats) -> npt.NDArray[np.bool_] | None:
    """(n,) Which of the largest logits are -inf; None if there are none."""
    return None if np.minimum.reduce(maxima, initial=0.0) > -np.inf else maxima == -np.inf


def are_moderate(maxima: Floats) -> bool:
    """Is each of (n,) largest logits from 0 to UNSHIFTED, or to UNSHIFTED_SINGLE if they are float32?"""
    if maxima.size == 1:
        # in half the time
        return 0.0 <= maxima.item() <= (UNSHIFTED if maxima.dtype == np.float64 else UNSHIFTED_SINGLE)
    # bit patterns of floats are in order from 0 up, and those of negative numbers and NaN come behind all of them
    kind, most = (np.uint64, MODERATE) if maxima.dtype == np.float64 else (np.uint32, MODERATE_SINGLE)
    bits = maxima.view(kind)
    return not bits.size or bits.item(bits.argmax()) <= most


class SingleSoftmax:
    """Softmax at T = 1 of a block of float32 logits, in float32 in each row whose largest is from 0 to UNSHIFTED_SINGLE.

    There an exponential is off by up to 2.5 units in its last place (NumPy's own), and a probability by up to 6 in its own,
    which may be half as large. In other rows the difference that is rounded would cost as many units as it is large, so they
    are computed in float64; as is all that is asked for but QUANTITIES.

    logits: (n, K), float32; in_double: makes of logits, in float64, what has the other quantities.
    """

    QUANTITIES = frozenset({"probabilities", "log_probabilities", "log_normalizer", "top_k_probabilities"})

    def __init__(
        self, logits: npt.NDArray[np.float32], in_double: Callable[[Floats], Softmax], top_k: int | None = None
    ) -> None:
        self.logits = logits
        self._in_double = in_double
        self._single = Softmax(logits, top_k=top_k)  # type: ignore[arg-type]  # what is asked of it is as good in float32
        self.maximum, self.predictions = self._single.maximum, self._single.predictions
        self.is_moderate = self._single.is_moderate
        self._others = None
        if not self.is_moderate:
            self._others = ~((self.maximum >= 0.0) & (self.maximum <= UNSHIFTED_SINGLE))

    @property
    def memory(self) -> dict[str, Floats]:
        """As in Softmax."""
        return self._single.memory

    @quantity
    def _doubles(self) -> Softmax:
        """All rows in float64."""
        return self._in_double(self.logits.astype(np.float64))

    @quantity
    def _other_doubles(self) -> Softmax:
        """The other rows in float64."""
        return Softmax(self.logits[self._others].astype(np.float64), top_k=self._single.top_k)

    def __getattr__(self, name: str) -> Any:
        """A quantity."""
        if name not in self.QUANTITIES or (self._others is not None and self._others.all()):
            return getattr(self._doubles, name)
        values = getattr(self._single, name)
        if self._others is not None:
            values[self._others] = getattr(self._other_doubles, name)
        return values


def scaled_difference(values: Floats, references: Floats, scale: float) -> Floats:
    """(values[n, i] - references[n]) / scale, (n, K), also where the difference alone is beyond double range."""
    if scale <= 1.0:
        # a difference that overflows does so the more when it is divided
        difference = values - references[:, None]
        return difference if scale == 1.0 else difference / scale
    try:
        with np.errstate(over="raise"):
            difference = values - references[:, None]
    except FloatingPointError:
        difference = values - references[:, None]
        halved = (values / 2.0 - references[:, None] / 2.0) / (scale / 2.0)
        return np.where(np.isinf(difference), halved, difference / scale)
    difference /= scale
    return difference


def row_sums(values: Floats) -> Floats:
    """(n,) sum_i values[n, i], float64, of numbers that are not negative; the same bits whatever the other rows are."""
    rows, classes = values.shape
    if rows == 1 and classes <= SHORT_ROW:
        # what vecdot does for each row, without going round them
        return values.dot(ONES[:classes])
    return np.vecdot(values, ONES[:classes]) if classes <= SHORT_ROW else np.add.reduce(values, -1, np.float64)


def product(weights: Floats, values: Floats) -> Floats:
    """weights * values with 0 * inf = 0: what weighs nothing adds nothing."""
    return np.multiply(weights, values, out=np.zeros(np.broadcast(weights, values).shape), where=weights != 0.0)


def sum_of_others(values: Floats) -> Floats:
    """(n, K) sum_j values[n, j] over j != i, for values that are not negative, without cancelling.

    The total minus the value is exact enough wherever the value is not the largest; for the largest the others are summed.
    """
    rows, largest = np.arange(len(values)), values.argmax(axis=-1)
    others = values.sum(axis=-1)[:, None] - values
    rest = values.copy()
    rest[rows, largest] = 0.0
    others[rows, largest] = rest.sum(axis=-1)
    return others
