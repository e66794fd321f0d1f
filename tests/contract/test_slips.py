"""Slips that people make: each is answered with the place and the mend."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.bodies import npy, npz
from tests.connections import connect

if TYPE_CHECKING:
    import httpx

LOGITS = [[2, 3, 4]]
ARRAY = np.array(LOGITS)
TENSOR = {"name": "logits", "shape": [1, 3], "datatype": "FP64", "data": LOGITS}
"""The logits as an input of the Open Inference Protocol."""

BODIES: dict[str, tuple[str, dict[str, Any], str]] = {
    "boxed number of R": (
        "/softmax",
        {"logits": LOGITS, "temperature": [2]},
        "temperature must be a valid number; write it without brackets (in R, with auto_unbox = TRUE).",
    ),
    "boxed word of R": ("/softmax", {"logits": LOGITS, "dtype": ["float32"]}, "write it without brackets"),
    "temperature of each row": ("/softmax", {"logits": LOGITS, "temperature": [2, 3]}, "send one value for all rows."),
    "long list for a number": ("/softmax", {"logits": LOGITS, "temperature": [0.5] * 3000}, "one value for all rows."),
    "instances of TensorFlow Serving": ("/softmax", {"instances": LOGITS}, "the name here is logits."),
    "classes on the second axis": (
        "/loss",
        {"logits": [[[1, 2], [3, 4], [5, 6]]], "targets": [[0, 2]]},
        "it must have shape (1, 3) or (1, 3, 2) beside logits (1, 3, 2). Move the classes to the last axis.",
    ),
    "typed array of JavaScript": (
        "/softmax",
        {"logits": [{"0": 2.5, "1": 3.5}]},
        "logits[0] is an object with numbered members, as JSON has a typed array of JavaScript (convert it with Array",
    ),
    "long typed array": ("/softmax", {"logits": {str(n): 0.5 for n in range(2000)}}, "convert it with Array.from"),
    "longest typed array": ("/softmax", {"logits": {str(n): 0.5 for n in range(50_000)}}, "not as objects"),
    "label -100": (
        "/loss",
        {"logits": LOGITS, "targets": [-100]},
        "targets[0] is -100, which is not a class index; use 0 to 2, or set ignore_index to -100.",
    ),
    "label 255": ("/calibrate", {"logits": LOGITS, "targets": [255]}, "or set ignore_index to 255."),
    "temperature 0": (
        "/softmax",
        {"logits": LOGITS, "temperature": 0},
        "temperature must be greater than 0; the limit of temperature 0 is the output predictions.",
    ),
    "weight of PyTorch": (
        "/loss",
        {"logits": LOGITS, "targets": [1], "weight": [1, 1, 1]},
        'Unknown field "weight"; the name here is class_weights or weights.',
    ),
    "weight of a PyTorch layer": ("/softmax", {"inputs": LOGITS, "weight": [[1, 1, 1]]}, "the name here is weights."),
    "input of PyTorch": ("/softmax", {"input": LOGITS}, 'Unknown field "input"; the name here is logits.'),
    "labels": ("/loss", {"logits": LOGITS, "labels": [1]}, 'Unknown field "labels"; the name here is targets.'),
    "target of PyTorch": ("/loss", {"logits": LOGITS, "target": [1]}, "the name here is targets."),
    "y_true of Keras": ("/loss", {"logits": LOGITS, "y_true": [1]}, "the name here is targets."),
    "dim of PyTorch": ("/softmax", {"logits": LOGITS, "dim": 1}, "classes are always the last axis"),
    "axis of Keras and SciPy": ("/softmax", {"logits": LOGITS, "axis": 0}, "classes are always the last axis"),
    "from_logits of Keras": ("/loss", {"logits": LOGITS, "from_logits": True}, "the service always takes logits"),
    "eps": ("/loss", {"logits": LOGITS, "targets": [1], "eps": 0.1}, "the name here is label_smoothing."),
    "ignore_class of Keras": ("/loss", {"logits": LOGITS, "ignore_class": 0}, "the name here is ignore_index."),
    "probabilities in place of logits": (
        "/softmax",
        {"probs": LOGITS},
        "send the logarithms of probabilities as logits.",
    ),
    "student beside a teacher": (
        "/loss",
        {"student_logits": LOGITS, "teacher_logits": LOGITS},
        'Unknown field "student_logits"; the name here is logits.',
    ),
    "targets of softmax": (
        "/softmax",
        {"logits": LOGITS, "targets": [1]},
        'Unknown field "targets"; it is an input of loss, gradient, calibrate.',
    ),
    "learning rate of a loss": ("/loss", {"logits": LOGITS, "lr": 1}, "learning_rate is a parameter of gradient."),
    "output as a field": (
        "/softmax",
        {"logits": LOGITS, "entropy": True},
        "it is an output of softmax, loss, gradient: name it in outputs.",
    ),
    "output of another operation": (
        "/softmax",
        {"logits": LOGITS, "outputs": ["loss"]},
        "outputs[0] is not an output of softmax; loss is an output of loss, gradient, calibrate.",
    ),
    "output of another library": (
        "/gradient",
        {"logits": LOGITS, "targets": [1], "outputs": ["cross_entropy"]},
        'outputs[0] is not an output of gradient; did you mean "loss"?',
    ),
    "gradient of weights": (
        "/gradient",
        {"logits": LOGITS, "targets": [1], "outputs": ["grad_weights"]},
        'did you mean "weights_gradient"?',
    ),
    "input in the query": (
        "/softmax?logits=1",
        {},
        'Unknown query parameter "logits"; it is an input of softmax, loss, gradient, calibrate: send it in the body.',
    ),
    "Open Inference body": (
        "/softmax",
        {"inputs": [TENSOR]},
        "inputs[0] is an object of the Open Inference Protocol (send it to a path below /v2/models)",
    ),
    "plain body": (
        "/v2/models/softmax/infer",
        {"logits": LOGITS},
        'Unknown member "logits"; it is an input of softmax, loss, gradient, calibrate: send it as an item of inputs.',
    ),
    "parameter as a member": (
        "/v2/models/softmax/infer",
        {"inputs": [TENSOR], "temperature": 2},
        "it is a parameter of softmax, loss, gradient: send it in parameters.",
    ),
    "parameter as an input": (
        "/v2/models/softmax/infer",
        {"inputs": [TENSOR, TENSOR | {"name": "temperature"}]},
        'Unknown input "temperature"; it is a parameter of softmax, loss, gradient: send it as a parameter.',
    ),
    "outputs as a parameter": (
        "/v2/models/softmax/infer",
        {"inputs": [TENSOR], "parameters": {"outputs": ["entropy"]}},
        'Unknown parameter "outputs"; it is a member of the request, beside inputs and parameters.',
    ),
    "no inputs": ("/v2/models/softmax/infer", {}, "Send inputs, a list of tensors."),
    "input of MLServer": (
        "/v2/models/softmax/infer",
        {"inputs": [{"name": "input-1", "shape": [1], "datatype": "FP64", "data": [1]}]},
        'Unknown input "input-1"; the name here is logits.',
    ),
    "number beyond float32": (
        "/softmax",
        {"logits": [[1, 2], [3, 1e300]], "dtype": "float32"},
        "logits[1, 1] is beyond the range of float32; set dtype to float64.",
    ),
    "number beyond INT8": (
        "/v2/models/softmax/infer",
        {"inputs": [TENSOR | {"datatype": "INT8", "data": [-300, 2, 3]}]},
        "logits[0] is beyond the range of INT8; use a type that holds it.",
    ),
    "number in quotes": (
        "/softmax",
        {"logits": LOGITS, "temperature": "0.5"},
        "temperature must be a valid number; write it without quotes.",
    ),
    "integer in quotes": (
        "/softmax",
        {"logits": LOGITS, "top_k": "2"},
        "top_k must be a valid integer; write it without",
    ),
    "batch without rows": (
        "/softmax",
        {"logits": []},
        "logits has no classes; its shape is (0,). A batch without rows has shape (0, K), which .npy files and /v2 can send.",
    ),
    "weights of a loss": (
        "/loss",
        {"logits": LOGITS, "targets": [1], "weights": [1, 1, 1]},
        "weights needs inputs; those of a loss are class_weights and sample_weights.",
    ),
    "divergence from labels": (
        "/loss",
        {"logits": LOGITS, "targets": [1], "outputs": ["kl_divergence"]},
        "outputs cannot have kl_divergence without targets that are class probabilities or teacher_logits.",
    ),
    "classification of an entropy": (
        "/v2/models/softmax/infer",
        {"inputs": [TENSOR], "outputs": [{"name": "entropy", "parameters": {"classification": 2}}]},
        "outputs cannot have a classification of entropy; it has no value for each class.",
    ),
    "start of a parameter": ("/softmax", {"logits": LOGITS, "temp": 2}, 'field "temp"; did you mean "temperature"?'),
    "start of a second word": ("/loss", {"logits": LOGITS, "smoot": 0}, 'did you mean "label_smoothing"?'),
    "plural of a start": ("/softmax", {"logits": LOGITS, "outputs": ["probs"]}, 'did you mean "probabilities"?'),
    "start of an output": ("/softmax", {"logits": LOGITS, "outputs": ["pred"]}, 'did you mean "predictions"?'),
    "output in the singular": ("/softmax", {"logits": LOGITS, "output": []}, "the name here is outputs or logits."),
}
"""The path, the body, and a part of the answer."""


@pytest.mark.parametrize(("path", "body", "sentence"), BODIES.values(), ids=BODIES)
async def test_a_slip_is_answered_with_its_mend(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], sentence: str
) -> None:
    answer = await client.post(path, json=body)
    assert answer.status_code in (400, 422)
    assert sentence in answer.json()["detail"]
    assert answer.json()["errors"]
    assert len(answer.content) < 4096


SIGNATURES = {
    "torch.nn.functional.cross_entropy": "input target weight size_average ignore_index reduce reduction label_smoothing",
    "torch.nn.functional.kl_div": "input target size_average reduce reduction log_target",
    "torch.nn.functional.binary_cross_entropy_with_logits": "input target weight pos_weight",
    "torch.softmax": "input dim dtype",
    "torch.logsumexp": "input dim keepdim",
    "torch.topk": "input k dim",
    "keras.losses.SparseCategoricalCrossentropy": "y_true y_pred from_logits ignore_class axis reduction sample_weight",
    "keras.losses.CategoricalCrossentropy": "y_true y_pred from_logits label_smoothing axis reduction",
    "scipy.special.softmax": "x axis",
    "scipy.special.logsumexp": "a axis keepdims",
    "scipy.stats.entropy": "pk qk base axis keepdims",
    "sklearn.metrics.log_loss": "y_true y_pred normalize sample_weight labels",
    "sklearn.metrics.top_k_accuracy_score": "y_true y_score k normalize sample_weight labels",
}
"""The names of parameters in other libraries."""


@pytest.mark.parametrize("function", SIGNATURES)
async def test_names_of_other_libraries_are_recognised(client: httpx.AsyncClient, function: str) -> None:
    for name in SIGNATURES[function].split():
        answer = await client.post("/loss", json={"logits": LOGITS, "targets": [1], name: None})
        if answer.status_code != 200:
            detail = answer.json()["detail"]
            assert detail.startswith(f'Unknown field "{name}"; '), detail
            assert "known are" not in detail
            assert "did you mean" not in detail


FILES = {
    "parameter in an archive": (
        "npz",
        npz(logits=ARRAY, temperature=np.array(2.0)),
        "send parameters in the query string.",
    ),
    "array without a name": ("npz", npz(arr_0=ARRAY), "save it as np.savez(file, logits=logits)."),
    "name of Keras": ("npz", npz(logits=ARRAY, y_pred=ARRAY), "the name here is logits."),
    "bfloat16": ("npy", npy(np.ones(3, "V2")), "V2, as NumPy writes bfloat16 (send float32)"),
    "archive as an array": ("npy", npz(logits=ARRAY), "set Content-Type to application/x-npz."),
    "array as an archive": ("npz", npy(ARRAY), "set Content-Type to application/x-npy."),
    "JSON as an array": ("npy", b'{"logits":[1]}', "looks like JSON; set Content-Type to application/json."),
    "JSON as an archive": ("npz", b'{"logits":[1]}', "looks like JSON; set Content-Type to application/json."),
    "gzip as an array": ("npy", gzip.compress(npy(ARRAY)), "name the compression in Content-Encoding."),
    "gzip as an archive": ("npz", gzip.compress(npz(logits=ARRAY)), "name the compression in Content-Encoding."),
    "empty array": ("npy", b"", "logits is not a valid .npy file of numbers, but empty; send the file."),
    "empty archive": ("npz", b"", "The body is not a valid .npz archive, but empty; send the file."),
    "cut array": (
        "npy",
        npy(ARRAY)[:-1],
        "has 23 bytes of numbers, and its shape and dtype ask for 24; send the whole",
    ),
    "cut archive": ("npz", npz(logits=ARRAY)[:-1], "send the whole file and nothing else."),
    "array as JSON": ("json", npy(ARRAY), "set Content-Type to application/x-npy or application/x-npz."),
}
"""The format in Content-Type, the body, and a part of the answer."""


@pytest.mark.parametrize(("format_", "body", "sentence"), FILES.values(), ids=FILES)
async def test_a_slip_in_a_file_is_answered_with_its_mend(
    client: httpx.AsyncClient, format_: str, body: bytes, sentence: str
) -> None:
    media_type = "application/json" if format_ == "json" else f"application/x-{format_}"
    answer = await client.post("/softmax", content=body, headers={"Content-Type": media_type})
    assert answer.status_code in (400, 422)
    assert sentence in answer.json()["detail"]


@pytest.mark.parametrize("query", ["temperature=1e+2", "temperature=%2B100", "temperature=+100"])
async def test_a_plus_in_a_query_number_is_read(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.post(f"/softmax?{query}", json={"logits": LOGITS})
    expected = await client.post("/softmax", json={"logits": LOGITS, "temperature": 100})
    assert answer.status_code == 200
    assert answer.content == expected.content


async def test_outputs_may_be_repeated_in_the_query(client: httpx.AsyncClient) -> None:
    for query in (
        "outputs=entropy&outputs=predictions",
        "outputs=entropy, predictions",
        "outputs=entropy+,predictions",
    ):
        answer = await client.post(f"/softmax?{query}", json={"logits": LOGITS})
        assert list(answer.json()) == ["entropy", "predictions"]


@pytest.mark.parametrize("blanks", [b" " * 300_000, b"\r\n\t " * 2_000_000], ids=["300 kB", "8 MB"])
@pytest.mark.parametrize("numbers", [b"2,3,4", b"0.5," * 100_000 + b"0.5"], ids=["short", "long"])
async def test_blanks_around_the_object_are_accepted(client: httpx.AsyncClient, numbers: bytes, blanks: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    body = b'{"logits":[%b],"outputs":["predictions"]}' % numbers
    expected = await client.post("/softmax", content=body, headers=headers)
    for text in (body + blanks, blanks + body, blanks + body + blanks):
        answer = await client.post("/softmax", content=text, headers=headers)
        assert answer.status_code == 200
        assert answer.content == expected.content
    lines = blanks.count(b"\n")
    for text, line in ((body + blanks + b"x", 1), (blanks + body.replace(b"]}", b",]}"), lines + 1)):
        refused = await client.post("/softmax", content=text, headers=headers)
        assert refused.status_code == 400
        assert line in (1, refused.json()["errors"][0]["loc"][1])


LAYER = {"inputs": [[1] * 11] * 9, "weights": [[1] * 11] * 10}

TOO_LARGE: dict[str, tuple[dict[str, Any], int, str]] = {
    "a body": ({"logits": [[1] * 10] * 100}, 1000, "longer than 1000 bytes; about 45 % of its rows would fit."),
    "a tensor": (
        {"logits": [[1] * 10] * 40},
        1000,
        "logits has more than 100 elements; send at most 10 rows.",
    ),
    "a long tensor": (
        {"logits": [[1] * 10] * 400},
        10_000,
        "logits has more than 100 elements; send at most 10 rows.",
    ),
    "a long row": (
        {"logits": [1] * 4000},
        10_000,
        "logits has more than 100 elements; send fewer classes or features.",
    ),
    "weights": (LAYER, 1000, "weights has more than 100 elements; send fewer classes or features."),
    "an output": (
        {"logits": [[1] * 8] * 2, "outputs": ["jacobian"]},
        1000,
        "jacobian has more than 100 elements; send at most 1 row.",
    ),
    "a row of an output": (
        {"logits": [[1] * 11] * 2, "outputs": ["jacobian"]},
        1000,
        "jacobian has more than 100 elements; send fewer classes or features.",
    ),
}
"""The request, the limit of a body, and a part of the answer."""


@pytest.mark.parametrize(("request_", "limit", "sentence"), TOO_LARGE.values(), ids=TOO_LARGE)
async def test_a_413_names_both_limits_and_the_rows_that_fit(
    request_: dict[str, Any], limit: int, sentence: str
) -> None:
    async with connect(max_body_bytes=limit, max_elements=100) as client:
        answer = await client.post("/softmax", json=request_)
    assert answer.status_code == 413
    detail = answer.json()["detail"]
    assert sentence in detail
    assert detail.endswith(
        f"A body has at most {limit} bytes, and a tensor 100 elements; docs/recipes.md shows how to send a batch in parts."
    )
