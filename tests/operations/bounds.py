"""The bounds on the error of every output, as in docs/accuracy.md, and the share of them that an answer uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tests.operations.reference import FARTHEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.arrays import Array, Floats
    from tests.operations.reference import Reference

UNIT = 2.0**-53

SMALLEST = 2.0**-1074

LOST = 1e-309
"""Part of a layer's gradients that dL/dz may lose to underflow."""

LARGEST = float(np.finfo(np.float64).max)


class Case(NamedTuple):
    """The exact outputs of a request, and the B of each class, (N, K), in units."""

    exact: Reference
    bounds: Floats

    @property
    def own(self) -> Floats:
        """(N, K) B of a class plus B of the top class, or of the second class for the top one."""
        order = np.argsort(self.bounds, axis=1, kind="stable")
        compared = np.take_along_axis(self.bounds, order[:, :1], axis=1).repeat(self.bounds.shape[1], axis=1)
        if self.bounds.shape[1] > 1:
            np.put_along_axis(compared, order[:, :1], np.take_along_axis(self.bounds, order[:, 1:2], axis=1), axis=1)
        return self.bounds + compared

    @property
    def largest(self) -> Floats:
        """(N, 1) Largest B of a row's classes that matter."""
        return np.max(self.own, axis=1, keepdims=True)

    @property
    def normalizers(self) -> Array:
        """(N,) Size of the two terms of the log-normalizer, which may cancel."""
        return np.abs(self.exact.u.max(axis=1)) + self.exact.log1p_tail


def case(exact: Reference) -> Case:
    """Return the bounds of a request: 8 + g |z - max z| / T, with g = 8 with a softcap, 1 for a power of two, else 2.

    With a teacher, z - max z is that of the student plus that of the teacher.
    """
    logits = exact.logits
    temperature = float(exact.T)
    gaps = (logits.max(axis=1, keepdims=True) - logits) / exact.T
    if exact.teacher is not None:
        gaps = gaps + (exact.teacher.max(axis=1, keepdims=True) - exact.teacher) / exact.T
    distances = np.array([[min(float(gap), FARTHEST) for gap in row] for row in gaps])
    growth = 8.0 if exact.softcap is not None else 1.0 if np.frexp(temperature)[0] == 0.5 else 2.0
    return Case(exact, 8.0 + growth * distances)


def used(actual: Array, exact: Any, allowed: Any) -> float:
    """Return the largest error over what is allowed, in units of 2**-53 of a scale.

    A value beyond double range must be infinite, one that is at least normal must not be 0.
    """
    actual, exact = np.atleast_1d(actual), np.atleast_1d(np.asarray(exact, object))
    allowed = np.broadcast_to(np.asarray(allowed, object), exact.shape)
    assert (allowed >= 0).all(), "a bound is negative"
    sizes = np.abs(exact)
    beyond = sizes > LARGEST * (1 + 2.0**-48)
    assert (np.isinf(actual) | ~beyond).all(), "finite although the truth overflows"
    assert not np.isnan(actual).any()
    assert (actual[(sizes > 2.0**-1022) & (sizes > allowed * UNIT)] != 0.0).all(), "0 although the truth is normal"
    held = sizes + allowed * UNIT <= LARGEST * (1 - 2.0**-40)
    errors = np.abs(exact[held] - actual[held]) / (allowed[held] * UNIT + 8 * SMALLEST)
    return float(max(errors, default=0.0))


def of_log_normalizer(each: Case) -> Array:
    """(N,) 4 of max |z| / T and of the logarithm of the sum, and B_i of p_i of the classes beside the top one."""
    exact = each.exact
    others = np.where(exact.distances == 0, 0, each.bounds * exact.probabilities)
    return 4 * each.normalizers + others.sum(axis=1)


def terms_of_gradient(each: Case) -> Array:
    """(N, K) A p + a and the part of the z-loss, scaled as the gradient."""
    exact = each.exact
    terms = (exact.A * exact.probabilities + exact.a) * exact.shares[0]
    return np.abs(exact.s[:, None]) * (terms + penalties_of_gradient(each)) / exact.T


def penalties_of_gradient(each: Case) -> Array:
    """(N, K) The part of the z-loss."""
    exact = each.exact
    return 2 * exact.z_loss * each.normalizers[:, None] * exact.probabilities * exact.shares[1]


def of_row_losses(each: Case, share: Any, z_share: Any) -> Array:
    """(N,) s a |log p| with the B of its class, and of the z-loss."""
    exact = each.exact
    terms = times(np.abs(exact.s[:, None]) * exact.a * share, -exact.log_probabilities) * (each.own + 16)
    errors = of_log_normalizer(each)
    squares = (64 * each.normalizers + 2 * errors) * np.maximum(np.abs(exact.log_normalizer), UNIT * errors)
    return terms.sum(axis=1) + np.abs(exact.s) * exact.z_loss * squares * z_share


