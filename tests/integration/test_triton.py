"""Compare the answers to tritonclient with those of the plain endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from service.operations import OPERATIONS
from tests.wheels import missing

if reason := missing("tritonclient"):
    pytest.skip(reason, allow_module_level=True)

# E402: these packages are not installed everywhere. They come without types
import ml_dtypes
from tritonclient import http as triton_http  # type: ignore[import-untyped]
from tritonclient.http import aio as triton_aio  # type: ignore[import-untyped]
from tritonclient.utils import (  # type: ignore[import-untyped]
    InferenceServerException,
    np_to_triton_dtype,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

Array = npt.NDArray[Any]

MODELS = [operation.name for operation in OPERATIONS]
FLOATS = [np.float64, np.float32, np.float16, ml_dtypes.bfloat16]
INTEGERS = [np.int64, np.int32, np.int16, np.int8, np.uint64, np.uint32, np.uint16, np.uint8]
ENCODINGS = [None, "gzip", "deflate"]

RANDOM = np.random.default_rng(0)
LAYER = {
    "inputs": RANDOM.normal(size=(5, 3)),
    "weights": RANDOM.normal(size=(4, 3)),
    "bias": RANDOM.normal(size=4),
    "targets": np.array([3, 0, -100, 1, 2]),
    "class_weights": RANDOM.uniform(size=4),
    "sample_weights": RANDOM.uniform(size=5),
}
PARAMETERS = {"temperature": 2.5, "label_smoothing": 0.125, "ignore_index": -100, "reduction": "sum"}
LOGITS = {"logits": np.array([[2.0, 3.0, 4.0], [0.5, -np.inf, 0.25]])}


@pytest.fixture(scope="module")
def triton(server: str) -> Iterator[Any]:
    """Yield a client of the server."""
    with triton_http.InferenceServerClient(server.removeprefix("http://")) as client:
        yield client


def tensor(name: str, values: Array, *, binary: bool = True) -> Any:
    """Return an input of a request."""
    made = triton_http.InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype))
    return made.set_data_from_numpy(values, binary_data=binary)


def tensors(arrays: dict[str, Array], *, binary: bool = True) -> list[Any]:
    """Return the inputs of a request."""
    return [tensor(name, values, binary=binary) for name, values in arrays.items()]


def outputs(**binary: bool) -> list[Any]:
    """Return the requested outputs, as raw bytes or JSON."""
    return [triton_http.InferRequestedOutput(name, binary_data=flag) for name, flag in binary.items()]


def plain(http: httpx.Client, operation: str, arrays: dict[str, Array], **parameters: Any) -> dict[str, Any]:
    """Return the answer of the plain endpoint."""
    spelled = {
        name: np.where(np.isneginf(values), "-Infinity", values.astype(object)) for name, values in arrays.items()
    }
    fields = {name: values.tolist() for name, values in spelled.items()}
    answer: dict[str, Any] = http.post(f"/{operation}", json=fields | parameters).raise_for_status().json()
    return answer


def assert_same(result: Any, answer: dict[str, Any]) -> None:
    """Compare outputs, their order and every bit."""
    assert [output["name"] for output in result.get_response()["outputs"]] == list(answer)
    for name, expected in answer.items():
        np.testing.assert_array_equal(result.as_numpy(name), np.array(expected))


def test_the_server_is_live_and_ready(triton: Any) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()


@pytest.mark.parametrize("model", MODELS)
def test_every_operation_is_a_model_that_is_ready(triton: Any, model: str) -> None:
    assert triton.is_model_ready(model)
    assert triton.is_model_ready(model, "1")
    assert not triton.is_model_ready(model, "2")


def test_another_model_is_not_ready(triton: Any) -> None:
    assert not triton.is_model_ready("resnet")


def test_the_server_names_the_binary_extension(triton: Any) -> None:
    metadata = triton.get_server_metadata()
    assert metadata["name"] == "softmax-service"
    assert "binary_tensor_data" in metadata["extensions"]


@pytest.mark.parametrize("version", ["", "1"])
@pytest.mark.parametrize("model", MODELS)
def test_every_operation_describes_its_tensors(triton: Any, model: str, version: str) -> None:
    operation = next(operation for operation in OPERATIONS if operation.name == model)
    metadata = triton.get_model_metadata(model, version)
    assert metadata["name"] == model
    assert metadata["versions"] == ["1"]
    assert [each["name"] for each in metadata["inputs"]] == [each.name for each in operation.inputs]
    assert [each["name"] for each in metadata["outputs"]] == [each.name for each in operation.outputs]
    for each in (*metadata["inputs"], *metadata["outputs"]):
        assert each["datatype"] in ("FP64", "INT64", "BOOL")
        assert set(each["shape"]) <= {-1}


def test_a_model_that_there_is_not_has_no_metadata(triton: Any) -> None:
    with pytest.raises(InferenceServerException) as raised:
        triton.get_model_metadata("resnet")
    assert raised.value.status() == "404"


@pytest.mark.parametrize("binary", [True, False], ids=["raw", "JSON"])
@pytest.mark.parametrize("model", MODELS)
def test_doubles_get_the_bits_of_the_plain_endpoint(
    triton: Any, http: httpx.Client, model: str, *, binary: bool
) -> None:
    names = next(operation for operation in OPERATIONS if operation.name == model).names
    arrays = {name: values for name, values in LAYER.items() if name in names}
    parameters = {name: value for name, value in PARAMETERS.items() if name in names}
    if model == "softmax":
        parameters = {"temperature": 2.5, "top_k": 2}
    result = triton.infer(model, tensors(arrays, binary=binary), parameters=parameters)
    assert_same(result, plain(http, model, arrays, **parameters))


def test_an_excluded_class_may_come_as_raw_bytes(triton: Any, http: httpx.Client) -> None:
    assert_same(triton.infer("softmax", tensors(LOGITS)), plain(http, "softmax", LOGITS))


def test_a_single_sample_has_no_batch_axis(triton: Any, http: httpx.Client) -> None:
    arrays = {"logits": np.array([2.0, 3.0, 4.0]), "targets": np.array(1)}
    result = triton.infer("gradient", tensors(arrays))
    assert result.as_numpy("loss").shape == ()
    assert_same(result, plain(http, "gradient", arrays))


@pytest.mark.parametrize("dtype", FLOATS, ids=np_to_triton_dtype)
def test_answers_are_as_precise_as_the_logits(triton: Any, http: httpx.Client, dtype: Any) -> None:
    logits = RANDOM.normal(size=(3, 7)).astype(dtype)
    asked = ["probabilities", "log_probabilities", "predictions"]
    result = triton.infer("softmax", [tensor("logits", logits)], outputs=outputs(**dict.fromkeys(asked, True)))
    computed = "float64" if dtype == np.float64 else "float32"
    doubles = {"logits": logits.astype(np.float64)}
    answer = plain(http, "softmax", doubles, outputs=asked, dtype=computed)
    for name in ("probabilities", "log_probabilities"):
        values = result.as_numpy(name)
        assert values.dtype == dtype
        np.testing.assert_array_equal(values, np.array(answer[name], computed).astype(dtype))
    assert result.as_numpy("predictions").dtype == np.int64
    np.testing.assert_array_equal(result.as_numpy("predictions"), answer["predictions"])


@pytest.mark.parametrize("binary", [True, False], ids=["raw", "JSON"])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_labels_may_be_integers_of_any_size(triton: Any, http: httpx.Client, dtype: Any, *, binary: bool) -> None:
    arrays = {"logits": RANDOM.normal(size=(4, 120)), "targets": np.array([0, 119, 7, 64], dtype)}
    assert_same(triton.infer("loss", tensors(arrays, binary=binary)), plain(http, "loss", arrays))


@pytest.mark.parametrize("binary", [True, False], ids=["raw", "JSON"])
@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_a_mask_may_be_booleans_or_bytes(triton: Any, http: httpx.Client, dtype: Any, *, binary: bool) -> None:
    arrays = {"logits": RANDOM.normal(size=(4, 3)), "mask": np.array([True, False, True], dtype)}
    assert_same(triton.infer("softmax", tensors(arrays, binary=binary)), plain(http, "softmax", arrays))


@pytest.mark.parametrize("dtype", FLOATS, ids=np_to_triton_dtype)
def test_targets_may_be_probabilities(triton: Any, http: httpx.Client, dtype: Any) -> None:
    arrays = {"logits": np.zeros((1, 3)), "targets": np.array([[0.25, 0.5, 0.25]], dtype)}
    doubles = {name: values.astype(np.float64) for name, values in arrays.items()}
    assert_same(triton.infer("gradient", tensors(arrays)), plain(http, "gradient", doubles))


def test_inputs_and_outputs_may_be_raw_and_json_in_any_mix(triton: Any, http: httpx.Client) -> None:
    inputs = [tensor(name, values, binary=bool(index % 2)) for index, (name, values) in enumerate(LAYER.items())]
    asked = {"loss": False, "weights_gradient": True, "accuracy": True, "predictions": False, "bias_gradient": True}
    result = triton.infer("gradient", inputs, outputs=outputs(**asked), parameters=PARAMETERS)
    assert_same(result, plain(http, "gradient", LAYER, outputs=list(asked), **PARAMETERS))
    for output in result.get_response()["outputs"]:
        assert ("data" in output) != asked[output["name"]]


def test_an_empty_batch_has_an_empty_answer(triton: Any) -> None:
    result = triton.infer("softmax", [tensor("logits", np.zeros((0, 3)))])
    assert result.as_numpy("probabilities").shape == (0, 3)
    assert result.as_numpy("predictions").shape == (0,)


def test_the_id_of_a_request_is_repeated(triton: Any) -> None:
    assert triton.infer("softmax", tensors(LOGITS), request_id="[7]").get_response()["id"] == "[7]"
    assert "id" not in triton.infer("softmax", tensors(LOGITS)).get_response()


def test_version_and_scheduler_parameters_are_accepted(triton: Any, http: httpx.Client) -> None:
    result = triton.infer(
        "softmax", tensors(LOGITS), model_version="1", sequence_id=7, sequence_start=True, priority=1, timeout=10**6
    )
    assert result.get_response()["model_version"] == "1"
    assert_same(result, plain(http, "softmax", LOGITS))


@pytest.mark.parametrize("reply", ENCODINGS)
@pytest.mark.parametrize("request_encoding", ENCODINGS)
@pytest.mark.parametrize("binary", [True, False], ids=["raw", "JSON"])
def test_requests_may_be_compressed(
    triton: Any, http: httpx.Client, request_encoding: str | None, reply: str | None, *, binary: bool
) -> None:
    result = triton.infer(
        "softmax",
        tensors({"logits": LAYER["inputs"]}, binary=binary),
        request_compression_algorithm=request_encoding,
        response_compression_algorithm=reply,
    )
    assert_same(result, plain(http, "softmax", {"logits": LAYER["inputs"]}))


def test_a_request_of_megabytes_is_answered(triton: Any) -> None:
    logits = RANDOM.normal(size=(1000, 500))
    result = triton.infer("softmax", [tensor("logits", logits)], outputs=outputs(logits=True))
    np.testing.assert_array_equal(result.as_numpy("logits"), logits)


def test_requests_may_be_sent_without_waiting(triton: Any, http: httpx.Client) -> None:
    waiting = [triton.async_infer("softmax", tensors(LOGITS)) for _ in range(3)]
    for each in waiting:
        assert_same(each.get_result(timeout=10), plain(http, "softmax", LOGITS))


async def test_the_asynchronous_client_works_as_well(server: str, http: httpx.Client) -> None:
    async with triton_aio.InferenceServerClient(server.removeprefix("http://")) as client:
        assert await client.is_server_ready()
        assert await client.is_model_ready("softmax")
        for encoding in ENCODINGS:
            for binary in (True, False):
                result = await client.infer(
                    "gradient",
                    tensors(LAYER, binary=binary),
                    parameters=PARAMETERS,
                    request_compression_algorithm=encoding,
                    response_compression_algorithm=encoding,
                )
                assert_same(result, plain(http, "gradient", LAYER, **PARAMETERS))


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"bogus": np.zeros(3)}, 'Unknown input "bogus"'),
        ({"logits": np.zeros((2, 0))}, "no classes"),
        ({"logits": np.array([1, np.nan])}, r"logits\[1\]"),
        ({"weights": np.zeros((2, 2))}, "logits or inputs"),
    ],
)
def test_a_refusal_is_an_exception_that_names_the_mend(triton: Any, inputs: dict[str, Array], sentence: str) -> None:
    with pytest.raises(InferenceServerException, match=sentence) as raised:
        triton.infer("softmax", tensors(inputs))
    assert raised.value.status() == "400"


async def test_refusal_is_an_exception_of_the_async_client_too(server: str) -> None:
    async with triton_aio.InferenceServerClient(server.removeprefix("http://")) as client:
        with pytest.raises(InferenceServerException, match=r"logits\[1\]"):
            await client.infer("softmax", [tensor("logits", np.array([1, np.nan]))])


@pytest.mark.parametrize("binary", [True, False], ids=["raw", "JSON"])
def test_an_output_that_there_is_not_is_refused(triton: Any, *, binary: bool) -> None:
    with pytest.raises(InferenceServerException, match="outputs"):
        triton.infer("softmax", tensors(LOGITS), outputs=outputs(bogus=binary))


def test_classification_returns_the_best_classes(triton: Any) -> None:
    asked = [triton_http.InferRequestedOutput("probabilities", class_count=2)]
    result = triton.infer("softmax", tensors(LOGITS), outputs=asked)
    values = result.as_numpy("probabilities")
    assert values.shape == (2, 2)
    assert [each.decode().rpartition(":")[2] for each in values[0]] == ["2", "1"]


def test_classification_over_json_has_the_same_strings(triton: Any) -> None:
    found = []
    for binary in (True, False):
        asked = [triton_http.InferRequestedOutput("log_probabilities", binary_data=binary, class_count=1)]
        values = triton.infer("softmax", tensors(LOGITS), outputs=asked).as_numpy("log_probabilities")
        found.append([each.decode() if isinstance(each, bytes) else each for each in values.ravel()])
    assert found[0] == found[1]


@pytest.mark.parametrize("model", MODELS)
def test_configuration_and_statistics_are_as_triton_has_them(triton: Any, model: str) -> None:
    config = triton.get_model_config(model)
    assert (config["name"], config["max_batch_size"]) == (model, 0)
    assert {each["data_type"] for each in config["input"]} <= {"TYPE_FP64", "TYPE_INT64", "TYPE_BOOL"}
    before = triton.get_inference_statistics(model)["model_stats"][0]
    if model == "softmax":
        triton.infer(model, tensors(LOGITS))
        after = triton.get_inference_statistics(model, "1")["model_stats"][0]
        assert after["inference_stats"]["success"]["count"] == before["inference_stats"]["success"]["count"] + 1
    assert [each["name"] for each in triton.get_inference_statistics()["model_stats"]] == MODELS


def test_repository_index_lists_the_models(triton: Any) -> None:
    assert [(each["name"], each["state"]) for each in triton.get_model_repository_index()] == [
        (model, "READY") for model in MODELS
    ]


def test_a_version_that_there_is_not_is_not_found(triton: Any) -> None:
    with pytest.raises(InferenceServerException) as raised:
        triton.infer("softmax", tensors(LOGITS), model_version="2")
    assert raised.value.status() == "404"
