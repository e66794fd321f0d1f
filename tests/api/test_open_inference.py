"""Test the Open Inference Protocol over HTTP: results of the plain endpoints, and 400 for invalid requests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.operations import OPERATIONS
from tests.bodies import compress, infer, listed, raw
from tests.connections import application, connect, converse, piece

if TYPE_CHECKING:
    import httpx

Array = npt.NDArray[Any]

JSON, BINARY = "application/json", "application/octet-stream"
HEADER = "Inference-Header-Content-Length"
EXTENSIONS = ["binary_tensor_data", "model_configuration", "statistics", "model_repository"]

MODELS = {operation.name: operation for operation in OPERATIONS}
LOGITS = np.array([[2.0, 3.0, 4.0], [3.0, 1.0, -3.0]])
LABELS = np.array([1, 0])
ASKED = {
    "softmax": ["probabilities", "predictions", "entropy", "jacobian"],
    "loss": ["loss", "denominator", "row_losses", "accuracy", "log_probabilities"],
    "gradient": ["logits_gradient", "weights_gradient", "temperature_gradient", "loss", "predictions"],
    "calibrate": ["temperature", "loss", "loss_before", "at_bound", "expected_calibration_error"],
}
ENCODINGS = ["gzip", "deflate", "zstd"]

with_client = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
"""Settings for tests whose examples share a client, which keeps no state."""


RAW = infer(raw("logits", LOGITS), parameters={"binary_data_output": True})
RAW_BODY = RAW + LOGITS.tobytes()
RAW_HEADERS = {HEADER: str(len(RAW))}
PLAIN_BODY = infer(listed("logits", LOGITS))


async def post(
    client: httpx.AsyncClient, content: bytes, headers: dict[str, str] | None = None, *, path: str = "softmax"
) -> httpx.Response:
    """Return the response to an infer request for a model, or for one of its versions."""
    return await client.post(f"/v2/models/{path}/infer", content=content, headers=headers)


def outputs(reply: httpx.Response) -> dict[str, Array]:
    """Return the outputs of a response by name, raw or JSON."""
    assert reply.status_code == 200, reply.text
    length = int(reply.headers.get(HEADER, len(reply.content)))
    tail, found = reply.content[length:], {}
    for output in json.loads(reply.content[:length])["outputs"]:
        dtype = {"FP64": "<f8", "FP32": "<f4", "INT64": "<i8"}[output["datatype"]]
        size = output.get("parameters", {}).get("binary_data_size")
        values = np.array(output["data"], dtype) if size is None else np.frombuffer(tail[:size], dtype)
        found[output["name"]] = values.reshape(output["shape"])
        tail = tail[size or 0 :]
    assert tail == b""
    return found


def assert_refused(reply: httpx.Response, status: int = 400) -> None:
    """Assert that the response is a problem with the member `error`, which clients of inference servers read."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert problem["status"] == status
    assert problem["error"] == problem["detail"]
    assert problem["error"]
    assert len(reply.content) < 4000


@st.composite
def batches(draw: st.DrawFn) -> tuple[str, dict[str, Array]]:
    """Draw an operation, and arrays for it in any order."""
    operation = draw(st.sampled_from(sorted(MODELS)))
    rows, classes, features = draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    arrays: dict[str, Array] = {
        "inputs": random.normal(size=(rows, features)),
        "weights": random.normal(size=(classes, features)),
        "bias": random.normal(size=classes),
    }
    if operation != "softmax":
        arrays |= {"targets": random.integers(classes, size=rows), "sample_weights": random.uniform(size=rows)}
    return operation, {name: arrays[name] for name in draw(st.permutations(sorted(arrays)))}


