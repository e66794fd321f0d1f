"""Run the JavaScript examples unchanged, and compare them with the plain endpoint."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import httpx

SCRIPTS = Path(__file__).parents[2] / "examples" / "javascript"
NODE = shutil.which("node")
LOGITS = [[2, 3, 4], [3, 1, -3]]


def has_fetch() -> bool:
    """Return whether there is a Node whose programs can use `fetch`."""
    if NODE is None:
        return False
    printed = subprocess.run([NODE, "--print", "typeof fetch"], capture_output=True, check=False).stdout
    return printed == b"function\n"


pytestmark = pytest.mark.skipif(not has_fetch(), reason="Node 18 or newer is not installed")


def run(script: str, url: str) -> subprocess.CompletedProcess[str]:
    """Run an example to its end."""
    assert NODE is not None
    return subprocess.run([NODE, SCRIPTS / script, url], capture_output=True, text=True, timeout=30, check=False)


def test_the_example_prints_the_probabilities_to_the_last_bit(server: str, http: httpx.Client) -> None:
    ended = run("softmax.mjs", server)
    assert ended.returncode == 0, ended.stderr
    rows = http.post("/softmax", json={"logits": LOGITS}).json()["probabilities"]
    assert [float(number) for number in ended.stdout.split()] == [number for row in rows for number in row]


def test_the_layer_learns_as_it_does_from_python(server: str, http: httpx.Client) -> None:
    ended = run("learn.mjs", server)
    assert ended.returncode == 0, ended.stderr
    layer = {"weights": [[0, 0], [0, 0], [0, 0]], "bias": [0, 0, 0]}
    samples = {"inputs": [[1, 0], [0, 1], [1, 1]], "targets": [0, 1, 2], "learning_rate": 2}
    losses = []
    for _ in range(200):
        answer = http.post("/gradient", json={**layer, **samples}).json()
        layer = {"weights": answer["updated_weights"], "bias": answer["updated_bias"]}
        losses.append(answer["loss"])
    steps = (50, 100, 150, 200)
    assert ended.stdout.splitlines() == [f"step {step}: loss {losses[step - 1]:.4f}" for step in steps]


@pytest.mark.parametrize("script", ["softmax.mjs", "learn.mjs"])
def test_a_refused_example_prints_the_reason(server: str, script: str) -> None:
    ended = run(script, f"{server}/bogus")
    assert ended.returncode != 0
    assert "No such path" in ended.stderr
