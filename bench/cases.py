"""The outputs and options to time, each with its request and the direct way to compute it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import special

from bench.direct import SOFTCAP, TEMPERATURE, TOP_K, Data

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
    labelled("top_k_accuracy", lambda d: (d.top() == d.y[:, None]).any(axis=1).mean(), "(top == y).any()", top_k=TOP_K),
    labelled("perplexity", lambda d: np.exp(d.losses().mean()), "exp(loss)"),
    labelled("brier_score", lambda d: (d.gradient() ** 2).sum(axis=-1).mean(), "((p - onehot)**2).sum().mean()"),
    labelled(
        "expected_calibration_error",
        lambda d: np.abs((b := d.bins())[1] - b[2]).sum() / d.rows,
        "bincount of the confidences",
    ),
    labelled("bin_confidences", lambda d: (b := d.bins())[1] / np.maximum(b[0], 1), "bincount of the confidences"),
    option(
        "target probabilities",
        "loss",
        lambda d: {"targets": d.t},
        lambda d: -(d.t * d.logp()).sum(axis=-1).mean(),
        "-(t log p).sum().mean()",
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
        lambda d: -special.log_softmax(d.z, axis=-1)[d.n, d.ignored][d.ignored >= 0].mean(),
        "losses[y != -1].mean()",
    ),
    option(
        "label_smoothing",
        "loss",
        lambda d: {"targets": d.y, "label_smoothing": 0.1},
        lambda d: -(d.smoothed() * d.logp()).sum(axis=-1).mean(),
        "-(smoothed log p).sum().mean()",
    ),
    option(
        "z_loss",
        "loss",
        lambda d: {"targets": d.y, "z_loss": 1e-3},
        lambda d: d.losses().mean() + 1e-3 * (special.logsumexp(d.z, axis=-1) ** 2).mean(),
        "loss + z (logsumexp**2).mean()",
    ),
    Case(
        "kl_divergence",
        "loss",
        lambda d: {"logits": d.z, "targets": d.t, "outputs": ["kl_divergence"]},
        lambda d: special.rel_entr(d.t, d.p()).sum(axis=-1).mean(),
        "special.rel_entr(t, p).sum().mean()",
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
        lambda d: d.gradient() * ((r := d.s * d.w[d.y]) / r.sum() * d.rows)[:, None],
        "s w[y] (p - onehot) / (s w[y]).sum()",
    ),
    option(
        "label_smoothing",
        "logits_gradient",
        lambda d: {"targets": d.y, "label_smoothing": 0.1},
        lambda d: (d.p() - d.smoothed()) / d.rows,
        "(p - smoothed) / N",
    ),
    option(
        "z_loss",
        "logits_gradient",
        lambda d: {"targets": d.y, "z_loss": 1e-3},
        lambda d: d.gradient() + d.p() * (2e-3 / d.rows * special.logsumexp(d.z, axis=-1))[:, None],
        "(p - onehot + 2 z l p) / N",
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
        lambda d: (p := d.p()) * (d.v - (d.v * p).sum(axis=-1, keepdims=True)),
        "p (v - (v p).sum())",
    ),
    labelled("temperature_gradient", lambda d: -(d.gradient() * d.z).sum(), "-((p - onehot) z).sum() / N"),
    Case(
        "targets_gradient",
        "gradient",
        lambda d: {"logits": d.z, "targets": d.t, "outputs": ["targets_gradient"]},
        lambda d: -d.logp() / d.rows,
        "-log_softmax(z) / N",
    ),
    labelled(
        "hessian",
        lambda d: (p := d.p())[:, :, None] * (np.eye(d.classes, dtype=d.dtype) - p[:, None, :]) / d.rows,
        "p (I - p) / N",
    ),
    layer("logits", lambda d: d.layer(), "x W^T + b"),
    layer("weights_gradient", lambda d: d.gradient(d.layer()).T @ d.x, "g^T x"),
    layer("bias_gradient", lambda d: d.gradient(d.layer()).sum(axis=0), "g.sum(0)"),
    layer("inputs_gradient", lambda d: d.gradient(d.layer()) @ d.weights, "g W"),
    layer(
        "updated_weights", lambda d: d.weights - 0.1 * (d.gradient(d.layer()).T @ d.x), "W - r g^T x", learning_rate=0.1
    ),
    Case(
        "temperature, calibrate",
        "calibrate",
        lambda d: {"logits": d.z, "targets": d.y, "outputs": ["temperature"]},
        lambda d: d.calibrated(),
        "optimize.minimize_scalar(loss)",
    ),
)
