"""Call the operations with the Python client of openapi-generator."""

from __future__ import annotations

import json
import sys

from openapi_client import (
    ApiClient,
    CalibrateRequest,
    Configuration,
    GradientRequest,
    LossRequest,
    OperationsApi,
    SoftmaxRequest,
)
from openapi_client.exceptions import ApiException

with ApiClient(Configuration(host=sys.argv[1])) as client:
    api = OperationsApi(client)
    softmaxed = api.softmax(SoftmaxRequest(logits=[[2, 3, 4]], top_k=1))
    lost = api.loss(LossRequest(logits=[[2, 3, 4]], targets=[1]))
    layer = GradientRequest(
        inputs=[[1, 2]], weights=[[0, 1], [1, 1], [2, 1]], bias=[0, 0, 0], targets=[1], learning_rate=1
    )
    stepped = api.gradient(layer)
    calibrated = api.calibrate(CalibrateRequest(logits=[[2, 3, 4], [3, 1, -3], [2, 3, 4]], targets=[1, 0, 2]))
    try:
        api.softmax(SoftmaxRequest(logits=[[2, 3, 4]], top_k=4))
        refusal = ""
    except ApiException as error:
        refusal = json.loads(error.body or "{}")["detail"]

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
    "refusal": refusal,
}
json.dump(results, sys.stdout)
