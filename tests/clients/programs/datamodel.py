"""Call the operations with httpx and the models of datamodel-code-generator."""

from __future__ import annotations

import json
import sys

import httpx
from models import (
    CalibrateReply,
    CalibrateRequest,
    GradientReply,
    GradientRequest,
    LossReply,
    LossRequest,
    Problem,
    SoftmaxReply,
    SoftmaxRequest,
)
from pydantic import BaseModel


def post(path: str, request: BaseModel) -> bytes:
    """Return the body of the response to a request."""
    headers = {"Content-Type": "application/json"}
    return httpx.post(sys.argv[1] + path, content=request.model_dump_json(exclude_none=True), headers=headers).content


batch = {"logits": [[2, 3, 4]]}
layer = {"inputs": [[1, 2]], "weights": [[0, 1], [1, 1], [2, 1]], "bias": [0, 0, 0], "targets": [1], "learning_rate": 1}
softmaxed = SoftmaxReply.model_validate_json(post("/softmax", SoftmaxRequest.model_validate({**batch, "top_k": 1})))
lost = LossReply.model_validate_json(post("/loss", LossRequest.model_validate({**batch, "targets": [1]})))
stepped = GradientReply.model_validate_json(post("/gradient", GradientRequest.model_validate(layer)))
classified = {"logits": [[2, 3, 4], [3, 1, -3], [2, 3, 4]], "targets": [1, 0, 2]}
calibrated = CalibrateReply.model_validate_json(post("/calibrate", CalibrateRequest.model_validate(classified)))
refused = Problem.model_validate_json(post("/softmax", SoftmaxRequest.model_validate({**batch, "top_k": 4})))

results = softmaxed.model_dump(include={"probabilities", "predictions", "top_k_classes"})
results |= lost.model_dump(include={"loss"})
results |= stepped.model_dump(include={"logits_gradient", "updated_weights"})
results |= calibrated.model_dump(include={"temperature", "at_bound", "loss_before"})
json.dump({**results, "refusal": refused.detail}, sys.stdout)
