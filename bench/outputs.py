"""Time every output and option beside the direct way with NumPy and SciPy: `python -m bench.outputs > bench/outputs.md`.

Both compute arrays from arrays, on one core; CPU time, the least of many repeats in turns. The service also checks the
values, which the direct ways do not.
"""

from __future__ import annotations

import os
import sys
from time import process_time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import optimize, special

from bench import masks
from service.operations import OPERATIONS, execute
from service.schemas.requests import request_model
from service.server.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.arrays import Array

SHAPES = ((1, 10), (64, 1_000), (1_024, 1_000), (16, 50_000))
DTYPES = ("float64", "float32")

FEATURES, TOP_K, SOFTCAP, TEMPERATURE, BINS = 64, 5, 30.0, 0.7, 15

MAX_ELEMENTS = 2**24
"""Largest output that is measured: a Jacobian has rows x classes x classes."""

REPEATS = 9

REPEAT_SECONDS = 0.01
"""Calls are repeated until a measurement takes this long."""

NAMED = {operation.name: operation for operation in OPERATIONS}

HEAD = """\
# Every output and option beside the direct way

`python -m bench.outputs > bench/outputs.md` measures this page: the CPU time of the service for one output, divided by
that of the direct way with NumPy and SciPy, from arrays to arrays on one core. Below 1 the service is faster.
[docs/performance.md](../docs/performance.md) says where the service takes longer, and why. Torch is not measured: its
wheel for Linux brings the libraries of CUDA.

"""

MASKS = """
## Requests with excluded classes

CPU time of a whole request in JSON, divided by that of a request without excluded classes (`python -m bench.masks`).

"""


class Case(NamedTuple):
    """An output or option: the request for it, and the direct way, of the same arrays."""

    name: str
    operation: str
    request: Callable[[Data], dict[str, Any]]
    direct: Callable[[Data], Any]
    text: str


class Data:
    """The tensors of a shape and dtype."""

    def __init__(self, rows: int, classes: int, dtype: str) -> None:
        random = np.random.default_rng(0)

        def normal(*shape: int) -> Array:
            return random.normal(size=shape).astype(dtype)

        self.rows, self.classes, self.dtype = rows, classes, dtype
        self.z = 3 * normal(rows, classes)
        self.masked = np.where(random.random((rows, classes)) < 0.3, -np.inf, self.z).astype(dtype)  # noqa: PLR2004
        self.masked[:, 0] = 0.0
        self.y = random.integers(classes, size=rows)
        self.y0 = np.zeros(rows, np.int64)
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


def service(case: Case, data: Data) -> Callable[[], Any]:
    """Return a function that computes the output as the service does."""
    operation = NAMED[case.operation]
    message = request_model(operation).read(case.request(data) | {"dtype": data.dtype})
    return lambda: execute(operation, message.arguments, message.output_names)


def ratio(case: Case, data: Data) -> float:
    """Return the CPU time of the service over that of the direct way."""
    functions = service(case, data), lambda: case.direct(data)
    with np.errstate(all="ignore"):
        counts = [max(1, int(REPEAT_SECONDS / max(1e-7, seconds(each, 1)))) for each in functions]
        turns = [[seconds(*each) for each in zip(functions, counts, strict=True)] for _ in range(REPEATS)]
    ours, theirs = (min(each) for each in zip(*turns, strict=True))
    return ours / theirs


def seconds(function: Callable[[], Any], count: int) -> float:
    """Return the mean CPU seconds of a call."""
    start = process_time()
    for _ in range(count):
        function()
    return (process_time() - start) / count


def lines() -> Iterator[str]:
    """Yield the lines of the table."""
    columns = [(rows, classes, dtype) for rows, classes in SHAPES for dtype in DTYPES]
    heads = [f"{rows} x {classes} {dtype}" for rows, classes, dtype in columns]
    yield f"| output | direct way | {' | '.join(heads)} |"
    yield f"| :-- | :-- |{' --: |' * len(heads)}"
    tensors = [Data(*column) for column in columns]
    for case in CASES:
        is_matrix = case.name in ("jacobian", "hessian")
        cells = [
            "-" if is_matrix and data.rows * data.classes**2 > MAX_ELEMENTS else f"{ratio(case, data):.2f}"
            for data in tensors
        ]
        yield f"| `{case.name}` | {case.text} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    keep_freed_memory()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sys.stdout.write(HEAD)
    for line in lines():
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    sys.stdout.write(MASKS + masks.measured())


if __name__ == "__main__":
    main()
