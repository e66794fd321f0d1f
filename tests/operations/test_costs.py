"""Test the memory of a request, which does not depend on the machine."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from service.compute import blocks
from service.formats import json_decode, json_encode, npy, open_inference, open_inference_reply
from service.operations import OPERATIONS, execute
from service.operations.size import LONG_ROW, LONG_ROW_ARRAYS
from service.schemas.requests import request_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

NAMED = {operation.name: operation for operation in OPERATIONS}
MESSAGES = {operation.name: request_model(operation) for operation in OPERATIONS}

GENERATOR = np.random.default_rng(0)
LOGITS = GENERATOR.normal(scale=3.0, size=(512, 1_000))
LABELS = GENERATOR.integers(1_000, size=512)


TEXT_END = b"}}]}"
"""Header with the length of the JSON before raw tensors."""


def compute(name: str, fields: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """Return the outputs of an operation."""
    message = MESSAGES[name].read(fields)
    return execute(NAMED[name], message.arguments, message.output_names)


def by_json(name: str, body: bytes) -> object:
    """Answer a JSON body in JSON."""
    return json_encode.encode(compute(name, json_decode.decode(body, NAMED[name])))


def by_npy(name: str, body: bytes) -> object:
    """Answer a .npy file with a .npy file."""
    (values,) = compute(name, npy.decode_npy(body, NAMED[name], "outputs=probabilities")).values()
    return npy.encode_npy(values)


def by_open_inference(name: str, body: bytes) -> object:
    """Answer raw tensors with raw tensors."""
    inference = open_inference.decode(body, body.index(TEXT_END) + len(TEXT_END), NAMED[name])
    return open_inference_reply.encode(inference, compute(name, inference.fields), NAMED[name])[0]


def open_inference_body(logits: npt.NDArray[Any]) -> bytes:
    """Return a request of raw logits for raw probabilities."""
    size = b'{"name":"logits","shape":[%d,%d],"datatype":"FP64","parameters":{"binary_data_size":%d}}' % (
        *logits.shape,
        logits.nbytes,
    )
    text = b'{"inputs":[%b],"outputs":[{"name":"probabilities","parameters":{"binary_data":true' % size
    return text + TEXT_END + logits.tobytes()


def peak(function: Callable[[], Any]) -> int:
    """Return the peak memory of a call, in bytes."""
    function()
    tracemalloc.start()
    function()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def in_json(**fields: npt.NDArray[Any]) -> bytes:
    """Return tensors as a JSON object."""
    return json_encode.dumps({name: values.tolist() for name, values in fields.items()})


LARGE = {
    "softmax in JSON": (by_json, "softmax", in_json(logits=LOGITS), 1.75),
    "softmax of short rows in JSON": (by_json, "softmax", in_json(logits=LOGITS.reshape(-1, 10)), 1.85),
    "loss in JSON": (by_json, "loss", in_json(logits=LOGITS, targets=LABELS), 0.9),
    "gradient in JSON": (by_json, "gradient", in_json(logits=LOGITS, targets=LABELS), 1.75),
    "softmax in .npy": (by_npy, "softmax", b"".join(npy.encode_npy(LOGITS)), 1.3),
    "softmax behind JSON": (by_open_inference, "softmax", open_inference_body(LOGITS), 1.45),
}
"""Function, body, and largest memory besides the body, in lengths of the body."""


@pytest.mark.parametrize("case", LARGE)
def test_large_request_takes_at_most_so_many_times_its_body(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # each further core has another block
    monkeypatch.setattr(blocks, "usable_cores", lambda: 1)
    door, name, body, times = LARGE[case]
    assert peak(lambda: door(name, body)) < times * len(body)


def test_a_loss_alone_makes_no_probabilities_of_the_batch() -> None:
    fields = {"logits": LOGITS, "targets": LABELS}
    assert peak(lambda: compute("loss", fields)) < LOGITS.nbytes / 2


@pytest.mark.parametrize(("rows", "classes", "features"), [(1200, 1000, 20), (200_000, 8, 2), (100, 400, 1000)])
def test_a_layer_of_all_scales_takes_little_more_memory(
    rows: int, classes: int, features: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "usable_cores", lambda: 1)
    random = np.random.default_rng(0)

    def most(powers: int) -> int:
        inputs, weights = (np.exp2(random.integers(-powers, powers + 1, (n, features))) for n in (rows, classes))
        layer = {"inputs": inputs, "weights": weights, "bias": np.zeros(classes), "targets": np.zeros(rows, int)}
        outputs = ["weights_gradient", "bias_gradient", "inputs_gradient"]
        return peak(lambda: compute("gradient", {**layer, "outputs": outputs}))

    near, far = most(2), most(500)
    assert far < 1.5 * near + 20 * 2**20


@pytest.mark.parametrize(("classes", "features"), [(2**20, 1), (1, 2**20)])
def test_a_layer_of_one_long_row_is_not_padded(classes: int, features: int) -> None:
    layer = {"inputs": np.ones((1, features)), "weights": np.ones((classes, features))}
    assert peak(lambda: compute("softmax", {**layer, "outputs": ["predictions"]})) < 3 * layer["weights"].nbytes


@pytest.mark.parametrize("output", ["kl_divergence", "logits_gradient", "temperature_gradient"])
def test_a_long_row_takes_the_arrays_that_are_counted(output: str) -> None:
    random, shape = np.random.default_rng(0), (1, 2 * LONG_ROW)
    logits, teacher_logits = random.normal(size=shape), random.normal(size=shape)
    fields = {"logits": logits, "teacher_logits": teacher_logits, "denominator": 1e-290, "softcap": 3.0}
    if output == "logits_gradient":
        fields["class_weights"] = random.random(shape[1]) * 10.0 ** random.uniform(-300.0, 300.0, shape[1])
    arrays = LONG_ROW_ARRAYS + 2
    assert peak(lambda: compute("gradient", {**fields, "outputs": [output]})) < arrays * logits.nbytes


def test_requests_with_many_rows_leave_no_memory_behind() -> None:
    def ask(rows: int) -> None:
        compute("softmax", {"logits": np.zeros((rows, 2)), "outputs": ["predictions"]})

    ask(2)
    tracemalloc.start()
    try:
        for rows in range(100_000, 100_008):
            ask(rows)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000
