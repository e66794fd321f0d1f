"""What it costs to ask the service for what three lines could compute: python examples/compare.py

You will see a table of milliseconds for batches of three sizes: softmax by three lines of NumPy and by SciPy in this
process, and by the service, with the answer back as an array, over .npy files and over JSON.

The service must be running (`make run`); `make install` brings httpx, NumPy and SciPy.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import httpx
import numpy as np
from scipy.special import softmax

Array = Any
Way = Callable[[Array], Array]

SIZES = ((1, 10), (64, 1000), (1024, 1000))
MOST = 2000
"""Calls that are timed of each way, unless the seconds are over before."""


def three_lines(logits: Array) -> Array:
    """Softmax as everybody writes it."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def over_npy(client: httpx.Client, logits: Array) -> Array:
    """Softmax of the service, by files of NumPy."""
    body = io.BytesIO()
    np.save(body, logits)
    headers = {"Content-Type": "application/x-npy"}
    reply = client.post("/softmax?outputs=probabilities", content=body.getvalue(), headers=headers)
    return np.load(io.BytesIO(reply.raise_for_status().content))


def over_json(client: httpx.Client, logits: Array) -> Array:
    """Softmax of the service, by nested lists of numbers."""
    reply = client.post("/softmax", json={"logits": logits.tolist(), "outputs": ["probabilities"]})
    return np.array(json.loads(reply.raise_for_status().content)["probabilities"])


def milliseconds(way: Way, logits: Array, seconds: float) -> float:
    """The median time of a call, after one that warms up and shows that the way is right."""
    np.testing.assert_allclose(way(logits), softmax(logits, axis=1), rtol=1e-12)
    times: list[float] = []
    while len(times) < MOST and sum(times) < seconds:
        start = perf_counter()
        way(logits)
        times.append(perf_counter() - start)
    return median(times) * 1e3


def main(arguments: list[str] | None = None) -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8000", help="where the service is")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long to measure each cell of the table")
    options = parser.parse_args(arguments)
    random = np.random.default_rng(0)
    with httpx.Client(base_url=options.url, timeout=60) as client:
        ways: dict[str, Way] = {
            "three lines of NumPy": three_lines,
            "SciPy": lambda logits: softmax(logits, axis=1),
            "this service, .npy": lambda logits: over_npy(client, logits),
            "this service, JSON": lambda logits: over_json(client, logits),
        }
        print(f"| logits, ms | {' | '.join(ways)} |")
        print("| --- |" + " --: |" * len(ways))
        for rows, classes in SIZES:
            logits = random.normal(size=(rows, classes))
            times = [milliseconds(way, logits, options.seconds) for way in ways.values()]
            cells = [np.format_float_positional(time, precision=2, fractional=False, trim="-") for time in times]
            print(f"| {rows} x {classes} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