@given(
    batch=batches(), datatype=st.sampled_from(["FP64", "FP32"]), flags=st.lists(st.booleans(), min_size=10, max_size=10)
)
@with_client
async def test_raw_and_json_tensors_get_the_bits_of_the_plain_endpoint(
    client: httpx.AsyncClient, batch: tuple[str, dict[str, Array]], datatype: str, flags: list[bool]
) -> None:
    operation, arrays = batch
    dtype = {"FP64": "float64", "FP32": "float32"}[datatype]
    sent = {name: values if name == "targets" else values.astype(dtype) for name, values in arrays.items()}
    behind = dict(zip(sent, flags, strict=False))
    asked = dict(zip(ASKED[operation], reversed(flags), strict=False))
    text = infer(
        *(
            (raw if behind[name] else listed)(name, values, "INT64" if name == "targets" else datatype)
            for name, values in sent.items()
        ),
        outputs=[{"name": name, "parameters": {"binary_data": flag}} for name, flag in asked.items()],
    )
    body = text + b"".join(values.tobytes() for name, values in sent.items() if behind[name])
    answer = outputs(await post(client, body, {HEADER: str(len(text))}, path=operation))
    fields = {name: values.tolist() for name, values in sent.items()}
    expected = await client.post(f"/{operation}", json={**fields, "dtype": dtype, "outputs": list(asked)})
    assert list(answer) == list(asked)
    for name, values in expected.raise_for_status().json().items():
        assert answer[name].tolist() == np.array(values, answer[name].dtype).reshape(answer[name].shape).tolist()


async def test_default_outputs_are_those_of_the_plain_endpoint(client: httpx.AsyncClient) -> None:
    for body, headers in ((PLAIN_BODY, {}), (RAW_BODY, RAW_HEADERS)):
        answer = outputs(await post(client, body, headers))
        expected = (await client.post("/softmax", json={"logits": LOGITS.tolist()})).json()
        assert {name: values.tolist() for name, values in answer.items()} == expected


async def test_parameters_act_as_at_the_plain_endpoint(client: httpx.AsyncClient) -> None:
    parameters = {"temperature": 2.5, "softcap": 3, "top_k": 2}
    answer = outputs(await post(client, infer(listed("logits", LOGITS), parameters=parameters)))
    expected = (await client.post("/softmax", json={"logits": LOGITS.tolist(), **parameters})).json()
    assert {name: values.tolist() for name, values in answer.items()} == expected


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16", "BF16"])
@pytest.mark.parametrize("binary", [True, False], ids=["raw", "JSON"])
async def test_a_single_sample_has_a_label_without_axes(
    client: httpx.AsyncClient, datatype: str, *, binary: bool
) -> None:
    ones: dict[str, Any] = {"FP64": 1.0, "FP32": np.float32(1), "FP16": np.float16(1), "BF16": np.uint16(0x3F80)}
    one = np.array(ones[datatype])
    label = raw("targets", one, datatype) if binary else listed("targets", np.array(1), datatype)
    text = infer(listed("logits", LOGITS[0]), label)
    body = text + one.tobytes() if binary else text
    answer = outputs(await post(client, body, {HEADER: str(len(text))}, path="loss"))
    expected = (await client.post("/loss", json={"logits": LOGITS[0].tolist(), "targets": 1})).json()
    assert answer["loss"] == expected["loss"]


async def test_a_loss_that_fp16_cannot_hold_is_answered_as_fp32(client: httpx.AsyncClient) -> None:
    body = infer(listed("logits", np.array([6e4, -6e4]), "FP16"), listed("targets", np.array(1), "INT64"))
    (loss, _) = (await post(client, body, path="loss")).json()["outputs"]
    assert loss == {"name": "loss", "shape": [], "datatype": "FP32", "data": [120_000.0]}


async def test_a_row_that_fp16_cannot_hold_is_infinite(client: httpx.AsyncClient) -> None:
    logits, targets = listed("logits", np.array([[6e4, -6e4]]), "FP16"), listed("targets", np.array([1]), "INT64")
    body = infer(logits, targets, outputs=[{"name": "row_losses"}])
    (loss,) = (await post(client, body, path="loss")).json()["outputs"]
    assert loss == {"name": "row_losses", "shape": [1], "datatype": "FP16", "data": ["Infinity"]}


async def test_raw_answer_states_the_length_of_its_json(client: httpx.AsyncClient) -> None:
    reply = await post(client, RAW_BODY, RAW_HEADERS)
    assert reply.headers["content-type"] == BINARY
    header = json.loads(reply.content[: int(reply.headers[HEADER])])
    sizes = [output["parameters"]["binary_data_size"] for output in header["outputs"]]
    assert int(reply.headers["content-length"]) == int(reply.headers[HEADER]) + sum(sizes)


async def test_an_answer_in_json_has_no_length_of_its_json(client: httpx.AsyncClient) -> None:
    reply = await post(client, PLAIN_BODY)
    assert reply.headers["content-type"] == JSON
    assert HEADER not in reply.headers