def of_loss_terms(each: Case) -> Any:
    """Return what `of_row_losses` gives, reduced like the loss."""
    rows = of_row_losses(each, *each.exact.shares)
    return rows if each.exact.reduction == "none" else rows.sum()


def times(weights: Array, values: Array) -> Array:
    """Return weights * values with 0 * inf = 0."""
    return np.where(weights == 0, weights, np.where(weights == 0, 0, values) * weights)


def size(values: Array) -> Array:
    """Return the absolute values."""
    return np.abs(np.asarray(values, object))


def of_temperature_gradient(each: Case) -> Any:
    """Return the sum of the sizes of the terms g v / T with their B."""
    exact = each.exact
    v = np.where(exact.u == -exact.mp.inf, 0, exact.u)
    return times(of_summed_gradient(each, each.own), np.abs(v)).sum()


def of_summed_gradient(each: Case, own: Any) -> Array:
    """(N, K) B and 16 + log2 N of the terms of the gradient."""
    depth = 16 + float(np.log2(max(len(each.exact.logits), 1)))
    return (own + depth) * terms_of_gradient(each) if each.exact.vectors is None else of_vector_terms(each, depth)


def of_vector_terms(each: Case, units: float = 16) -> Array:
    """(N, K) B_i + B_j + 16 of p_i p_j |u_i - u_j| / T, and 16 2**-53 of p_i max |u| / T."""
    exact, own = each.exact, each.own
    assert exact.vectors is not None
    spread = np.abs(exact.vectors[:, :, None] - exact.vectors[:, None, :])
    spread = spread * (own[:, :, None] + own[:, None, :] + units)
    second = 16 * UNIT * np.abs(exact.vectors).max(axis=1, keepdims=True)
    return exact.probabilities * ((spread * exact.probabilities[:, None, :]).sum(axis=2) + second) / exact.T


def of_teacher_terms(each: Case) -> Array:
    """(N, K) B + 32 of |p - t| and of max(p, t) sum_j |p_j - t_j|, and the part of the z-loss, scaled as the gradient."""
    exact = each.exact
    p, t = exact.probabilities, exact.targets
    differences = np.abs(p - t)
    terms = (differences + np.maximum(p, t) * differences.sum(axis=1, keepdims=True)) * exact.shares[0]
    return (each.own + 32) * np.abs(exact.s[:, None]) * (terms + penalties_of_gradient(each)) / exact.T


def of_divergence(each: Case) -> Any:
    """(N,) 2 B + 64 of sum |p - t| |log p - log t| over the classes."""
    exact = each.exact
    p, t = exact.probabilities, exact.targets
    ratios = np.abs(exact.log_probabilities - np.frompyfunc(exact.mp.log, 1, 1)(t))
    return (2 * (each.own + 32) * np.abs(p - t) * ratios).sum(axis=1)


def of_gradient(each: Case) -> Array:
    """(N, K) What the gradient by the logits may be off."""
    if each.exact.vectors is not None:
        return of_vector_terms(each)
    is_plain = each.exact.eps == 0 and (each.exact.w == 1).all() and each.exact.softcap is None
    if each.exact.teacher is not None and is_plain:
        return of_teacher_terms(each)
    exact = each.exact
    totals = of_totals(each) * exact.A * exact.probabilities * np.abs(exact.s[:, None]) * exact.shares[0] / exact.T
    return each.own * terms_of_gradient(each) + totals


def of_totals(each: Case) -> Array | int:
    """(N, 1) Mean B of the terms of A, weighted by their sizes: a teacher's targets are off as probabilities are."""
    exact = each.exact
    if exact.teacher is None:
        return 0
    return (each.own * exact.a).sum(axis=1, keepdims=True) / np.where(exact.A == 0, 1, exact.A)


def of_curvature(each: Case) -> Array:
    """(N, K, K) B_i + B_j + 16 of the terms of the Jacobian."""
    exact, own = each.exact, each.own
    p = exact.probabilities
    terms = p[:, :, None] * (np.eye(exact.K, dtype=int) + p[:, None, :])
    diagonal = np.eye(exact.K, dtype=int) * (p * (1 - p))[:, :, None]
    terms = np.where(np.eye(exact.K, dtype=bool), diagonal, terms)
    slopes = 1 if isinstance(exact.slopes, int) else np.abs(exact.slopes)[:, None, :]
    bent = 0 if exact.softcap is None else 4 * np.abs(exact.logits / exact.softcap)[:, None, :]
    return times(terms * slopes, own[:, :, None] + own[:, None, :] + 16 + bent) / exact.T


