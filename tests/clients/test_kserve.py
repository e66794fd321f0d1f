"""Test the client of KServe against the plain endpoints."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.connections import ask

if TYPE_CHECKING:
    import httpx

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv-kserve" / "bin" / "python"
"""Interpreter of an environment that `make environments` makes."""

PROGRAM = HERE / "programs" / "kserve_client.py"
LAYER = {"logits": [[2.0, 3.0, 4.0], [3.0, 1.0, -3.0]], "targets": [1, 0]}


@pytest.fixture(scope="module")
def answers(server: str) -> dict[str, Any]:
    """Return the answers that the client received."""
    command = [str(PYTHON), str(PROGRAM), server, json.dumps(LAYER)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    answered: dict[str, Any] = json.loads(ended.stdout)
    return answered


def test_the_server_and_the_models_are_ready(answers: dict[str, Any]) -> None:
    assert [answers["live"], answers["ready"], answers["model"]] == [True, True, True]


@pytest.mark.parametrize("form", ["JSON", "raw"])
def test_doubles_get_the_bits_of_the_plain_endpoint(answers: dict[str, Any], http: httpx.Client, form: str) -> None:
    assert answers[form] == {"id": "7", **ask(http, "gradient", **LAYER, temperature=2)}


def test_outputs_may_be_raw_and_json_in_any_mix(answers: dict[str, Any], http: httpx.Client) -> None:
    assert answers["mixed"] == {"id": "7", **ask(http, "gradient", **LAYER, outputs=["accuracy", "probabilities"])}


def test_an_empty_batch_has_an_empty_answer(answers: dict[str, Any]) -> None:
    assert answers["empty"] == {"id": "7", "loss": 0, "logits_gradient": []}


def test_a_refusal_names_the_mend(answers: dict[str, Any]) -> None:
    assert answers["wrong"]["status"] == 400
    assert "logits[0]" in answers["wrong"]["error"]
