"""The client of KServe works as it is; it has so many dependencies that it gets an environment of its own."""

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
"""Made by the first run, which takes a minute and 450 MB; kept for the next ones."""

PYTHON = ENVIRONMENT / "bin" / "python"
REQUIREMENT = "kserve==0.21.0"
PATIENCE = 90
"""Seconds that the installation may take."""

LOGITS = [[2.0, 3.0, 4.0], [3.0, 1.0, -3.0]]
TARGETS = [1, 0]

SCRIPT = """
import asyncio, json, sys
import httpx, numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

address, arrays = sys.argv[1], json.loads(sys.argv[2])
arrays = {"logits": np.array(arrays["logits"]), "targets": np.array(arrays["targets"])}
datatypes = {"logits": "FP64", "targets": "INT64"}

def request(binary, **members):
    inputs = [InferInput(name, list(values.shape), datatypes[name]) for name, values in arrays.items()]
    for tensor, values in zip(inputs, arrays.values()):
        tensor.set_data_from_numpy(values, binary_data=binary)
    return InferRequest("gradient", inputs, request_id="7", **members)

def outputs(response):
    return {each.name: each.as_numpy().tolist() for each in response.outputs}

async def main():
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        answers = {
            "live": await client.is_server_live(address),
            "ready": await client.is_server_ready(address),
            "model": await client.is_model_ready(address, "gradient"),
        }
        for name, binary in (("JSON", False), ("raw", True)):
            asked = request(binary, parameters={"binary_data_output": binary, "temperature": 2.0})
            response = await client.infer(address, asked, model_name="gradient")
            answers[name] = {"id": response.id, "outputs": outputs(response)}
        asked = request(True, request_outputs=[
            RequestedOutput("accuracy", {"binary_data": False}), RequestedOutput("probabilities", {"binary_data": True})
        ])
        answers["mixed"] = outputs(await client.infer(address, asked, model_name="gradient"))
        arrays["logits"][0, 0] = np.nan
        try:
            await client.infer(address, request(True), model_name="gradient")
        except httpx.HTTPStatusError as error:
            answers["refusal"] = error.response.json()
    print(json.dumps(answers))

asyncio.run(main())
"""


def install() -> None:
    """Makes the environment unless a run before has."""
    complete = ENVIRONMENT / REQUIREMENT
    if complete.exists():
        return
    pip = [
        str(PYTHON),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
        "--retries",
        "1",
    ]
    subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True, timeout=PATIENCE)
    subprocess.run([*pip, REQUIREMENT], check=True, timeout=PATIENCE, capture_output=True)
    complete.touch()


@pytest.fixture(scope="module")
def answers(server: str) -> dict[str, Any]:
    """What the client got from the server."""
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
    """What the plain endpoint answers."""
    answer: dict[str, Any] = http.post("/gradient", json={"logits": LOGITS, "targets": TARGETS, **parameters}).json()
    return answer


def test_the_server_and_the_models_are_ready(answers: dict[str, Any]) -> None:
    assert [answers["live"], answers["ready"], answers["model"]] == [True, True, True]


@pytest.mark.parametrize("form", ["JSON", "raw"])
def test_doubles_get_the_bits_of_the_plain_endpoint(answers: dict[str, Any], http: httpx.Client, form: str) -> None:
    assert answers[form]["outputs"] == plain(http, temperature=2)
    assert answers[form]["id"] == "7"


def test_outputs_may_be_raw_and_json_in_any_mix(answers: dict[str, Any], http: httpx.Client) -> None:
    assert answers["mixed"] == plain(http, outputs=["accuracy", "probabilities"])


def test_a_refusal_says_what_to_change(answers: dict[str, Any]) -> None:
    assert answers["refusal"]["status"] == 400
    assert "logits[0, 0]" in answers["refusal"]["error"]