def of_hessian(each: Case) -> Array:
    """(N, K, K) B_i + B_j + 16 of the terms of the Hessian."""
    exact, own = each.exact, each.own
    p, (share, z_share) = exact.probabilities, exact.shares
    square, diagonal = p[:, :, None] * p[:, None, :], np.eye(exact.K, dtype=int) * (p * (1 - p))[:, :, None]
    curved = np.where(np.eye(exact.K, dtype=bool), diagonal, square)
    s, a, normalizers = (np.abs(v).reshape(-1, 1, 1) for v in (exact.s, exact.A, each.normalizers))
    terms = s * (a * curved * share + 2 * exact.z_loss * (normalizers * curved + square) * z_share)
    return terms * (own[:, :, None] + own[:, None, :] + np.reshape(of_totals(each), (-1, 1, 1)) + 16) / exact.T**2


def of_divergences(each: Case) -> Array:
    """(N,) 32 + B of p_i |log p_i - log t_i|, p_i where t_i is 0."""
    exact = each.exact
    t = exact.exact(exact.targets)
    logarithms = np.frompyfunc(exact.mp.log, 1, 1)(np.where(t == 0, exact.exact(1), t))
    distances = np.where(t == 0, 1, size(exact.log_probabilities - logarithms))
    return (times(np.maximum(t, exact.probabilities), distances) * (each.own + 32)).sum(axis=1)


def reduced(rows: Array, each: Case) -> Any:
    """(N,) allowances of rows, reduced like the loss."""
    rows = np.abs(each.exact.s) * rows
    return rows if each.exact.reduction == "none" else times(each.exact.shares[0], rows.sum())


def over_rows(terms: Callable[[Reference, Array], Any]) -> Callable[[Case], Any]:
    """Return the largest B and 16 + log2 N, of the sizes of terms added over the rows."""

    def allowed(each: Case) -> Any:
        return terms(each.exact, of_summed_gradient(each, each.largest.max()) * np.abs(each.exact.slopes))

    return allowed


def of_layer(allowed: Callable[[Case], Any]) -> Callable[[Case], Any]:
    """Return what is allowed, and what dL/dz may lose to underflow."""
    return lambda each: allowed(each) + LOST / UNIT


def of_updated(gradient: Callable[[Case], Any], values: str) -> Callable[[Case], Any]:
    """Return that of the gradient times the learning rate, and 2 of the result and of the step."""

    def allowed(each: Case) -> Any:
        slopes, result = size(getattr(each.exact, f"{values}_gradient")), size(getattr(each.exact, f"updated_{values}"))
        return abs(each.exact.learning_rate) * (gradient(each) + 2 * slopes) + 2 * result

    return allowed


def of_perplexity(each: Case) -> Any:
    """Return the bound of the mean cross-entropy, and 16, of the perplexity."""
    exact = each.exact
    share = 1 / abs(exact.denominator) if exact.denominator else 0
    return exact.perplexity * (of_row_losses(each, share, 0).sum() + 16)


def of_brier_score(each: Case) -> Any:
    """Return twice B + 16 of |p - t| max(p, |p - t|), added over the classes."""
    exact = each.exact
    differences = size(exact.probabilities - exact.one_hot_targets)
    terms = 2 * (each.own + 16) * differences * np.maximum(exact.probabilities, differences)
    return terms.sum(axis=1)[exact.counted].mean()


of_weights = over_rows(lambda exact, terms: terms.T @ np.abs(exact.inputs))
of_bias = over_rows(lambda _, terms: terms.sum(axis=0))

BOUNDS: dict[str, Callable[[Case], Any]] = {
    "probabilities": lambda each: each.own * each.exact.probabilities,
    "log_probabilities": lambda each: each.own * size(each.exact.log_probabilities),
    "log_normalizer": of_log_normalizer,
    "entropy": lambda each: (each.own + 8).max(axis=1) * each.exact.entropy,
    "loss": of_loss_terms,
    "logits_gradient": of_gradient,
    "temperature_gradient": of_temperature_gradient,
    "targets_gradient": lambda each: (each.own + 8) * size(each.exact.targets_gradient),
    "jacobian": of_curvature,
    "row_losses": lambda each: of_row_losses(each, 1, 1),
    "target_log_probabilities": lambda each: (
        (each.own + 8)[np.arange(len(each.exact.labels)), each.exact.labels] * size(each.exact.target_log_probabilities)
    ),
    "row_kl_divergences": of_divergences,
    "kl_divergence": lambda each: reduced(of_divergences(each), each),
    "hessian": of_hessian,
    "weights_gradient": of_layer(of_weights),
    "bias_gradient": of_layer(of_bias),
    "updated_weights": of_layer(of_updated(of_weights, "weights")),
    "updated_bias": of_layer(of_updated(of_bias, "bias")),
    "perplexity": of_perplexity,
    "brier_score": of_brier_score,
    "inputs_gradient": of_layer(over_rows(lambda exact, terms: terms @ np.abs(exact.weights))),
    "denominator": lambda each: 16 * size(each.exact.denominator),
}
"""Bound on the error of each output, in units of 2**-53."""
