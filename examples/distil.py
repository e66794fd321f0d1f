"""Distil a classifier of handwritten digits into one layer: `.venv/bin/python examples/distil.py`.

A network with a hidden layer is the teacher. One student learns from the labels of a few digits. Another learns from the
logits of the teacher for many digits, without a label. The program prints how many unseen digits each recognises.

Start the service first (`make run`). `make install` installs httpx, NumPy and scikit-learn.

.. [1] Hinton, Vinyals & Dean (2015), Distilling the knowledge in a neural network.
"""

from __future__ import annotations

import argparse
import io
from typing import Any

import httpx
import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

Array = Any
Arrays = dict[str, Any]

LABELLED = 50
TEMPERATURE = 4.0
RATE = 0.5


def ask(client: httpx.Client, operation: str, arrays: Arrays, outputs: str, **parameters: float) -> Arrays:
    """Return two outputs or more by name. Arrays travel as .npz archives, and parameters in the query string."""
    body = io.BytesIO()
    np.savez(body, allow_pickle=False, **arrays)
    query: dict[str, str | float] = {"outputs": outputs, **parameters}
    headers = {"Content-Type": "application/x-npz"}
    reply = client.post(f"/{operation}", params=query, content=body.getvalue(), headers=headers).raise_for_status()
    return dict(np.load(io.BytesIO(reply.content)))


def digits() -> tuple[Arrays, Arrays, MLPClassifier]:
    """Return digits to learn from, with the logits of the teacher; unseen digits; and the teacher."""
    images, labels = load_digits(return_X_y=True)
    learned, unseen = np.split(np.random.default_rng(0).permutation(len(labels)), [3 * len(labels) // 4])
    teacher = MLPClassifier(tol=1e-2, n_iter_no_change=5, random_state=0).fit(images[learned] / 16, labels[learned])
    seen = {"inputs": images[learned] / 16, "targets": labels[learned]}
    # the logarithms of probabilities are logits
    seen["teacher_logits"] = teacher.predict_log_proba(seen["inputs"])
    return seen, {"inputs": images[unseen] / 16, "targets": labels[unseen]}, teacher


def train(client: httpx.Client, learned: Arrays, steps: int, temperature: float = 1.0) -> tuple[Arrays, list[float]]:
    """Return the layer after some steps, and the loss before each step.

    The gradient of the teacher's loss shrinks as 1 / temperature**2, so the step is temperature**2 times as long.
    """
    layer: Arrays = {"weights": np.zeros((10, 64)), "bias": np.zeros(10)}
    losses = []
    for _ in range(steps):
        outputs, rate = "loss,updated_weights,updated_bias", RATE * temperature**2
        step = ask(client, "gradient", learned | layer, outputs, temperature=temperature, learning_rate=rate)
        losses.append(float(step["loss"]))
        layer = {"weights": step["updated_weights"], "bias": step["updated_bias"]}
    return layer, losses


def main(arguments: list[str] | None = None) -> None:
    """Train both students and print what they recognise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8000", help="address of the service")
    parser.add_argument("--steps", type=int, default=100, help="steps of gradient descent")
    options = parser.parse_args(arguments)
    seen, unseen, teacher = digits()
    few = {name: seen[name][:LABELLED] for name in ("inputs", "targets")}
    many = {name: seen[name] for name in ("inputs", "teacher_logits")}
    with httpx.Client(base_url=options.url, timeout=60) as client:
        students = {
            f"student with {LABELLED} labels": train(client, few, options.steps)[0],
            "student with a teacher": train(client, many, options.steps, TEMPERATURE)[0],
        }
        for name, layer in students.items():
            print(f"{name}: {ask(client, 'loss', unseen | layer, 'accuracy,predictions')['accuracy']:.1%}")
    print(f"teacher: {teacher.score(unseen['inputs'], unseen['targets']):.1%}")


if __name__ == "__main__":
    main()
