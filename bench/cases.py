"""The outputs and options to time, each with its request and the direct way to compute it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import special

from bench.direct import LEARNING_RATE, SMOOTHING, SOFTCAP, TEMPERATURE, TOP_K, Z_LOSS, Data

if TYPE_CHECKING:
    from collections.abc import Callable


class Case(NamedTuple):
    """An output or option: the request for it, and the direct way, of the same arrays."""

    name: str
    operation: str
    request: Callable[[Data], dict[str, Any]]
    direct: Callable[[Data], Any]
    text: str


def softmax(output: str, direct: Callable[[Data], Any], text: str, **options: Any) -> Case:
    """Return a case of softmax."""
    return Case(output, "softmax", lambda d: {"logits": d.z, **options, "outputs": [output]}, direct, text)


def labelled(output: str, direct: Callable[[Data], Any], text: str, **options: Any) -> Case:
    """Return a case with labels."""
    operation = "gradient" if "gradient" in output or output == "hessian" else "loss"
    return Case(
        output, operation, lambda d: {"logits": d.z, "targets": d.y, **options, "outputs": [output]}, direct, text
    )


def option(name: str, output: str, request: Callable[[Data], dict[str, Any]], direct: Any, text: str) -> Case:
    """Return a case of an option."""
    operation = {"probabilities": "softmax", "loss": "loss"}.get(output, "gradient")
    return Case(
        f"{output}, {name}",
        operation,
        lambda d: {"logits": d.z} | request(d) | {"outputs": [output]},
        direct,
        text,
    )


def layer(output: str, direct: Callable[[Data], Any], text: str, **options: Any) -> Case:
    """Return a case of a layer."""

    def request(d: Data) -> dict[str, Any]:
        return {"inputs": d.x, "weights": d.weights, "bias": d.bias, "targets": d.y, **options, "outputs": [output]}

    return Case(f"{output}, layer", "gradient", request, direct, text)


CASES = (
    softmax("probabilities", lambda d: d.p(), "special.softmax(z)"),
    softmax("log_probabilities", lambda d: d.logp(), "special.log_softmax(z)"),
    softmax("predictions", lambda d: d.z.argmax(axis=-1), "z.argmax()"),
    softmax("log_normalizer", lambda d: special.logsumexp(d.z, axis=-1), "special.logsumexp(z)"),
    softmax("entropy", lambda d: special.entr(d.p()).sum(axis=-1), "special.entr(p).sum()"),
    softmax("top_k_classes", lambda d: d.top(), "argpartition, argsort", top_k=TOP_K),
    softmax(
        "top_k_probabilities",
        lambda d: np.take_along_axis(d.p(), d.top(), axis=-1),
        "take_along_axis(p, top)",
        top_k=TOP_K,
    ),
    softmax(
        "top_k_log_probabilities",
        lambda d: np.take_along_axis(d.logp(), d.top(), axis=-1),
        "take_along_axis(log p, top)",
        top_k=TOP_K,
    ),
    softmax(
        "jacobian",
        lambda d: (p := d.p())[:, :, None] * (np.eye(d.classes, dtype=d.dtype) - p[:, None, :]),
        "p (I - p)",
    ),
    option(
        "temperature",
        "probabilities",
        lambda _: {"temperature": TEMPERATURE},
        lambda d: special.softmax(d.z / TEMPERATURE, axis=-1),
        "softmax(z / T)",
    ),
    option(
        "softcap",
        "probabilities",
        lambda _: {"softcap": SOFTCAP},
        lambda d: special.softmax(SOFTCAP * np.tanh(d.z / SOFTCAP), axis=-1),
        "softmax(S tanh(z / S))",
    ),
    option(
        "30 % masked",
        "probabilities",
        lambda d: {"logits": d.masked},
        lambda d: special.softmax(d.masked, axis=-1),
        "softmax(z with -inf)",
    ),
    labelled("loss", lambda d: d.losses().mean(), "-log_softmax(z)[n, y].mean()"),
    labelled("row_losses", lambda d: d.losses(), "-log_softmax(z)[n, y]"),
    labelled("target_log_probabilities", lambda d: d.logp()[d.n, d.y], "log_softmax(z)[n, y]"),
    labelled("accuracy", lambda d: (d.z.argmax(axis=-1) == d.y).mean(), "(z.argmax() == y).mean()"),
    labelled(
        "top_k_accuracy",
        lambda d: ((d.z > d.z[d.n, d.y][:, None]).sum(axis=-1) < TOP_K).mean(),
        "((z > z[n, y]).sum() < k).mean()",
        top_k=TOP_K,
    ),
    labelled("perplexity", lambda d: np.exp(d.losses().mean()), "exp(loss)"),
    labelled("brier_score", lambda d: np.vdot(g := d.slopes(), g) / d.rows, "vdot(g, g) / N, g = p - onehot"),
    labelled("expected_calibration_error", lambda d: d.calibration_error(), "bincount(p.max() - hits)"),
    labelled("bin_confidences", lambda d: d.bin_confidences(), "bincount(p.max()) / bincount()"),
    option(
        "target probabilities",
        "loss",
        lambda d: {"targets": d.t},
        lambda d: -np.vdot(d.t, d.logp()) / d.rows,
        "-vdot(t, log p) / N",
    ),
    option(
        "class_weights, sample_weights",
        "loss",
        lambda d: {"targets": d.y, "class_weights": d.w, "sample_weights": d.s},
        lambda d: ((r := d.s * d.w[d.y]) * d.losses()).sum() / r.sum(),
        "(s w[y] losses).sum() / (s w[y]).sum()",
    ),
    option(
        "ignore_index",
        "loss",
        lambda d: {"targets": d.ignored, "ignore_index": -1},
        lambda d: d.counted_loss(),
        "loss of z[y != -1]",
    ),
    option(
        "label_smoothing",
        "loss",
        lambda d: {"targets": d.y, "label_smoothing": SMOOTHING},
        lambda d: d.smoothed_loss(),
        "(1 - e) loss - e (log p).mean()",
    ),
    option(
        "z_loss",
        "loss",
        lambda d: {"targets": d.y, "z_loss": Z_LOSS},
        lambda d: d.z_loss(),
        "(losses + c l**2).mean(), l = losses + z[n, y]",
    ),
    Case(
        "kl_divergence",
        "loss",
        lambda d: {"logits": d.z, "targets": d.t, "outputs": ["kl_divergence"]},
        lambda d: special.kl_div(d.t, d.p()).sum() / d.rows,
        "special.kl_div(t, p).sum() / N",
    ),
    labelled("logits_gradient", lambda d: d.gradient(), "(p - onehot) / N"),
    option(
        "target probabilities",
        "logits_gradient",
        lambda d: {"targets": d.t},
        lambda d: (d.p() - d.t) / d.rows,
        "(p - t) / N",
    ),
    option(
        "class_weights, sample_weights",
        "logits_gradient",
        lambda d: {"targets": d.y, "class_weights": d.w, "sample_weights": d.s},
        lambda d: d.slopes() * ((r := d.s * d.w[d.y]) / r.sum())[:, None],
        "(p - onehot) (s w[y] / (s w[y]).sum())",
    ),
    option(
        "label_smoothing",
        "logits_gradient",
        lambda d: {"targets": d.y, "label_smoothing": SMOOTHING},
        lambda d: d.smoothed_gradient(),
        "(p - e / K - (1 - e) onehot) / N",
    ),
    option(
        "z_loss",
        "logits_gradient",
        lambda d: {"targets": d.y, "z_loss": Z_LOSS},
        lambda d: d.z_loss_gradient(),
        "(p (1 + 2 c l) - onehot) / N, l = z.max() - log(p.max())",
    ),
    option(
        "softcap",
        "logits_gradient",
        lambda d: {"targets": d.y, "softcap": SOFTCAP},
        lambda d: d.gradient(SOFTCAP * (t := np.tanh(d.z / SOFTCAP))) * (1 - t**2),
        "(p - onehot) / N (1 - tanh(z / S)**2)",
    ),
    option(
        "probabilities_gradient",
        "logits_gradient",
        lambda d: {"probabilities_gradient": d.v},
        lambda d: (p := d.p()) * (d.v - np.vecdot(d.v, p)[:, None]),
        "p (v - vecdot(v, p))",
    ),
    labelled("temperature_gradient", lambda d: -np.vdot(d.slopes(), d.z) / d.rows, "-vdot(p - onehot, z) / N"),
    Case(
        "targets_gradient",
        "gradient",
        lambda d: {"logits": d.z, "targets": d.t, "outputs": ["targets_gradient"]},
        lambda d: d.logp() / -d.rows,
        "log_softmax(z) / -N",
    ),
    labelled(
        "hessian",
        lambda d: ((p := d.p()) / d.rows)[:, :, None] * (np.eye(d.classes, dtype=d.dtype) - p[:, None, :]),
        "p / N (I - p)",
    ),
    layer("logits", lambda d: d.layer(), "x W^T + b"),
    layer("weights_gradient", lambda d: d.layer_slopes().T @ (d.x / d.rows), "(p - onehot)^T (x / N)"),
    layer("bias_gradient", lambda d: d.layer_slopes().sum(axis=0) / d.rows, "(p - onehot).sum(0) / N"),
    layer("inputs_gradient", lambda d: d.layer_slopes() @ d.weights / d.rows, "(p - onehot) W / N"),
    layer(
        "updated_weights",
        lambda d: d.weights - d.layer_slopes().T @ (LEARNING_RATE / d.rows * d.x),
        "W - (p - onehot)^T (r / N x)",
        learning_rate=LEARNING_RATE,
    ),
    Case(
        "temperature, calibrate",
        "calibrate",
        lambda d: {"logits": d.z, "targets": d.y, "outputs": ["temperature"]},
        lambda d: d.calibrated(),
        "optimize.minimize_scalar(loss in float64)",
    ),
)
