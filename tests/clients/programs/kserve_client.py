"""Ask for gradients with the client of KServe, and print the answers.

usage: kserve_client.py ADDRESS LAYER, with the layer as JSON
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

MIXED = [RequestedOutput("accuracy", {"binary_data": False}), RequestedOutput("probabilities", {"binary_data": True})]


async def main(address: str, layer: dict[str, Any]) -> None:
    """Print the answers to all requests by name."""
    arrays = {name: np.array(values) for name, values in layer.items()}
    empty = {"logits": np.zeros((0, 3)), "targets": np.zeros(0, np.int64)}
    wrong = {"logits": np.array([np.nan, 0.0]), "targets": np.array(1)}
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:

        async def infer(arrays: dict[str, Any], *, binary: bool = True, **members: Any) -> dict[str, Any]:
            inputs = []
            for (name, values), datatype in zip(arrays.items(), ("FP64", "INT64"), strict=True):
                inputs.append(InferInput(name, list(values.shape), datatype))
                inputs[-1].set_data_from_numpy(values, binary_data=binary)
            request = InferRequest("gradient", inputs, request_id="7", **members)
            try:
                response = await client.infer(address, request, model_name="gradient")
            except httpx.HTTPStatusError as error:
                return error.response.json()
            return {"id": response.id} | {each.name: each.as_numpy().tolist() for each in response.outputs}

        answers = {
            "live": await client.is_server_live(address),
            "ready": await client.is_server_ready(address),
            "model": await client.is_model_ready(address, "gradient"),
            "JSON": await infer(arrays, binary=False, parameters={"temperature": 2.0}),
            "raw": await infer(arrays, parameters={"temperature": 2.0, "binary_data_output": True}),
            "mixed": await infer(arrays, request_outputs=MIXED),
            "empty": await infer(empty),
            "wrong": await infer(wrong),
        }
    json.dump(answers, sys.stdout)


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
