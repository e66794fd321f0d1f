"""The textbook formulas in many digits: without log1p or other forms that avoid cancellation."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
"""Array of mpmath numbers, dtype object."""

DIGITS = 400
"""Decimal digits: 1 - p of a confident row may lose 308 of them, and 50 must be left."""

FARTHEST = 2.0**14
"""Distance in nats from which on exp(-distance) is 0, also times the largest factors."""


class Reference:
    """Every output of a request by name. Other attributes are named as in the formulas.

    The fields of the request have one batch axis: logits (N, K) or inputs (N, D), targets (N,) or (N, K). With both,
    the logits are those of the layer, rounded.
    digits: decimal digits of the arithmetic.
    """

    def __init__(
        self,
        logits: Any = None,
        *,
        inputs: Any = None,
        weights: Any = None,
        bias: Any = None,
        targets: Any = None,
        teacher_logits: Any = None,
        probabilities_gradient: Any = None,
        class_weights: Any = None,
        sample_weights: Any = None,
        temperature: float = 1.0,
        softcap: float | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
        z_loss: float = 0.0,
        reduction: str = "mean",
        denominator: float | None = None,
        learning_rate: float = 0.0,
        digits: int = DIGITS,
    ) -> None:
        self.mp = mp = mpmath.mp.clone()
        mp.dps = digits
        self.exact = exact = np.frompyfunc(mp.mpf, 1, 1)
        if inputs is not None:
            self.inputs, self.weights = exact(inputs), exact(weights)
            self.bias: Array | int = 0 if bias is None else exact(bias)
        self.logits: Array = self.inputs @ self.weights.T + self.bias if logits is None else exact(logits)
        self.T = mp.mpf(temperature)
        self.softcap = softcap
        self.vectors = None if probabilities_gradient is None else exact(probabilities_gradient)
        self.targets: Array = np.asarray(targets)
        self.teacher: Array | None = None if teacher_logits is None else exact(teacher_logits)
        if self.teacher is not None:
            exponentials = self._exp((self.teacher - self.teacher.max(axis=-1, keepdims=True)) / self.T)
            self.targets = exponentials / exponentials.sum(axis=-1, keepdims=True)
        count, self.K = self.logits.shape
        self.w: Array = exact(np.ones(self.K) if class_weights is None else class_weights)
        self.sample_weights: Array = exact(np.ones(count) if sample_weights is None else sample_weights)
        self.eps = mp.mpf(label_smoothing)
        self.ignore_index = ignore_index
        self.z_loss = mp.mpf(z_loss)
        self.reduction = reduction
        self.learning_rate = mp.mpf(learning_rate)
        self.divisor = None if denominator is None else mp.mpf(denominator)

    @cached_property
    def tanh(self) -> Array:
        """(N, K) Hyperbolic tangent of z / softcap."""
        return np.frompyfunc(self.mp.tanh, 1, 1)(self.logits / self.mp.mpf(self.softcap))

    @cached_property
    def u(self) -> Array:
        """(N, K) c / T, where c is softcap tanh(z / softcap), or z."""
        if self.softcap is None:
            return self.logits / self.T
        excluded = self.logits == -self.mp.inf
        return np.where(excluded, self.logits, self.softcap * self.tanh / self.T)

    @cached_property
    def slopes(self) -> Array | int:
        """(N, K) dc/dz."""
        return 1 if self.softcap is None else 1 - self.tanh**2

    @cached_property
    def distances(self) -> Array:
        """(N, K) u - max u."""
        return self.u - self.u.max(axis=-1, keepdims=True)

    @cached_property
    def exponentials(self) -> Array:
        """(N, K) exp(u - max u)."""
        return self._exp(self.distances)

    @cached_property
    def probabilities(self) -> Array:
        """(N, K) p = exp u / sum exp u."""
        return self.exponentials / self.exponentials.sum(axis=-1, keepdims=True)

    @cached_property
    def log_probabilities(self) -> Array:
        """(N, K) log p."""
        return self.distances - self.log1p_tail[:, None]

    @cached_property
    def log_normalizer(self) -> Array:
        """(N,) l = log sum exp u."""
        return self.u.max(axis=-1) + self.log1p_tail

    @cached_property
    def log1p_tail(self) -> Array:
        """(N,) l - max u."""
        return self._log(self.exponentials.sum(axis=-1))

    @cached_property
    def entropy(self) -> Array:
        """(N,) -sum p log p."""
        return -times(self.probabilities, self.log_probabilities).sum(axis=-1)

    @cached_property
    def jacobian(self) -> Array:
        """(N, K, K) dp_i/dz_j."""
        p = self.probabilities
        slopes = self.slopes if isinstance(self.slopes, int) else self.slopes[:, None, :]
        return p[:, :, None] * (np.eye(self.K, dtype=int) - p[:, None, :]) / self.T * slopes

    @cached_property
    def labelled(self) -> bool:
        """True if the targets are class indices."""
        return self.targets.ndim == 1

    @cached_property
    def s(self) -> Array:
        """(N,) Sample weights, 0 for a row that is not counted."""
        uncounted = self.labelled and self.targets == self.ignore_index
        return np.where(uncounted, self.exact(0), self.sample_weights)

    @cached_property
    def labels(self) -> Array:
        """(N,) y, 0 for a row that is not counted."""
        return np.where(self.targets == self.ignore_index, 0, self.targets)

    @property
    def one_hot_targets(self) -> Array:
        """(N, K) t, one-hot for labels."""
        return (np.arange(self.K) == self.labels[:, None]).astype(int) if self.labelled else self.exact(self.targets)

    @cached_property
    def a(self) -> Array:
        """(N, K) Effective targets."""
        t = self.one_hot_targets
        included = self.logits != -self.mp.inf
        smoothed = np.where(included, self.eps / np.maximum(included.sum(axis=-1, keepdims=True), 1), 0)
        return self.w * ((1 - self.eps) * t + smoothed)

    @cached_property
    def A(self) -> Array:  # noqa: N802 - the letter of the formula
        """(N, 1) sum a."""
        return self.a.sum(axis=-1, keepdims=True)

    @cached_property
    def denominator(self) -> Any:
        """() Denominator of the mean cross-entropy."""
        if self.divisor is not None:
            return self.divisor
        return (self.s * self.w[self.labels]).sum() if self.labelled else self.s.sum()

    @cached_property
    def shares(self) -> tuple[Any, Any]:
        """Reciprocals of the denominators of the cross-entropy and of the z-loss."""
        if self.reduction != "mean":
            return 1, 1
        if not self.denominator:
            return 0, 0
        z_denominator = self.s.sum() if self.divisor is None else self.divisor
        return 1 / self.denominator, 1 / z_denominator

    @cached_property
    def cross_entropies(self) -> Array:
        """(N,) s CE."""
        return -self.s * times(self.a, self.log_probabilities).sum(axis=-1)

    @cached_property
    def penalties(self) -> Array:
        """(N,) s z_loss l**2."""
        return self.s * self.z_loss * self.log_normalizer**2

    @cached_property
    def row_losses(self) -> Array:
        """(N,) Before reduction."""
        return self.cross_entropies + self.penalties

    @cached_property
    def loss(self) -> Any:
        """() or (N,) After reduction."""
        if self.reduction == "none":
            return self.row_losses
        share, z_share = self.shares
        return times(share, self.cross_entropies.sum()) + times(z_share, self.penalties.sum())

    @property
    def accuracy(self) -> float:
        """() Share of the counted rows whose largest logit is that of the target, without ties."""
        wanted = self.targets if self.labelled else self.targets.argmax(axis=-1)
        counted = wanted != self.ignore_index
        return (self.logits.argmax(axis=-1) == wanted)[counted].mean()

    @cached_property
    def counted(self) -> Array:
        """(N,) Rows that are counted."""
        return np.asarray(self.targets != self.ignore_index) if self.labelled else np.ones(len(self.targets), bool)

    @property
    def perplexity(self) -> Any:
        """() exp of the mean cross-entropy."""
        return self.mp.exp(self.cross_entropies.sum() / self.denominator) if self.denominator else self.mp.mpf(1)

    @property
    def brier_score(self) -> Any:
        """() Mean squared distance of probabilities and targets."""
        t = self.one_hot_targets
        return ((self.probabilities - t) ** 2).sum(axis=1)[self.counted].mean()

    @property
    def target_log_probabilities(self) -> Array:
        """(N,) log p of the label, 0 for a row that is not counted."""
        chosen = self.log_probabilities[np.arange(len(self.labels)), self.labels]
        return np.where(self.counted, chosen, 0)

    @cached_property
    def row_kl_divergences(self) -> Array:
        """(N,) sum t log(t / p) - t + p."""
        t = self.exact(self.targets)
        logarithms = self._log(np.where(t == 0, self.exact(1), t))
        return (times(t, logarithms - self.log_probabilities) - t + self.probabilities).sum(axis=1)

    @property
    def kl_divergence(self) -> Any:
        """() or (N,) After reduction."""
        rows = self.s * self.row_kl_divergences
        return rows if self.reduction == "none" else times(self.shares[0], rows.sum())

    @cached_property
    def _bins(self) -> tuple[Array, Array, Array]:
        """(15,) Counts, sums of confidences and hits of the bins."""
        expected = self.labels if self.labelled else self.targets.argmax(axis=1)
        sums = np.zeros((3, 15), object)
        for row in np.flatnonzero(self.counted):
            confidence = self.probabilities[row].max()
            place = max(int(self.mp.ceil(confidence * 15)) - 1, 0)
            sums[:, place] += [1, confidence, int(self.logits[row].argmax() == expected[row])]
        return sums[0], sums[1], sums[2]

    @property
    def bin_confidences(self) -> Array:
        """(15,) Mean confidence."""
        counts, confidences, _ = self._bins
        return confidences / np.maximum(counts, 1)

    @property
    def bin_accuracies(self) -> Array:
        """(15,) Share of hits."""
        counts, _, hits = self._bins
        return self.exact(hits) / np.maximum(counts, 1)

    @property
    def expected_calibration_error(self) -> Any:
        """() Mean gap, weighted by counts."""
        counts, confidences, hits = self._bins
        return np.abs(hits - confidences).sum() / max(1, counts.sum())

    @cached_property
    def g(self) -> Array:
        """(N, K) dL/du."""
        p = self.probabilities
        if self.vectors is not None:
            return p * (self.vectors - (self.vectors * p).sum(axis=-1, keepdims=True))
        share, z_share = self.shares
        penalty = 2 * self.z_loss * self.log_normalizer[:, None] * p
        return self.s[:, None] * ((self.A * p - self.a) * share + penalty * z_share)

    @cached_property
    def logits_gradient(self) -> Array:
        """(N, K) dL/dz."""
        return self.g / self.T * self.slopes

    @cached_property
    def weights_gradient(self) -> Array:
        """(K, D) dL/dW."""
        return self.logits_gradient.T @ self.inputs

    @cached_property
    def bias_gradient(self) -> Array:
        """(K,) dL/db."""
        return self.logits_gradient.sum(axis=0)

    @property
    def updated_weights(self) -> Array:
        """(K, D) Weights after a step."""
        return self.weights - self.learning_rate * self.weights_gradient

    @property
    def updated_bias(self) -> Array:
        """(K,) Bias after a step."""
        return self.bias - self.learning_rate * self.bias_gradient

    @cached_property
    def inputs_gradient(self) -> Array:
        """(N, D) dL/dx."""
        return self.logits_gradient @ self.weights

    @cached_property
    def temperature_gradient(self) -> Any:
        """() dL/dT, without excluded classes."""
        return -times(self.g, np.where(self.u == -self.mp.inf, 0, self.u)).sum() / self.T

    @cached_property
    def targets_gradient(self) -> Array:
        """(N, K) Cross-entropy part of dL/dt."""
        return -(1 - self.eps) * times(self.s[:, None] * self.w * self.shares[0], self.log_probabilities)

    @cached_property
    def hessian(self) -> Array:
        """(N, K, K) d2L/dz2, without a softcap."""
        p, (share, z_share) = self.probabilities, self.shares
        s, A, l = (values.reshape(-1, 1, 1) for values in (self.s, self.A, self.log_normalizer))  # noqa: E741, N806
        square = p[:, :, None] * p[:, None, :]
        curved = p[:, :, None] * np.eye(self.K, dtype=int) - square
        penalty = 2 * self.z_loss * (l * curved + square)
        return s * (A * curved * share + penalty * z_share) / self.T**2

    def _exp(self, distances: Array) -> Array:
        """Return exp of numbers that are not positive, 0 below exp(-`FARTHEST`)."""
        return np.where(distances < -FARTHEST, 0, np.frompyfunc(self.mp.exp, 1, 1)(np.maximum(distances, -FARTHEST)))

    def _log(self, values: Array) -> Array:
        return np.frompyfunc(self.mp.log, 1, 1)(values)


def times(weights: Array, values: Array) -> Array:
    """Return weights * values with 0 * inf = 0."""
    return np.where(weights == 0, weights, np.where(weights == 0, 0, values) * weights)
