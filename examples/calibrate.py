"""Calibrate an overfitted classifier of handwritten digits: `.venv/bin/python examples/calibrate.py`.

The program fits a temperature to held-out digits and prints the calibration error before and after. It draws two
reliability diagrams in calibration.svg; the bars of a calibrated classifier end on the diagonal.

Start the service first (`make run`). `make install` installs httpx, matplotlib, NumPy and scikit-learn.

.. [1] Guo, Pleiss, Sun & Weinberger (2017), On calibration of modern neural networks.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

Array = Any

LEARNED = 150
BINS = 10


def overfitted() -> list[tuple[Array, Array]]:
    """Return logits and labels of digits in two halves, from a classifier that has overfitted 150 other digits."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    learned, held_out = order[:LEARNED], order[LEARNED:]
    model = LogisticRegression(C=1e5, max_iter=10_000).fit(images[learned] / 16, labels[learned])
    logits = model.decision_function(images / 16)
    return [(logits[half], labels[half]) for half in np.array_split(held_out, 2)]


def ask(client: httpx.Client, operation: str, logits: Array, labels: Array, **request: Any) -> Any:
    """Return the outputs of an operation by name."""
    request |= {"logits": logits.tolist(), "targets": labels.tolist()}
    return client.post(f"/{operation}", json=request).raise_for_status().json()


def fit(client: httpx.Client, logits: Array, labels: Array) -> float:
    """Return the temperature with the smallest loss."""
    return float(ask(client, "calibrate", logits, labels)["temperature"])


def reliability(client: httpx.Client, logits: Array, labels: Array, temperature: float) -> Any:
    """Return the bins of confidence at a temperature, and the calibration error."""
    outputs = ["expected_calibration_error", "bin_counts", "bin_confidences", "bin_accuracies"]
    return ask(client, "loss", logits, labels, temperature=temperature, bins=BINS, outputs=outputs)


def picture(diagrams: dict[str, Any]) -> Figure:
    """Draw the reliability diagrams side by side."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    middles = (np.arange(BINS) + 0.5) / BINS
    for panel, (title, diagram) in zip(figure.subplots(1, 2, sharey=True), diagrams.items(), strict=True):
        counts, sure, accurate = (np.array(diagram[f"bin_{name}"]) for name in ("counts", "confidences", "accuracies"))
        panel.plot([0, 1], [0, 1], color="#59636e", linestyle="--", linewidth=1)
        panel.bar(middles, accurate, width=0.09, color="#0072b2", label="share that is right")
        panel.scatter(sure[counts > 0], sure[counts > 0], color="#d55e00", zorder=3, label="confidence")
        for middle, count in zip(middles, counts, strict=True):
            panel.text(middle, 0.01, str(count or ""), ha="center", color="white", fontsize=9)
        panel.set(title=title, xlabel="confidence", xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
        panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, loc="upper left")
    return figure


def main(arguments: list[str] | None = None) -> None:
    """Fit the temperature, print the errors, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8000", help="address of the service")
    parser.add_argument("--pictures", type=Path, default=Path("build"), help="folder to draw in")
    options = parser.parse_args(arguments)
    (logits, labels), (unseen, truth) = overfitted()
    diagrams = {}
    with httpx.Client(base_url=options.url) as client:
        for temperature in (1.0, fit(client, logits, labels)):
            diagram = reliability(client, unseen, truth, temperature)
            error = diagram["expected_calibration_error"]
            title = f"temperature {temperature:.3f}, calibration error {error:.2%}"
            print(title)
            diagrams[title] = diagram
    options.pictures.mkdir(parents=True, exist_ok=True)
    picture(diagrams).savefig(options.pictures / "calibration.svg")


if __name__ == "__main__":
    main()
