"""Compute outputs the direct way, with NumPy and SciPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, special

if TYPE_CHECKING:
    from service.arrays import Array

FEATURES, TOP_K, SOFTCAP, TEMPERATURE, BINS = 64, 5, 30.0, 0.7, 15


class Data:
    """The tensors of a shape and dtype.

    z: logits. y: labels. t: target probabilities. v: a gradient with respect to probabilities. s, w: weights of rows and
    of classes. x: inputs of a layer. n: the numbers of the rows.
    """

    def __init__(self, rows: int, classes: int, dtype: str, logits: Array | None = None) -> None:
        random = np.random.default_rng(0)

        def normal(*shape: int) -> Array:
            return random.normal(size=shape).astype(dtype)

        self.rows, self.classes, self.dtype = rows, classes, dtype
        self.z = 3 * normal(rows, classes) if logits is None else logits.astype(dtype)
        self.masked = np.where(random.random((rows, classes)) < 0.3, -np.inf, self.z).astype(dtype)  # noqa: PLR2004
        self.masked[:, 0] = 0.0
        self.y = random.integers(classes, size=rows)
        self.y[::2] = self.z[::2].argmax(axis=-1)
        self.ignored = np.where(np.arange(rows) % 2, self.y, -1)
        self.ignored[0] = 0
        self.t = special.softmax(normal(rows, classes), axis=-1)
        self.v = normal(rows, classes)
        self.s, self.w = random.random(rows).astype(dtype), random.random(classes).astype(dtype)
        self.x, self.weights, self.bias = normal(rows, FEATURES), normal(classes, FEATURES) / 8, normal(classes)
        self.n = np.arange(rows)

    def logp(self) -> Array:
        """Return log p."""
        return special.log_softmax(self.z, axis=-1)

    def p(self) -> Array:
        """Return p."""
        return special.softmax(self.z, axis=-1)

    def losses(self) -> Array:
        """Return the row losses."""
        return -self.logp()[self.n, self.y]

    def gradient(self, z: Array | None = None) -> Array:
        """Return the gradient of the mean loss."""
        g = special.softmax(self.z if z is None else z, axis=-1)
        g[self.n, self.y] -= 1
        return g / self.rows

    def top(self) -> Array:
        """Return the classes of the largest logits, in order."""
        chosen = np.argpartition(self.z, -TOP_K, axis=-1)[:, -TOP_K:]
        order = np.argsort(-np.take_along_axis(self.z, chosen, axis=-1), axis=-1)
        return np.take_along_axis(chosen, order, axis=-1)

    def smoothed(self) -> Array:
        """Return smoothed targets."""
        t = np.full(self.z.shape, 0.1 / self.classes, self.dtype)
        t[self.n, self.y] += 0.9
        return t

    def bins(self) -> tuple[Array, Array, Array]:
        """Return counts, confidences and hits of the bins."""
        p = self.p()
        places = np.minimum((p.max(axis=-1) * BINS).astype(int), BINS - 1)
        hits = p.argmax(axis=-1) == self.y
        return tuple(np.bincount(places, w, BINS) for w in (None, p.max(axis=-1), hits))  # type: ignore[return-value]

    def layer(self) -> Array:
        """Return the logits of the layer."""
        return self.x @ self.weights.T + self.bias

    def calibrated(self) -> float:
        """Return the best temperature."""

        def loss(log_temperature: float) -> float:
            z = self.z / np.exp(log_temperature)
            return float(-special.log_softmax(z, axis=-1)[self.n, self.y].mean())

        bounds = np.log([1e-6, 1e6])
        return float(np.exp(optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8}).x))
