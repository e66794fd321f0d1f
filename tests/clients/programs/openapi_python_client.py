"""Call the operations with the client of openapi-python-client."""

from __future__ import annotations

import json
import sys

from softmax_service_client import Client
from softmax_service_client.api.operations import calibrate, gradient, loss, softmax
from softmax_service_client.models import (
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

batch: list[list[float]] = [[2, 3, 4]]

with Client(base_url=sys.argv[1]) as client:
    softmaxed = softmax.sync(client=client, body=SoftmaxRequest(logits=batch, top_k=1))
    lost = loss.sync(client=client, body=LossRequest(logits=batch, targets=[1]))
    layer = GradientRequest(
        inputs=[[1, 2]], weights=[[0, 1], [1, 1], [2, 1]], bias=[0, 0, 0], targets=[1], learning_rate=1
    )
    stepped = gradient.sync(client=client, body=layer)
    classified = CalibrateRequest(logits=[[2, 3, 4], [3, 1, -3], [2, 3, 4]], targets=[1, 0, 2])
    calibrated = calibrate.sync(client=client, body=classified)
    refused = softmax.sync(client=client, body=SoftmaxRequest(logits=batch, top_k=4))

assert isinstance(softmaxed, SoftmaxReply)
assert isinstance(lost, LossReply)
assert isinstance(stepped, GradientReply)
assert isinstance(calibrated, CalibrateReply)
assert isinstance(refused, Problem)
results = {
    "probabilities": softmaxed.probabilities,
    "predictions": softmaxed.predictions,
    "top_k_classes": softmaxed.top_k_classes,
    "loss": lost.loss,
    "logits_gradient": stepped.logits_gradient,
    "updated_weights": stepped.updated_weights,
    "temperature": calibrated.temperature,
    "at_bound": calibrated.at_bound,
    "loss_before": calibrated.loss_before,
    "refusal": refused.detail,
}
json.dump(results, sys.stdout)
