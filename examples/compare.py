"""Compare the time of a request with that of a library call: `.venv/bin/python examples/compare.py`.

The program prints milliseconds for softmax of batches of three sizes: by three lines of NumPy and by SciPy in this
process, and by the service over .npy files and over JSON, until the answer is an array.

Start the service first (`make run`). `make install` installs httpx, NumPy and SciPy.
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
MAX_CALLS = 2000
"""Largest number of calls to time for one way and one size."""


def three_lines(logits: Array) -> Array:
    """Return the softmax of three lines of NumPy."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def over_npy(client: httpx.Client, logits: Array) -> Array:
    """Return the softmax of the service, over .npy files."""
    body = io.BytesIO()
    np.save(body, logits)
    headers = {"Content-Type": "application/x-npy"}
    reply = client.post("/softmax?outputs=probabilities", content=body.getvalue(), headers=headers)
    return np.load(io.BytesIO(reply.raise_for_status().content))


def over_json(client: httpx.Client, logits: Array) -> Array:
    """Return the softmax of the service, over JSON."""
    reply = client.post("/softmax", json={"logits": logits.tolist(), "outputs": ["probabilities"]})
    return np.array(json.loads(reply.raise_for_status().content)["probabilities"])


def milliseconds(way: Way, logits: Array, seconds: float) -> float:
    """Return the median time of a call, in milliseconds, after one that warms up and is compared with SciPy."""
    np.testing.assert_allclose(way(logits), softmax(logits, axis=1), rtol=1e-12)
    times: list[float] = []
    while len(times) < MAX_CALLS and sum(times) < seconds:
        start = perf_counter()
        way(logits)
        times.append(perf_counter() - start)
    return median(times) * 1e3


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8000", help="address of the service")
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds to measure each cell of the table")
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
