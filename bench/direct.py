"""Compute outputs the direct way, with NumPy and SciPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, special

if TYPE_CHECKING:
    from service.arrays import Array

FEATURES, TOP_K, SOFTCAP, TEMPERATURE, BINS = 64, 5, 30.0, 0.7, 15
SMOOTHING, Z_LOSS, LEARNING_RATE = 0.1, 1e-3, 0.1


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

    def slopes(self, z: Array | None = None) -> Array:
        """Return p - onehot."""
        slopes = special.softmax(self.z if z is None else z, axis=-1)
        slopes[self.n, self.y] -= 1
        return slopes

    def gradient(self, z: Array | None = None) -> Array:
        """Return the gradient of the mean loss."""
        return self.slopes(z) / self.rows

    def top(self) -> Array:
        """Return the classes of the largest logits, in order."""
        chosen = np.argpartition(self.z, -TOP_K, axis=-1)[:, -TOP_K:]
        order = np.argsort(-np.take_along_axis(self.z, chosen, axis=-1), axis=-1)
        return np.take_along_axis(chosen, order, axis=-1)

    def counted_loss(self) -> float:
        """Return the mean loss of the rows that are not ignored."""
        counted = self.ignored >= 0
        logp = special.log_softmax(self.z[counted], axis=-1)
        return -logp[np.arange(len(logp)), self.ignored[counted]].mean()

    def smoothed_loss(self) -> float:
        """Return the mean loss with label smoothing."""
        logp = self.logp()
        return -(1 - SMOOTHING) * logp[self.n, self.y].mean() - SMOOTHING * logp.mean()

    def smoothed_gradient(self) -> Array:
        """Return the gradient of the mean loss with label smoothing."""
        g = self.p()
        g -= SMOOTHING / self.classes
        g[self.n, self.y] -= 1 - SMOOTHING
        g /= self.rows
        return g

    def z_loss(self) -> float:
        """Return the mean loss with a z-loss."""
        losses = self.losses()
        log_normalizer = losses + self.z[self.n, self.y]
        return (losses + Z_LOSS * log_normalizer**2).mean()

    def z_loss_gradient(self) -> Array:
        """Return the gradient of the mean loss with a z-loss."""
        g = self.p()
        log_normalizer = self.z.max(axis=-1, keepdims=True) - np.log(g.max(axis=-1, keepdims=True))
        g *= 1 + 2 * Z_LOSS * log_normalizer
        g[self.n, self.y] -= 1
        g /= self.rows
        return g

    def calibration_error(self) -> float:
        """Return the expected calibration error."""
        p = self.p()
        predictions = p.argmax(axis=-1)
        confidences = p[self.n, predictions]
        gaps = np.bincount(bins(confidences), confidences - (predictions == self.y), BINS)
        return np.abs(gaps).sum() / self.rows

    def bin_confidences(self) -> Array:
        """Return the mean confidence of each bin, 0 for an empty one."""
        confidences = self.p().max(axis=-1)
        places = bins(confidences)
        return np.bincount(places, confidences, BINS) / np.maximum(np.bincount(places, minlength=BINS), 1)

    def layer(self) -> Array:
        """Return the logits of the layer."""
        return self.x @ self.weights.T + self.bias

    def layer_slopes(self) -> Array:
        """Return p - onehot of the layer."""
        return self.slopes(self.layer())

    def calibrated(self) -> float:
        """Return the best temperature. It is float64, and so are the losses."""

        def loss(log_temperature: float) -> float:
            z = self.z / np.exp(log_temperature)
            return float(-special.log_softmax(z, axis=-1)[self.n, self.y].mean())

        bounds = np.log([1e-6, 1e6])
        return float(np.exp(optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8}).x))


def bins(confidences: Array) -> Array:
    """Return the bin of each confidence, its upper end included."""
    return np.ceil(confidences * BINS).astype(int) - 1
