"""The JavaScript example runs as it stands, and gets the bits of the plain endpoint."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import httpx

SCRIPT = Path(__file__).parents[2] / "examples" / "javascript" / "softmax.mjs"
NODE = shutil.which("node")
LOGITS = [[2, 3, 4], [3, 1, -3]]

pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The example, run to its end."""
    assert NODE is not None
    return subprocess.run([NODE, SCRIPT, *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_the_example_prints_the_probabilities_to_the_last_bit(server: str, http: httpx.Client) -> None:
    ended = run(server)
    assert ended.returncode == 0, ended.stderr
    rows = http.post("/softmax", json={"logits": LOGITS}).json()["probabilities"]
    assert [float(number) for number in ended.stdout.split()] == [number for row in rows for number in row]


def test_the_example_tells_why_it_was_refused(server: str) -> None:
    ended = run(f"{server}/bogus")
    assert ended.returncode != 0
    assert "Nothing lives at this path" in ended.stderr
