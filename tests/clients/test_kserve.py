"""Test the client of KServe, in an environment of its own: it has many dependencies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

ENVIRONMENT = Path(__file__).parents[2] / ".venv-kserve"
"""Environment made by the first run (a minute, 450 MB) and kept."""

PYTHON = ENVIRONMENT / "bin" / "python"
REQUIREMENT = "kserve==0.21.0"
PATIENCE = 90
"""Seconds to wait for the installation."""

LOGITS = [[2.0, 3.0, 4.0], [3.0, 1.0, -3.0]]
TARGETS = [1, 0]

SCRIPT = """
import asyncio, json, sys
import httpx, numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

address, sent = sys.argv[1], json.loads(sys.argv[2])
arrays = {"logits": np.array(sent["logits"]), "targets": np.array(sent["targets"])}
empty = {"logits": np.zeros((0, 3)), "targets": np.zeros(0, np.int64)}
wrong = {"logits": np.array([np.nan, 0.0]), "targets": np.array(1)}
mixed = [RequestedOutput("accuracy", {"binary_data": False}), RequestedOutput("probabilities", {"binary_data": True})]

async def infer(client, arrays, binary=True, **members):
    inputs = []
    for (name, values), datatype in zip(arrays.items(), ("FP64", "INT64")):
        inputs.append(InferInput(name, list(values.shape), datatype))
        inputs[-1].set_data_from_numpy(values, binary_data=binary)
    request = InferRequest("gradient", inputs, request_id="7", **members)
    try:
        response = await client.infer(address, request, model_name="gradient")
    except httpx.HTTPStatusError as error:
        return error.response.json()
    return {"id": response.id} | {each.name: each.as_numpy().tolist() for each in response.outputs}

async def main():
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        print(json.dumps({
            "live": await client.is_server_live(address),
            "ready": await client.is_server_ready(address),
            "model": await client.is_model_ready(address, "gradient"),
            "JSON": await infer(client, arrays, False, parameters={"temperature": 2.0}),
            "raw": await infer(client, arrays, parameters={"temperature": 2.0, "binary_data_output": True}),
            "mixed": await infer(client, arrays, request_outputs=mixed),
            "empty": await infer(client, empty),
            "wrong": await infer(client, wrong),
        }))

asyncio.run(main())
"""


def install() -> None:
    """Create the environment unless it is there."""
    complete = ENVIRONMENT / REQUIREMENT
    if complete.exists():
        return
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--no-compile", "--retries", "1", REQUIREMENT]
    subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True, timeout=PATIENCE)
    subprocess.run(pip, check=True, timeout=PATIENCE, capture_output=True)
    complete.touch()


@pytest.fixture(scope="module")
def answers(server: str) -> dict[str, Any]:
    """Return the answer that the client received."""
    try:
        install()
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"{REQUIREMENT} cannot be installed here: {error}")
    arrays = json.dumps({"logits": LOGITS, "targets": TARGETS})
    command = [str(PYTHON), "-c", SCRIPT, server, arrays]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 0, ended.stderr
    answered: dict[str, Any] = json.loads(ended.stdout)
    return answered


def plain(http: httpx.Client, **parameters: Any) -> dict[str, Any]:
    """Return the answer of the plain endpoint."""
    answer: dict[str, Any] = http.post("/gradient", json={"logits": LOGITS, "targets": TARGETS, **parameters}).json()
    return answer


def test_the_server_and_the_models_are_ready(answers: dict[str, Any]) -> None:
    assert [answers["live"], answers["ready"], answers["model"]] == [True, True, True]


@pytest.mark.parametrize("form", ["JSON", "raw"])
def test_doubles_get_the_bits_of_the_plain_endpoint(answers: dict[str, Any], http: httpx.Client, form: str) -> None:
    assert answers[form] == {"id": "7", **plain(http, temperature=2)}


def test_outputs_may_be_raw_and_json_in_any_mix(answers: dict[str, Any], http: httpx.Client) -> None:
    assert answers["mixed"] == {"id": "7", **plain(http, outputs=["accuracy", "probabilities"])}


def test_an_empty_batch_has_an_empty_answer(answers: dict[str, Any]) -> None:
    assert answers["empty"] == {"id": "7", "loss": 0, "logits_gradient": []}


def test_a_refusal_says_what_to_change(answers: dict[str, Any]) -> None:
    assert answers["wrong"]["status"] == 400
    assert "logits[0]" in answers["wrong"]["error"]
