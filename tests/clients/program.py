"""The three operations, asked through the client that openapi-python-client makes of the OpenAPI document."""

from __future__ import annotations

import json
import sys
from typing import Literal

from softmax_client import AuthenticatedClient
from softmax_client.api.operations import gradient, loss, softmax
from softmax_client.models import (
    GradientReply,
    GradientRequest,
    LossReply,
    LossRequest,
    NonFinite,
    Problem,
    SoftmaxReply,
    SoftmaxRequest,
)

Logits = list[float | Literal["-Infinity"]]

sample: Logits = [2, 3, 4]
batch: list[Logits] = [sample]
masked: Logits = [2, "-Infinity", 4]
inputs: list[list[float]] = [[1, 2]]
targets: list[float] = [1]

# a service that has no keys takes any token
with AuthenticatedClient(base_url=sys.argv[1], token="any") as client:  # noqa: S106  no secret
    softmaxed = softmax.sync(client=client, body=SoftmaxRequest(logits=batch, top_k=1))
    assert isinstance(softmaxed, SoftmaxReply)
    lost = loss.sync(client=client, body=LossRequest(logits=batch, targets=targets))
    assert isinstance(lost, LossReply)
    infinite = loss.sync(client=client, body=LossRequest(logits=masked, targets=1))
    assert isinstance(infinite, LossReply)
    assert infinite.loss is NonFinite.INFINITY
    layer = GradientRequest(
        inputs=inputs, weights=[[0, 1], [1, 1], [2, 1]], bias=[0, 0, 0], targets=targets, learning_rate=1
    )
    stepped = gradient.sync(client=client, body=layer)
    assert isinstance(stepped, GradientReply)
    refused = softmax.sync(client=client, body=SoftmaxRequest(logits=sample, top_k=4))
    assert isinstance(refused, Problem)

json.dump(
    {
        "probabilities": softmaxed.probabilities,
        "top_k_classes": softmaxed.top_k_classes,
        "loss": lost.loss,
        "infinite": infinite.loss,
        "logits_gradient": stepped.logits_gradient,
        "updated_weights": stepped.updated_weights,
        "refusal": refused.detail,
    },
    sys.stdout,
)
