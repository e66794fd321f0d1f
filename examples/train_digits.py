"""Train a classifier of handwritten digits with POST /gradient: `.venv/bin/python examples/train_digits.py`.

The program shows the loss while it trains, and prints the accuracy on held-out digits. It draws the learning curve, the
confusion matrix and the weights of each class in digits.svg.

Start the service first (`make run`). `make install` installs httpx, matplotlib, NumPy, rich and scikit-learn.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from matplotlib.figure import Figure
from rich.progress import Progress
from sklearn.datasets import load_digits

Array = Any
Arrays = dict[str, Any]

BATCH = 128
CLASSES = 10
PIXELS = 64
RATE = 1.0


def ask(client: httpx.Client, operation: str, arrays: Arrays, outputs: str, **parameters: float) -> Arrays:
    """Return two outputs or more by name. Arrays travel as .npz archives, and parameters in the query string."""
    body = io.BytesIO()
    np.savez(body, allow_pickle=False, **arrays)
    query: dict[str, str | float] = {"outputs": outputs, **parameters}
    headers = {"Content-Type": "application/x-npz"}
    reply = client.post(f"/{operation}", params=query, content=body.getvalue(), headers=headers).raise_for_status()
    return dict(np.load(io.BytesIO(reply.content)))


def digits() -> tuple[Arrays, Arrays]:
    """Return three quarters of the digits to train on and a quarter to test: 64 pixels from 0 to 1, and the classes."""
    images, labels = load_digits(return_X_y=True)
    parts = np.split(np.random.default_rng(0).permutation(len(labels)), [3 * len(labels) // 4])
    learned, held_out = ({"inputs": images[rows] / 16, "targets": labels[rows]} for rows in parts)
    return learned, held_out


def train(client: httpx.Client, learned: Arrays, held_out: Arrays, steps: int) -> tuple[Arrays, Arrays]:
    """Return the loss of the batch and of the held-out digits at each step, and the layer after the last step."""
    layer: Arrays = {"weights": np.zeros((CLASSES, PIXELS)), "bias": np.zeros(CLASSES)}
    losses: Arrays = {"batch": [], "held out": []}
    random = np.random.default_rng(0)
    with Progress() as progress:
        bar = progress.add_task("", total=steps)
        for _ in range(steps):
            rows = random.choice(len(learned["targets"]), BATCH, replace=False)
            batch = {name: values[rows] for name, values in learned.items()}
            losses["held out"].append(float(ask(client, "loss", {**held_out, **layer}, "loss,denominator")["loss"]))
            step = ask(client, "gradient", {**batch, **layer}, "loss,updated_weights,updated_bias", learning_rate=RATE)
            losses["batch"].append(float(step["loss"]))
            layer = {"weights": step["updated_weights"], "bias": step["updated_bias"]}
            progress.update(bar, advance=1, description=f"loss {losses['batch'][-1]:.3f}")
    return losses, layer


def picture(losses: Arrays, confusion: Array, weights: Array) -> Figure:
    """Draw the learning curve and the confusion matrix side by side, above the weights."""
    figure = Figure(figsize=(10, 6.6), layout="constrained")
    rows: list[Any] = [["curve"] * 5 + ["confusion"] * 5, list("0123456789")]
    panels = figure.subplot_mosaic(rows, height_ratios=[5, 1])
    curve = panels["curve"]
    for name, colour, width in (("batch", "#56b4e9", 1.0), ("held out", "#d55e00", 2.5)):
        curve.plot(losses[name], color=colour, linewidth=width, label=name)
    curve.set(title="Cross-entropy at each step, nats", ylim=0)
    curve.grid(color="#d1d9e0", linewidth=0.5)
    curve.legend(frameon=False)
    curve.spines[["top", "right"]].set_visible(False)
    matrix = panels["confusion"]
    matrix.imshow(confusion, cmap="Blues", norm="symlog")
    for (shown, taken), count in np.ndenumerate(confusion):
        matrix.text(
            taken, shown, str(count or ""), ha="center", va="center", color="white" if shown == taken else "black"
        )
    matrix.set(title="Held-out digits (rows), and what they are taken for")
    matrix.set(xticks=range(CLASSES), yticks=range(CLASSES))
    matrix.tick_params(length=0)
    matrix.spines[:].set_visible(False)
    bound = np.abs(weights).max()
    for digit, row in enumerate(weights):
        image = panels[str(digit)]
        image.imshow(row.reshape(8, 8), cmap="PuOr", vmin=-bound, vmax=bound)
        image.set_title(str(digit))
        image.set_axis_off()
    return figure


def main(arguments: list[str] | None = None) -> None:
    """Train, print the accuracy, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8000", help="address of the service")
    parser.add_argument("--steps", type=int, default=500, help="steps of gradient descent")
    parser.add_argument("--pictures", type=Path, default=Path("build"), help="folder to draw in")
    options = parser.parse_args(arguments)
    learned, held_out = digits()
    with httpx.Client(base_url=options.url) as client:
        losses, layer = train(client, learned, held_out, options.steps)
        result = ask(client, "loss", {**held_out, **layer}, "accuracy,predictions")
    print(f"{result['accuracy']:.1%} of {len(held_out['targets'])} held-out digits are recognised")
    confusion = np.zeros((CLASSES, CLASSES), int)
    np.add.at(confusion, (held_out["targets"], result["predictions"]), 1)
    options.pictures.mkdir(parents=True, exist_ok=True)
    picture(losses, confusion, layer["weights"]).savefig(options.pictures / "digits.svg")


if __name__ == "__main__":
    main()
