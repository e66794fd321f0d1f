"""Examples of responses for the OpenAPI documents, made by the code that answers requests."""

from __future__ import annotations

import json
from math import inf, isqrt
from typing import TYPE_CHECKING, Any

from service.api.negotiation import content_type, preferred
from service.api.problems import name_limits, problem_response
from service.errors import BodyTooLarge, ServiceError, TensorTooLarge, TooLarge
from service.formats import json_decode, json_encode, open_inference, open_inference_reply
from service.operations import OPERATIONS, execute
from service.schemas.requests import request_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from service.operations.spec import Example, Operation
    from service.settings import Settings

Examples = dict[str, dict[str, Any]]
"""Examples by name, as OpenAPI has them."""

REQUEST_ID = "7d3c8b0e"
"""The request id in every example."""

INFERENCES: dict[str, dict[str, Any]] = {
    "softmax": {"inputs": [{"name": "logits", "shape": [3], "datatype": "FP64", "data": [2, 3, 4]}]},
    "loss": {
        "id": "batch-7",
        "inputs": [
            {"name": "logits", "shape": [2, 3], "datatype": "FP32", "data": [2, 3, 4, 3, 1, -3]},
            {"name": "targets", "shape": [2], "datatype": "INT64", "data": [1, 0]},
        ],
    },
    "gradient": {
        "parameters": {"temperature": 2},
        "inputs": [
            {"name": "logits", "shape": [1, 3], "datatype": "FP64", "data": [2, 3, 4]},
            {"name": "targets", "shape": [1], "datatype": "INT64", "data": [1]},
        ],
        "outputs": [{"name": "logits_gradient"}],
    },
    "calibrate": {
        "inputs": [
            {"name": "logits", "shape": [3, 2], "datatype": "FP64", "data": [3, 0, 0, 4, 5, 1]},
            {"name": "targets", "shape": [3], "datatype": "INT64", "data": [0, 1, 1]},
        ],
        "outputs": [{"name": "temperature"}, {"name": "loss"}, {"name": "loss_before"}],
    },
}
"""Infer requests by model."""


def requests(shown: Iterable[Example]) -> Examples:
    """Return valid requests of an operation."""
    return {example.name: {"summary": example.summary, "value": example.request} for example in shown}


def replies(operation: Operation, shown: Iterable[Example]) -> Examples:
    """Return the responses to `requests`."""
    return {
        example.name: {"summary": example.summary, "value": _answer(operation, example.request)} for example in shown
    }


def refusals(operation: Operation, settings: Settings, media_types: tuple[str, ...]) -> dict[int, Examples]:
    """Return error responses of an operation by status. media_types: the media types of the operation."""
    largest = f"logits of {settings.max_elements + 1} elements"
    too_large: ServiceError = TensorTooLarge("logits", settings.max_elements + 1, settings.max_elements)
    if "jacobian" in operation.named_outputs:
        classes = isqrt(settings.max_elements) + 1
        largest = f"jacobian of {classes} classes"
        targets = {} if operation.name == "softmax" else {"targets": 0}
        request = {"logits": [0] * classes, "outputs": ["jacobian"], **targets}
        too_large = _refusal(_answer, operation, request, settings.max_elements)
    refused: dict[int, Examples] = {}
    for name, summary, sent, error in (
        (
            "malformed",
            "JSON that is cut short",
            '{"logits": [2, 3',
            _refusal(json_decode.decode, b'{"logits": [2, 3', operation),
        ),
        ("accept", "An answer in HTML", "Accept: text/html", _refusal(preferred, b"text/html", media_types)),
        (
            "body",
            "A body that is too long",
            f"Content-Length: {settings.max_body_bytes + 1}",
            BodyTooLarge(settings.max_body_bytes, settings.max_body_bytes + 1),
        ),
        (
            "tensor",
            "A tensor that is too large",
            largest,
            too_large,
        ),
        ("text", "A body of text", "Content-Type: text/plain", _refusal(content_type, b"text/plain", media_types)),
        *(
            (each.name, each.summary, json.dumps(each.request), _refusal(_answer, operation, each.request))
            for each in operation.invalid_examples
        ),
    ):
        if isinstance(error, TooLarge):
            name_limits(error, settings)
        problem = json.loads(problem_response(error, REQUEST_ID).body)
        example = {"summary": summary, "description": f"Sent: `{sent}`", "value": problem}
        refused.setdefault(problem["status"], {})[name] = example
    return refused


def inference_requests() -> Examples:
    """Return an infer request for each model."""
    return {name: {"summary": f"For model {name}", "value": request} for name, request in INFERENCES.items()}


def inference_replies() -> Examples:
    """Return the responses to `inference_requests`."""
    return {
        operation.name: {
            "summary": f"From model {operation.name}",
            "value": _infer(operation, INFERENCES[operation.name]),
        }
        for operation in OPERATIONS
    }


def _answer(operation: Operation, request: Mapping[str, Any], max_elements: float = inf) -> Any:
    message = request_model(operation).read(json_decode.decode(json_encode.dumps(request), operation))
    message.size.check(max_elements)
    return json.loads(b"".join(json_encode.encode(execute(operation, message.arguments, message.output_names))))


def _infer(operation: Operation, request: Mapping[str, Any]) -> Any:
    inference = open_inference.decode(json_encode.dumps(request), None, operation)
    message = request_model(operation).read(inference.fields)
    content, _ = open_inference_reply.encode(
        inference, execute(operation, message.arguments, message.output_names), operation
    )
    return json.loads(b"".join(content))


def _refusal(function: Callable[..., object], *arguments: object) -> ServiceError:
    """Return the error that a function raises."""
    try:
        function(*arguments)
    except ServiceError as error:
        return error
    raise AssertionError(f"{function.__name__} takes {arguments}")