@pytest.mark.parametrize("identity", ["7", "", "[[{", '"\\', "\u00fc\U0001f600", "x" * 1000])
async def test_the_id_is_repeated(client: httpx.AsyncClient, identity: str) -> None:
    reply = await post(client, infer(listed("logits", LOGITS), id=identity))
    assert reply.json()["id"] == identity


@pytest.mark.parametrize("member", [{"model_name": "softmax"}, {"model_name": "softmax", "model_version": "1"}])
async def test_a_request_may_name_the_model_as_some_clients_do(
    client: httpx.AsyncClient, member: dict[str, str]
) -> None:
    outputs(await post(client, infer(listed("logits", LOGITS), **member)))


@pytest.mark.parametrize("content_type", [None, JSON, "application/json; charset=utf-8", BINARY])
async def test_a_body_without_a_content_type_is_read(client: httpx.AsyncClient, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    expected = outputs(await post(client, RAW_BODY, RAW_HEADERS))
    answer = outputs(await post(client, RAW_BODY, headers | RAW_HEADERS))
    np.testing.assert_equal(answer, expected)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-npy", "application/x-www-form-urlencoded"])
async def test_a_body_of_another_content_type_is_not_read(client: httpx.AsyncClient, content_type: str) -> None:
    assert_refused(await post(client, PLAIN_BODY, {"Content-Type": content_type}), 415)


@pytest.mark.parametrize(("body", "other"), [(PLAIN_BODY, BINARY), (RAW_BODY, JSON)], ids=["JSON", "raw"])
async def test_accept_must_allow_the_format_that_is_asked_for(
    client: httpx.AsyncClient, body: bytes, other: str
) -> None:
    headers = {} if body is PLAIN_BODY else RAW_HEADERS
    for accept in (other, "*/*", "application/*", f"text/plain, {other};q=0.1"):
        allowed = other not in accept
        reply = await post(client, body, {**headers, "Accept": accept})
        assert reply.status_code == (200 if allowed else 406), accept
        assert allowed or ({JSON, BINARY} - {other}).pop() in reply.json()["detail"]


@pytest.mark.parametrize(
    "path",
    ["", "/health/ready", "/models", "/models/softmax", "/models/softmax/config", "/models/softmax/versions/1/stats"],
)
async def test_a_query_parameter_of_any_path_is_refused(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(f"/v2{path}?verbose=1")
    assert_refused(reply, 400)
    assert reply.json()["detail"] == 'Unknown query parameter "verbose"; this path has none.'


@pytest.mark.parametrize("accept", ["text/html", "application/x-npy", "*/*;q=0"])
async def test_an_answer_outside_accept_is_not_given(client: httpx.AsyncClient, accept: str) -> None:
    assert_refused(await post(client, PLAIN_BODY, {"Accept": accept}), 406)


@pytest.mark.parametrize(
    "length", ["", "-1", "+3", " ", "x", "1e2", "0x10", "1_0", "1.0", "\u00b2", "1, 2", "0", "1", "9" * 18, "9" * 5000]
)
async def test_a_header_length_that_is_not_that_of_the_json_is_refused(client: httpx.AsyncClient, length: str) -> None:
    headers = [(HEADER.encode(), length.encode("latin-1"))]
    reply = await client.post("/v2/models/softmax/infer", content=RAW_BODY, headers=headers)
    assert_refused(reply)


async def test_a_body_that_ends_early_or_late_is_refused(client: httpx.AsyncClient) -> None:
    for wrong in (b"", RAW_BODY[: len(RAW) - 1], RAW, RAW_BODY[:-1], RAW_BODY + b"\0", RAW_BODY * 2):
        assert_refused(await post(client, wrong, RAW_HEADERS))


PLACES: list[tuple[str | int, ...]] = [
    (),
    ("id",),
    ("parameters",),
    ("parameters", "temperature"),
    ("parameters", "ignore_index"),
    ("parameters", "reduction"),
    ("inputs",),
    ("inputs", 0),
    ("inputs", 0, "name"),
    ("inputs", 0, "shape"),
    ("inputs", 0, "shape", 0),
    ("inputs", 0, "datatype"),
    ("inputs", 0, "data"),
    ("inputs", 0, "data", 1),
    ("inputs", 1, "shape"),
    ("inputs", 1, "datatype"),
    ("inputs", 1, "parameters"),
    ("inputs", 1, "parameters", "binary_data_size"),
    ("outputs",),
    ("outputs", 0),
    ("outputs", 0, "name"),
    ("outputs", 0, "parameters"),
]

sizes = st.integers() | st.sampled_from([2**31, 2**62, 2**63 - 1, 2**63, 2**64 - 1, -1, 0, 1])
datatypes = st.sampled_from(["FP64", "FP32", "FP16", "BF16", "INT64", "INT8", "UINT64", "UINT8", "BOOL", "BYTES"])
names = st.sampled_from([name for operation in OPERATIONS for name in (*operation.names, *operation.named_outputs)])
scalars = st.none() | st.booleans() | sizes | st.floats() | datatypes | names | st.text(max_size=5)
anything: Any = st.recursive(
    scalars,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=5,
)


@given(
    place=st.sampled_from(PLACES),
    wrong=anything | st.lists(sizes, max_size=4),
    tail=st.just(LABELS.tobytes()) | st.binary(max_size=40),
)
@settings(with_client, max_examples=4 * settings().max_examples)
async def test_any_value_anywhere_is_answered_or_refused(
    client: httpx.AsyncClient, place: tuple[str | int, ...], wrong: Any, tail: bytes
) -> None:
    root: Any = {
        "body": {
            "id": "7",
            "parameters": {"temperature": 2, "ignore_index": 5, "reduction": "sum"},
            "inputs": [listed("logits", LOGITS), raw("targets", LABELS, "INT64")],
            "outputs": [{"name": "hessian", "parameters": {"binary_data": True}}],
        }
    }
    holder = root
    *path, last = ("body", *place)
    for step in path:
        holder = holder[step]
    holder[last] = wrong
    text = json.dumps(root["body"]).encode()
    reply = await post(client, text + tail, {HEADER: str(len(text))}, path="gradient")
    if reply.status_code != 200:
        assert_refused(reply)


@pytest.mark.parametrize("shape", [[0, 2**40], [0, 2**62, 2**62], [0, 2**63 - 1], [0, 2**64 - 1]])
@pytest.mark.parametrize("name", ["probabilities", "jacobian"])
async def test_zero_rows_of_countless_classes_are_answered_or_refused(
    client: httpx.AsyncClient, shape: list[int], name: str
) -> None:
    logits = {"name": "logits", "shape": shape, "datatype": "FP64", "data": []}
    reply = await post(client, infer(logits, outputs=[{"name": name}]))
    if reply.status_code != 200:
        assert_refused(reply, reply.status_code if reply.status_code == 413 else 400)


@pytest.mark.parametrize(
    "members",
    [
        {"parameters": {"temperature": 0}},
        {"parameters": {"temperature": "2"}},
        {"parameters": {"top_k": 4}},
        {"parameters": {"bogus": 1}},
        {"outputs": []},
        {"outputs": [{"name": "loss"}]},
        {"outputs": [{"name": "entropy"}] * 100},
        {"bogus": 1},
    ],
    ids=lambda members: json.dumps(members)[:40],
)
async def test_status_400_replaces_422(client: httpx.AsyncClient, members: dict[str, Any]) -> None:
    assert_refused(await post(client, infer(listed("logits", LOGITS), **members)))


async def test_an_invalid_row_is_named(client: httpx.AsyncClient) -> None:
    text = infer(raw("logits", LOGITS))
    reply = await post(client, text + np.where(LOGITS == 1, np.nan, LOGITS).tobytes(), {HEADER: str(len(text))})
    assert_refused(reply)
    assert reply.json()["errors"][0]["loc"] == ["logits", 1, 1]


async def test_too_much_of_anything_is_refused_with_413() -> None:
    async with connect(max_elements=5) as client:
        assert_refused(await post(client, RAW_BODY, RAW_HEADERS), 413)
    async with connect(max_body_bytes=len(RAW_BODY) - 1) as client:
        assert_refused(await post(client, RAW_BODY, RAW_HEADERS), 413)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("path", [*MODELS, "softmax/versions/1"])
async def test_a_compressed_body_gets_the_answer_of_the_body(
    client: httpx.AsyncClient, path: str, encoding: str
) -> None:
    targets = [] if path.startswith("softmax") else [listed("targets", LABELS, "INT64")]
    text = infer(*targets, raw("logits", LOGITS))
    body, headers = text + LOGITS.tobytes(), {HEADER: str(len(text))}
    reply = await post(client, compress(body, encoding), headers | {"Content-Encoding": encoding}, path=path)
    assert reply.content == (await post(client, body, headers, path=path)).content
    assert reply.status_code == 200


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("model", MODELS)
async def test_a_compressed_body_that_is_broken_is_refused(
    client: httpx.AsyncClient, model: str, encoding: str
) -> None:
    headers = RAW_HEADERS | {"Content-Encoding": encoding}
    stream = compress(RAW_BODY, encoding)
    for wrong in (b"", stream[:-1], stream[:10], stream + b"\0", RAW_BODY):
        assert_refused(await post(client, wrong, headers, path=model))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("model", MODELS)
async def test_a_body_that_is_too_large_once_unpacked_is_refused(model: str, encoding: str) -> None:
    async with connect(max_body_bytes=1000) as client:
        bomb = compress(bytes(1001), encoding)
        assert_refused(await post(client, bomb, {"Content-Encoding": encoding}, path=model), 413)


@pytest.mark.parametrize("model", MODELS)
async def test_a_body_compressed_in_an_unknown_way_is_not_read(client: httpx.AsyncClient, model: str) -> None:
    assert_refused(await post(client, PLAIN_BODY, {"Content-Encoding": "br"}, path=model), 415)


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
async def test_the_server_names_its_version_and_extensions(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(path)
    assert reply.status_code == 200
    assert reply.json().keys() == {"name", "version", "extensions"}
    assert reply.json()["extensions"] == EXTENSIONS


async def test_the_server_is_live_and_ready(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v2/health/live")).json() == {"live": True}
    assert (await client.get("/v2/health/ready")).json() == {"ready": True}


async def test_the_operations_are_the_models(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v2/models")).json() == {"models": list(MODELS)}


@pytest.mark.parametrize("version", ["", "/versions/1"])
@pytest.mark.parametrize("model", MODELS)
async def test_a_model_describes_its_tensors_and_is_ready(client: httpx.AsyncClient, model: str, version: str) -> None:
    metadata = (await client.get(f"/v2/models/{model}{version}")).json()
    operation = MODELS[model]
    assert (metadata["name"], metadata["versions"]) == (model, ["1"])
    datatypes = {each["name"]: each["datatype"] for each in metadata["inputs"]}
    assert list(datatypes) == [each.name for each in operation.inputs]
    assert (datatypes["mask"], datatypes["logits"]) == ("BOOL", "FP64")
    assert [each["name"] for each in metadata["outputs"]] == [each.name for each in operation.outputs]
    for each in metadata["outputs"]:
        output = operation.named_outputs[each["name"]]
        assert each["datatype"] == ("INT64" if output.integer else "FP64")
        assert each["shape"] == [-1] * len(output.axes[0])
    assert (await client.get(f"/v2/models/{model}{version}/ready")).json() == {"name": model, "ready": True}


@pytest.mark.parametrize("version", ["", "/versions/1"])
@pytest.mark.parametrize("model", MODELS)
async def test_model_has_a_configuration_and_optional_inputs(
    client: httpx.AsyncClient, model: str, version: str
) -> None:
    operation = MODELS[model]
    config = (await client.get(f"/v2/models/{model}{version}/config")).json()
    metadata = (await client.get(f"/v2/models/{model}{version}")).json()
    assert (config["name"], config["max_batch_size"]) == (model, 0)
    described = {tensor["name"]: tensor for tensor in metadata["inputs"]}
    for tensor in config["input"]:
        other = described[tensor["name"]]
        assert tensor["data_type"] == f"TYPE_{other['datatype']}"
        assert tensor["dims"] == other["shape"]
        assert tensor["optional"] == other["parameters"]["optional"]
        assert tensor["optional"] or (tensor["name"],) in operation.alternatives
    assert [tensor["name"] for tensor in config["output"]] == [output.name for output in operation.outputs]


async def test_statistics_count_successes_and_failures() -> None:
    async with connect() as client:
        for body in (PLAIN_BODY, PLAIN_BODY, b"{"):
            await post(client, body)
        await client.post("/softmax", json={"logits": [0]})
        (found,) = (await client.get("/v2/models/softmax/stats")).json()["model_stats"]
        assert (found["name"], found["version"]) == ("softmax", "1")
        assert found["inference_count"] == found["execution_count"] == 3
        assert found["last_inference"] > 1e12
        stats = found["inference_stats"]
        assert (stats["success"]["count"], stats["fail"]["count"]) == (3, 1)
        stages = [stats[stage]["ns"] for stage in ("compute_input", "compute_infer", "compute_output")]
        assert all(stages)
        assert stats["queue"] == {"count": 3, "ns": 0}
        assert sum(stages) <= stats["success"]["ns"]
        everything = (await client.get("/v2/models/stats")).json()["model_stats"]
    assert [each["name"] for each in everything] == list(MODELS)
    assert everything[0]["inference_stats"] == stats


async def test_repository_index_has_every_model() -> None:
    app = application()
    async with connect(app) as client:
        ready = (await client.post("/v2/repository/index")).json()
        app.runtime.lifecycle.leaving = True
        leaving = (await client.post("/v2/repository/index")).json()
        only_ready = (await client.post("/v2/repository/index", json={"ready": True})).json()
    assert only_ready == []
    assert ready == [{"name": name, "version": "1", "state": "READY", "reason": ""} for name in MODELS]
    assert {model["state"] for model in leaving} == {"UNAVAILABLE"}


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ready": false}', b'{"ready": true}', b'{"ready": null}'])
async def test_repository_index_lists_models_for_any_filter(client: httpx.AsyncClient, body: bytes) -> None:
    models = (await client.post("/v2/repository/index", content=body)).json()
    assert [model["name"] for model in models] == list(MODELS)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"ready": 1}', b'{"raedy": true}', b'{"ready": true, "ready": true}'])
async def test_repository_index_refuses_another_body(client: httpx.AsyncClient, body: bytes) -> None:
    assert_refused(await client.post("/v2/repository/index", content=body))


async def test_repository_index_refuses_a_long_body(client: httpx.AsyncClient) -> None:
    assert_refused(await client.post("/v2/repository/index", content=b" " * 5000), 413)


async def test_repository_index_refuses_a_slow_body() -> None:
    app = application(body_timeout_seconds=0.01)
    sent = await converse(app, "/v2/repository/index", [piece(b"{", more=True)])
    assert sent[0]["status"] == 408


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("resnet", 'Unknown model "resnet"; the models are softmax, loss, gradient, calibrate, each in version 1.'),
        ("softmax/versions/2", 'Unknown version "2" of model "softmax"; the models are'),
    ],
)
@pytest.mark.parametrize("suffix", ["", "/ready", "/config", "/stats"])
async def test_an_unknown_model_is_named(client: httpx.AsyncClient, path: str, suffix: str, detail: str) -> None:
    reply = await client.get(f"/v2/models/{path}{suffix}")
    assert (reply.status_code, reply.json()["type"]) == (404, "/problems/unknown-model")
    assert reply.json()["error"].startswith(detail)


async def test_an_unknown_model_with_an_odd_name_is_not_repeated(client: httpx.AsyncClient) -> None:
    reply = await client.get("/v2/models/<script>")
    assert reply.json()["error"].startswith("Unknown model; the models are")


@pytest.mark.parametrize("model", MODELS)
async def test_a_version_answers_as_the_model_does(client: httpx.AsyncClient, model: str) -> None:
    body = infer(listed("logits", LOGITS), *([] if model == "softmax" else [listed("targets", LABELS, "INT64")]))
    versioned = await post(client, body, path=f"{model}/versions/1")
    assert versioned.status_code == 200
    assert versioned.json() == (await post(client, body, path=model)).json()
    assert (versioned.json()["model_name"], versioned.json()["model_version"]) == (model, "1")


@pytest.mark.parametrize("path", ["resnet", "resnet/versions/1", "softmax/versions/2", "softmax/versions/", "Softmax"])
async def test_an_unknown_model_or_version_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    assert_refused(await client.get(f"/v2/models/{path}"), 404)
    assert_refused(await client.get(f"/v2/models/{path}/ready"), 404)
    assert_refused(await post(client, PLAIN_BODY, path=path), 404)


@pytest.mark.parametrize("path", ["softmax/infer", "softmax/versions/1/infer"])
async def test_inference_is_for_post_alone(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(f"/v2/models/{path}")
    assert_refused(reply, 405)
    assert reply.headers["allow"] == "POST"
