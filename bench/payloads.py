"""Requests and expected replies, one entry of `KINDS` for each format."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from service.formats import json_encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Floats = npt.NDArray[np.float64]

JSON = {"Content-Type": "application/json"}
NPY = {"Content-Type": "application/x-npy"}


@dataclass(frozen=True)
class Message:
    """A request. headers: those that differ between formats."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Kind:
    """A format of the request and the reply.

    encode: return the request for logits (N, K). decode: return the array in the body of a reply, given its shape.
    echoed: the reply is the request itself, not its probabilities.
    """

    encode: Callable[[Floats], Message]
    decode: Callable[[bytes, tuple[int, ...]], Floats]
    echoed: bool = False

    def check(self, values: Floats, reply: bytes) -> None:
        """Raise ValueError unless reply is the answer to values."""
        expected = values if self.echoed else softmax(values)
        if not np.allclose(self.decode(reply, values.shape), expected, rtol=1e-6, atol=0.0):
            raise ValueError("the answer is wrong")


def logits(rows: int, classes: int) -> Floats:
    """Return normal logits of standard deviation 3, the same in each run."""
    return np.random.default_rng(0).normal(scale=3.0, size=(rows, classes))


def softmax(values: Floats) -> Floats:
    """Return the softmax of each row."""
    exponentials = np.exp(values - values.max(axis=-1, keepdims=True))
    probabilities: Floats = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return probabilities


def _dump(**members: Any) -> bytes:
    return json_encode.dumps(members)


def _nested(values: Floats) -> Message:
    return Message(JSON, _dump(logits=values.tolist()))


def _probabilities_only(values: Floats) -> Message:
    return Message(JSON, _dump(logits=values.tolist(), outputs=["probabilities"]))


def _npy(values: Floats) -> Message:
    body = io.BytesIO()
    np.save(body, values)
    return Message(NPY, body.getvalue())


def _inference(values: Floats) -> Message:
    tensor = {"name": "logits", "shape": values.shape, "datatype": "FP64", "data": values.ravel().tolist()}
    return Message(JSON, _dump(inputs=[tensor], outputs=[{"name": "probabilities"}]))


def _binary_inference(values: Floats) -> Message:
    size = {"binary_data_size": values.nbytes}
    tensor = {"name": "logits", "shape": values.shape, "datatype": "FP64", "parameters": size}
    head = _dump(inputs=[tensor], outputs=[{"name": "probabilities", "parameters": {"binary_data": True}}])
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return Message(headers, head + values.tobytes())


def _member(name: str) -> Callable[[bytes, tuple[int, ...]], Floats]:
    """Return a function that reads one member of a JSON object."""
    return lambda body, _: np.array(json.loads(body)[name])


def _first_output(body: bytes, shape: tuple[int, ...]) -> Floats:
    return np.array(json.loads(body)["outputs"][0]["data"]).reshape(shape)


def _last_bytes(body: bytes, shape: tuple[int, ...]) -> Floats:
    """Return the tensor at the end of a body."""
    count = shape[0] * shape[1]
    return np.frombuffer(body, np.float64, count, len(body) - 8 * count).reshape(shape)


KINDS: Mapping[str, Kind] = {
    "JSON": Kind(_nested, _member("probabilities")),
    "JSON, probabilities only": Kind(_probabilities_only, _member("probabilities")),
    "JSON, echoed": Kind(_nested, _member("logits"), echoed=True),
    ".npy": Kind(_npy, _last_bytes),
    ".npy, echoed": Kind(_npy, _last_bytes, echoed=True),
    "V2 JSON": Kind(_inference, _first_output),
    "V2 binary": Kind(_binary_inference, _last_bytes),
}
