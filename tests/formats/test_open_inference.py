"""Test decoding and encoding of Open Inference messages, with JSON and raw tensors."""

from __future__ import annotations

import json
from math import inf, nan, prod
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from service.errors import (
    DuplicateField,
    InvalidDatatype,
    InvalidOutputs,
    MalformedBody,
    MissingField,
    NotAnObject,
    NumberOutOfRange,
    RaggedTensor,
    ServiceError,
    ShapeMismatch,
    TensorTooLarge,
    UnknownField,
)
from service.formats.datatypes import to_datatype
from service.formats.open_inference import decode
from service.formats.open_inference_reply import MAX_STRINGS, encode
from service.operations import OPERATIONS
from tests.bodies import heading, infer, listed, raw
from tests.formats.bfloat16 import BFLOAT16

pytestmark = pytest.mark.usefixtures("codec")

Array = npt.NDArray[Any]

SOFTMAX, LOSS, GRADIENT, _ = OPERATIONS

FLOATS: dict[str, Any] = {"FP64": "<f8", "FP32": "<f4", "FP16": "<f2"}
if BFLOAT16 is not None:
    FLOATS["BF16"] = BFLOAT16
INTEGERS = {f"{sign}INT{8 * size}": f"<{sign.lower() or 'i'}{size}" for sign in ("", "U") for size in (1, 2, 4, 8)}
LOGITS = np.array([[2.0, 3.0, 4.0]])
LABELS = np.array([1, 2, 0])

anything: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=5,
)
"""Any JSON value, and the NaN and Infinity tokens of Python."""


def split(reply: tuple[list[bytes | memoryview], int | None]) -> tuple[dict[str, Any], bytes]:
    """Return the JSON of an answer and the bytes behind it."""
    content, length = b"".join(reply[0]), reply[1]
    return json.loads(content[:length]), b"" if length is None else content[length:]


@st.composite
def tensors(draw: st.DrawFn, datatypes: dict[str, Any]) -> tuple[str, Array]:
    """Draw a datatype, and an array of it with any bits."""
    datatype = draw(st.sampled_from(sorted(datatypes)))
    shape = draw(array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    size = prod(shape) * np.dtype(datatypes[datatype]).itemsize
    content = draw(st.binary(min_size=size, max_size=size))
    return datatype, np.frombuffer(content, datatypes[datatype]).reshape(shape)


def numbers(values: Array) -> Array:
    """Return values in a NumPy type, bfloat16 as float32."""
    with np.errstate(invalid="ignore"):
        return values.astype(np.float32) if BFLOAT16 is not None and values.dtype == BFLOAT16 else values


@given(logits=tensors(FLOATS), targets=tensors(FLOATS | INTEGERS), weights=tensors(FLOATS))
def test_tensors_behind_the_json_are_read_to_the_last_bit(
    logits: tuple[str, Array], targets: tuple[str, Array], weights: tuple[str, Array]
) -> None:
    sent = {"logits": logits, "targets": targets, "class_weights": weights}
    text = infer(*(raw(name, values, datatype) for name, (datatype, values) in sent.items()))
    body = text + b"".join(values.tobytes() for _, values in sent.values())
    fields = decode(body, len(text), LOSS).fields
    for name, (_, values) in sent.items():
        assert isinstance(fields[name], np.ndarray)
        assert fields[name].dtype == numbers(values).dtype
        np.testing.assert_array_equal(fields[name], numbers(values))


@given(tensor=tensors(FLOATS | INTEGERS), nested=st.booleans())
def test_tensors_in_the_json_are_read_to_the_last_bit(tensor: tuple[str, Array], *, nested: bool) -> None:
    datatype, values = tensor
    values = np.nan_to_num(numbers(values), posinf=1, neginf=0)
    data = values.tolist() if nested and values.size and values.ndim else values.reshape(-1).tolist()
    fields = decode(infer(heading("targets", values, datatype) | {"data": data}), None, LOSS).fields
    assert fields["targets"].shape == values.shape
    np.testing.assert_array_equal(fields["targets"], values)


@given(st.permutations([("logits", True), ("targets", False), ("class_weights", True), ("sample_weights", False)]))
def test_raw_bytes_follow_input_order_with_others_between(order: list[tuple[str, bool]]) -> None:
    sent = {name: np.array([index, index + 10.0]) for index, (name, _) in enumerate(order)}
    text = infer(*(raw(name, sent[name]) if is_raw else listed(name, sent[name]) for name, is_raw in order))
    body = text + b"".join(sent[name].tobytes() for name, is_raw in order if is_raw)
    fields = decode(body, len(text), LOSS).fields
    for name, values in sent.items():
        np.testing.assert_array_equal(fields[name], values)


@pytest.mark.parametrize("datatype", ["FP64", "FP32"])
def test_raw_bytes_are_not_copied_and_right_wherever_they_are(datatype: str) -> None:
    values = np.arange(6, dtype=FLOATS[datatype])
    for blanks in range(values.itemsize):
        text = infer(raw("logits", values, datatype)) + b" " * blanks
        body = text + values.tobytes()
        read = decode(body, len(text), SOFTMAX).fields["logits"]
        np.testing.assert_array_equal(read, values)
        assert np.shares_memory(read, np.frombuffer(body, np.uint8))


def test_a_header_length_of_the_whole_body_means_no_raw_data() -> None:
    text = infer(listed("logits", LOGITS))
    for length in (None, len(text)):
        np.testing.assert_array_equal(decode(text, length, SOFTMAX).fields["logits"], LOGITS)


def test_data_that_is_null_is_no_data() -> None:
    tensor = raw("logits", LOGITS) | {"data": None}
    text = infer(tensor)
    fields = decode(text + LOGITS.tobytes(), len(text), SOFTMAX).fields
    np.testing.assert_array_equal(fields["logits"], LOGITS)


def test_the_strings_of_what_json_has_no_numbers_for_are_logits() -> None:
    tensor = {"name": "logits", "shape": [3], "datatype": "FP32", "data": [1, "-Infinity", "Infinity"]}
    assert decode(infer(tensor), None, SOFTMAX).fields["logits"].tolist() == [1, -inf, inf]


@pytest.mark.parametrize("datatype", FLOATS)
def test_the_datatype_of_the_answer_is_that_of_the_logits(datatype: str) -> None:
    inference = decode(infer(listed("targets", LABELS, "INT64"), listed("logits", LOGITS, datatype)), None, LOSS)
    assert inference.datatype == datatype
    assert inference.fields["dtype"] == ("float32" if datatype == "FP32" else "float64")


@given(st.tuples(st.integers(), st.integers()) | st.integers(-8, 56).map(lambda size: (size, 48 - size)))
def test_sizes_other_than_those_of_the_tensors_are_refused(sizes: tuple[int, int]) -> None:
    assume(sizes != (LOGITS.nbytes, LABELS.nbytes))
    inputs = [raw("logits", LOGITS), raw("targets", LABELS, "INT64")]
    for tensor, size in zip(inputs, sizes, strict=True):
        tensor["parameters"]["binary_data_size"] = size
    text = infer(*inputs)
    with pytest.raises(ServiceError):
        decode(text + LOGITS.tobytes() + LABELS.tobytes(), len(text), LOSS)


@given(st.lists(st.integers(0, 13) | st.integers(), max_size=4))
@example([-12])
@example([-1, -12])
@example([-3, 4, -1])
def test_shape_is_taken_if_and_only_if_it_fits_the_bytes(shape: list[int]) -> None:
    values = np.arange(12.0)
    text = infer(raw("logits", values) | {"shape": shape})
    if min(shape, default=0) >= 0 and prod(shape) == values.size:
        read = decode(text + values.tobytes(), len(text), SOFTMAX).fields["logits"]
        np.testing.assert_array_equal(read, values.reshape(shape))
    else:
        with pytest.raises(ShapeMismatch, match="logits"):
            decode(text + values.tobytes(), len(text), SOFTMAX)


@given(shape=st.lists(st.sampled_from([0, 1, 2**31, 2**62, 2**63 - 1, 2**63, 2**64 - 1]), min_size=1, max_size=4))
@pytest.mark.parametrize("data", [{"data": []}, {"parameters": {"binary_data_size": 0}}], ids=["JSON", "raw"])
def test_no_bytes_with_any_sizes_are_a_tensor_or_refused(data: dict[str, Any], shape: list[int]) -> None:
    text = infer({"name": "logits", "shape": shape, "datatype": "FP64", **data})
    try:
        read = decode(text, len(text), SOFTMAX).fields["logits"]
    except ServiceError:
        return
    assert 0 in shape
    assert read.shape == tuple(shape)


@pytest.mark.parametrize(
    ("text", "data"),
    [(infer(raw("logits", LOGITS)), LOGITS.tobytes()), (infer(listed("logits", LOGITS)), b"")],
    ids=["raw", "JSON"],
)
@given(length=st.integers() | st.integers(-1, 400))
def test_a_header_length_other_than_that_of_the_json_is_refused(text: bytes, data: bytes, length: int) -> None:
    assume(length != len(text))
    with pytest.raises(ServiceError):
        decode(text + data, length, SOFTMAX)


def test_a_body_that_ends_early_or_late_is_refused() -> None:
    text = infer(raw("logits", LOGITS), raw("targets", LABELS, "INT64"))
    body = text + LOGITS.tobytes() + LABELS.tobytes()
    for wrong in (*(body[:length] for length in range(len(body))), body + b"\0", body * 2):
        with pytest.raises(ServiceError):
            decode(wrong, len(text), LOSS)


def test_raw_bytes_without_a_header_length_are_refused() -> None:
    with pytest.raises(MalformedBody):
        decode(infer(raw("logits", LOGITS)) + LOGITS.tobytes(), None, SOFTMAX)


PLACES = {
    "the body": (),
    "id": ("id",),
    "parameters": ("parameters",),
    "temperature": ("parameters", "temperature"),
    "dtype": ("parameters", "dtype"),
    "binary_data_output": ("parameters", "binary_data_output"),
    "inputs": ("inputs",),
    "an input": ("inputs", 0),
    "its name": ("inputs", 0, "name"),
    "its shape": ("inputs", 0, "shape"),
    "a size": ("inputs", 0, "shape", 0),
    "its datatype": ("inputs", 0, "datatype"),
    "its data": ("inputs", 0, "data"),
    "a number": ("inputs", 0, "data", 1),
    "its parameters": ("inputs", 1, "parameters"),
    "its binary_data_size": ("inputs", 1, "parameters", "binary_data_size"),
    "outputs": ("outputs",),
    "an output": ("outputs", 0),
    "its name ": ("outputs", 0, "name"),
    "its parameters ": ("outputs", 0, "parameters"),
    "its binary_data": ("outputs", 0, "parameters", "binary_data"),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@given(wrong=anything)
def test_anything_anywhere_in_a_request_is_read_or_refused(place: tuple[str | int, ...], wrong: Any) -> None:
    content: Any = {
        "id": "7",
        "parameters": {"temperature": 2, "dtype": "float64", "binary_data_output": True},
        "inputs": [listed("logits", LOGITS), raw("targets", LABELS, "INT64")],
        "outputs": [{"name": "loss", "parameters": {"binary_data": True}}],
    }
    root = {"body": content}
    holder: Any = root
    *path, last = ("body", *place)
    for step in path:
        holder = holder[step]
    holder[last] = wrong
    text = json.dumps(root["body"]).encode()
    try:
        fields = decode(text + LABELS.tobytes(), len(text), LOSS).fields
    except ServiceError:
        return
    assert all(isinstance(fields[name], np.ndarray) for name in ("logits", "targets"))


def without(tensor: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a tensor without some of its members."""
    return {name: value for name, value in tensor.items() if name not in names}


TWO_SIZES = b"""{"inputs": [{"name": "logits", "shape": [0, 3], "datatype": "FP64",
    "parameters": {"binary_data_size": 0, "binary_data_size": 24}}]}"""

REFUSED: dict[str, tuple[bytes, type[ServiceError]]] = {
    "nothing": (b"", MalformedBody),
    "no JSON": (b"logits", MalformedBody),
    "no object": (b"[]", NotAnObject),
    "no inputs": (b"{}", MissingField),
    "a member that is not known": (infer(listed("logits", LOGITS), bogus=1), UnknownField),
    "a member twice": (b'{"inputs": [], "inputs": []}', DuplicateField),
    "an id that is a number": (infer(listed("logits", LOGITS), id=7), MalformedBody),
    "no name": (infer(without(listed("logits", LOGITS), "name")), MalformedBody),
    "no shape": (infer(without(listed("logits", LOGITS), "shape")), ShapeMismatch),
    "no datatype": (infer(without(listed("logits", LOGITS), "datatype")), InvalidDatatype),
    "no data": (infer(without(listed("logits", LOGITS), "data")), MissingField),
    "data and a size": (infer(raw("logits", LOGITS) | {"data": [2, 3, 4]}), MissingField),
    "two sizes": (TWO_SIZES, ServiceError),
    "an input that is not known": (infer(listed("bogus", LOGITS)), UnknownField),
    "an input of another operation": (infer(listed("learning_rate", LOGITS)), UnknownField),
    "an input twice": (infer(listed("logits", LOGITS), listed("logits", LOGITS)), DuplicateField),
    "bytes": (infer(listed("logits", LOGITS, "BYTES")), InvalidDatatype),
    "truth values": (infer(listed("targets", LABELS, "BOOL")), InvalidDatatype),
    "a datatype in small letters": (infer(listed("logits", LOGITS, "fp64")), InvalidDatatype),
    "more numbers than the shape says": (infer(listed("logits", LOGITS) | {"shape": [2]}), ShapeMismatch),
    "fewer numbers than the shape says": (infer(listed("logits", LOGITS) | {"shape": [2, 2]}), ShapeMismatch),
    "rows in columns": (infer(listed("logits", LOGITS) | {"data": [[2], [3], [4]]}), ShapeMismatch),
    "more axes than arrays have": (infer(listed("logits", LOGITS) | {"shape": [1] * 99 + [3]}), ShapeMismatch),
    "an impossible size": (infer(listed("logits", LOGITS) | {"shape": [2**63]}), ShapeMismatch),
    "sizes of many digits": (infer(listed("logits", LOGITS) | {"shape": [10**390] * 32}), ShapeMismatch),
    "rows of two lengths": (infer(listed("logits", LOGITS) | {"data": [[2, 3], [4]]}), RaggedTensor),
    "a row among numbers": (infer(listed("logits", LOGITS) | {"shape": [3], "data": [2, 3, [4]]}), RaggedTensor),
    "a row among the numbers of a row": (infer(listed("logits", LOGITS) | {"data": [[2, 3, [4]]]}), RaggedTensor),
    "a number beyond FP32": (infer(listed("logits", LOGITS * 1e200, "FP32")), NumberOutOfRange),
    "a number beyond FP16": (infer(listed("logits", LOGITS * 1e5, "FP16")), NumberOutOfRange),
    "a number beyond BF16": (infer(listed("logits", LOGITS * 0.85e38, "BF16")), NumberOutOfRange),
    "a number far beyond BF16": (infer(listed("logits", LOGITS * 1e200, "BF16")), NumberOutOfRange),
    "a label beyond INT8": (infer(listed("targets", np.array([128]), "INT8")), NumberOutOfRange),
    "a label below UINT8": (infer(listed("targets", np.array([-1]), "UINT8")), NumberOutOfRange),
    "a label that is no integer": (infer(listed("targets", np.array([0.5]), "INT64")), ServiceError),
    "a parameter that is not known": (infer(listed("logits", LOGITS), parameters={"bogus": 1}), UnknownField),
    "outputs as a parameter": (infer(listed("logits", LOGITS), parameters={"outputs": ["loss"]}), UnknownField),
    "an input parameter that is not known": (infer(raw("logits", LOGITS) | {"parameters": {"x": 1}}), UnknownField),
    "an output parameter that is not known": (
        infer(listed("logits", LOGITS), outputs=[{"name": "loss", "parameters": {"x": 1}}]),
        UnknownField,
    ),
    "a flag that is a string": (
        infer(listed("logits", LOGITS), parameters={"binary_data_output": "true"}),
        MalformedBody,
    ),
    "a flag of an output that is a number": (
        infer(listed("logits", LOGITS), outputs=[{"name": "loss", "parameters": {"binary_data": 1}}]),
        MalformedBody,
    ),
    "a classification of no class": (
        infer(listed("logits", LOGITS), outputs=[{"name": "loss", "parameters": {"classification": 0}}]),
        InvalidOutputs,
    ),
    "an output twice": (infer(listed("logits", LOGITS), outputs=[{"name": "loss"}] * 2), InvalidOutputs),
    "an output without a name": (infer(listed("logits", LOGITS), outputs=[{}]), InvalidOutputs),
}


@pytest.mark.parametrize(("text", "refusal"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused(text: bytes, refusal: type[ServiceError]) -> None:
    with pytest.raises(refusal):
        decode(text, None, LOSS)


@given(
    default=st.sampled_from([None, True, False]),
    first=st.sampled_from([None, {}, {"binary_data": True}, {"binary_data": False}]),
    second=st.sampled_from([None, {}, {"binary_data": True}, {"binary_data": False}]),
)
def test_an_output_is_raw_by_its_option_else_by_the_request(
    *, default: bool | None, first: dict[str, Any] | None, second: dict[str, Any] | None
) -> None:
    asked = {"predictions": first, "probabilities": second}
    outputs = [{"name": name} | ({} if own is None else {"parameters": own}) for name, own in asked.items()]
    parameters = {} if default is None else {"binary_data_output": default}
    inference = decode(infer(listed("logits", LOGITS), outputs=outputs, parameters=parameters), None, SOFTMAX)
    assert inference.fields["outputs"] == list(asked)
    header, tail = split(encode(inference, {"predictions": np.array([2]), "probabilities": LOGITS}, SOFTMAX))
    for output, own, values in zip(header["outputs"], asked.values(), [np.array([2]), LOGITS], strict=True):
        if (own or {}).get("binary_data", default):
            assert output["parameters"] == {"binary_data_size": values.nbytes}
            assert "data" not in output
            assert tail[: values.nbytes] == values.tobytes()
            tail = tail[values.nbytes :]
        else:
            assert "parameters" not in output
            assert output["data"] == values.reshape(-1).tolist()
    assert tail == b""


@pytest.mark.parametrize("datatype", FLOATS)
@pytest.mark.parametrize("binary", [True, False], ids=["raw", "JSON"])
@pytest.mark.parametrize("shape", [(), (2,), (0, 3), (2, 1, 3)])
def test_answers_have_datatype_of_logits_and_integers_their_own(
    datatype: str, shape: tuple[int, ...], *, binary: bool
) -> None:
    text = infer(listed("logits", LOGITS, datatype), parameters={"binary_data_output": binary})
    outputs = {"entropy": np.ones(shape, np.float32), "predictions": np.full(shape, -1)}
    header, tail = split(encode(decode(text, None, SOFTMAX), outputs, SOFTMAX))
    expected: list[dict[str, Any]] = [
        {"name": "entropy", "shape": list(shape), "datatype": datatype},
        {"name": "predictions", "shape": list(shape), "datatype": "INT64"},
    ]
    packed = [outputs["entropy"].astype(FLOATS[datatype]), outputs["predictions"]]
    for output, values in zip(expected, packed, strict=True):
        if binary:
            output["parameters"] = {"binary_data_size": values.nbytes}
        else:
            output["data"] = values.reshape(-1).tolist()
    assert header["outputs"] == expected
    assert tail == (b"".join(values.tobytes() for values in packed) if binary else b"")


def test_non_finite_is_a_string_in_json_and_a_number_in_bytes() -> None:
    values = np.array([inf, -inf, 1.0])
    for binary in (True, False):
        text = infer(listed("logits", LOGITS), parameters={"binary_data_output": binary})
        header, tail = split(encode(decode(text, None, SOFTMAX), {"log_normalizer": values}, SOFTMAX))
        if binary:
            assert tail == values.tobytes()
        else:
            assert header["outputs"][0]["data"] == ["Infinity", "-Infinity", 1.0]


@given(st.text() | st.sampled_from(["NaN", "[Infinity,-Infinity]", '-"']))
def test_any_id_is_repeated(identity: str) -> None:
    inference = decode(infer(listed("logits", LOGITS), id=identity), None, SOFTMAX)
    header, _ = split(encode(inference, {"log_normalizer": np.array([nan, inf, -inf])}, SOFTMAX))
    assert header["id"] == identity
    assert header["outputs"][0]["data"] == ["NaN", "Infinity", "-Infinity"]


def test_answer_names_model_and_version_and_no_id_unless_sent() -> None:
    inference = decode(infer(listed("logits", LOGITS)), None, SOFTMAX)
    header, _ = split(encode(inference, {"entropy": np.ones(1)}, SOFTMAX))
    assert header == {
        "model_name": "softmax",
        "model_version": "1",
        "outputs": [{"name": "entropy", "shape": [1], "datatype": "FP64", "data": [1.0]}],
    }


def test_parameters_of_other_servers_are_ignored() -> None:
    ignored = {"content_type": "np", "headers": {"a": "b"}, "triton_enable_empty_final_response": True}
    ignored |= {"sequence_id": 1, "sequence_start": True, "sequence_end": False, "priority": 1, "timeout": 9}
    plain = decode(infer(listed("logits", LOGITS), parameters={"temperature": 2}), None, SOFTMAX)
    scheduled = decode(infer(listed("logits", LOGITS), parameters={"temperature": 2, **ignored}), None, SOFTMAX)
    assert scheduled.fields.keys() == plain.fields.keys()
    assert scheduled.fields["temperature"] == 2


def by_mlserver(name: str, values: np.ndarray, datatype: str) -> dict[str, Any]:
    """Return an input as the codec of MLServer writes it: a vector is a column."""
    shape = [len(values), 1] if values.ndim == 1 else list(values.shape)
    return {
        "name": name,
        "shape": shape,
        "datatype": datatype,
        "parameters": {"content_type": "np"},
        "data": values.ravel().tolist(),
    }


def test_vectors_of_mlserver_keep_their_shape() -> None:
    tensors = {"logits": LOGITS, "targets": np.array([1, 0]), "sample_weights": np.array([1.0, 2.0])}
    inputs = [by_mlserver(name, values, "INT64" if name == "targets" else "FP64") for name, values in tensors.items()]
    fields = decode(infer(*inputs), None, LOSS).fields
    for name, values in tensors.items():
        np.testing.assert_array_equal(fields[name], values)
    layer = {"weights": np.array([[1.0], [2.0]]), "inputs": np.array([[1.0], [2.0]]), "bias": np.array([0.5, 1.0])}
    fields = decode(infer(*(by_mlserver(name, each, "FP64") for name, each in layer.items())), None, SOFTMAX).fields
    for name, values in layer.items():
        np.testing.assert_array_equal(fields[name], values)


def test_columns_that_mlserver_did_not_write_stay_columns() -> None:
    targets = listed("targets", np.array([[1], [0]]), "INT64")
    assert decode(infer(listed("logits", LOGITS), targets), None, LOSS).fields["targets"].shape == (2, 1)
    single = [by_mlserver("logits", np.array([[1.0], [2.0]]), "FP64"), by_mlserver("targets", np.zeros(2), "FP64")]
    assert decode(infer(*single), None, LOSS).fields["targets"].shape == (2, 1)
    soft = [by_mlserver("logits", LOGITS, "FP64"), by_mlserver("targets", np.full_like(LOGITS, 0.25), "FP64")]
    assert decode(infer(*soft), None, LOSS).fields["targets"].shape == LOGITS.shape
    alone = by_mlserver("targets", np.array([1, 0]), "INT64")
    assert decode(infer(alone), None, LOSS).fields["targets"].shape == (2, 1)


def test_flat_data_of_another_size_is_refused_with_both_sizes() -> None:
    tensor = heading("logits", LOGITS) | {"data": [1.0, 2.0]}
    with pytest.raises(ShapeMismatch, match=r"data of shape \(2,\); its shape \(1, 3\) asks for that or for 3 numbers"):
        decode(infer(tensor), None, LOSS)


def test_members_that_are_null_are_absent() -> None:
    tensor = listed("logits", LOGITS) | {"parameters": None}
    text = infer(tensor, outputs=None, id=None, parameters=None, model_name=None)
    inference = decode(text, None, SOFTMAX)
    assert inference.fields.keys() == {"dtype", "logits"}
    assert inference.id is None


def test_bare_nonfinite_numbers_are_read_in_any_float_tensor() -> None:
    text = (
        b"""{"inputs": [{"name": "%b", "shape": [2, 2], "datatype": "FP32", "data": [1, -Infinity, NaN, Infinity]}]}"""
    )
    for name in (b"logits", b"inputs", b"weights"):
        tensor = decode(text % name, None, SOFTMAX).fields[name.decode()]
        np.testing.assert_array_equal(tensor, [[1, -inf], [nan, inf]])


def test_long_data_with_bare_nonfinite_numbers_is_exact() -> None:
    values = np.random.default_rng(0).normal(size=50_000)
    values[::7], values[1::11], values[2::13] = -inf, nan, inf
    tensor = listed("logits", values)
    np.testing.assert_array_equal(decode(infer(tensor), None, SOFTMAX).fields["logits"], values)


def test_a_bare_nan_outside_of_data_is_not_a_number() -> None:
    text = infer(listed("logits", LOGITS), parameters={"temperature": nan})
    assert isinstance(decode(text, None, SOFTMAX).fields["temperature"], str)


@pytest.mark.parametrize("constant", [nan, inf, -inf])
def test_a_bare_constant_is_not_an_id_and_its_letters_are(constant: float) -> None:
    values = np.where(np.eye(60) == 1, constant, 0.5)
    word = json.dumps(constant)
    decoded = decode(infer(listed("logits", values), id=word), None, SOFTMAX)
    assert decoded.id == word
    np.testing.assert_array_equal(decoded.fields["logits"], values)
    with pytest.raises(MalformedBody, match=r"id must be a string\."):
        decode(infer(listed("logits", values), id=constant), None, SOFTMAX)


@pytest.mark.parametrize("datatype", INTEGERS)
@pytest.mark.parametrize("count", [4, 40_000], ids=["short", "long"])
def test_a_fraction_of_an_integer_datatype_is_named(datatype: str, count: int) -> None:
    values = np.ones((count, 1))
    values[3] = 1.5
    with pytest.raises(
        InvalidDatatype, match=rf"logits\[3\] is not an integer, and logits has the datatype {datatype};"
    ):
        decode(infer(listed("logits", values, datatype)), None, SOFTMAX)


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"inputs": [1]}, ("inputs", 0)),
        ({"outputs": [{"name": "entropy"}, "probabilities"]}, ("outputs", 1)),
        ({"parameters": [1]}, ("parameters",)),
        ({"inputs": [listed("logits", LOGITS), None]}, ("inputs", 1)),
    ],
    ids=["input", "output", "parameters", "null"],
)
def test_a_member_that_is_not_an_object_is_named(members: dict[str, Any], place: tuple[str | int, ...]) -> None:
    body = json.dumps({"inputs": [listed("logits", LOGITS)], **members}).encode()
    with pytest.raises(NotAnObject) as caught:
        decode(body, None, SOFTMAX)
    assert caught.value.locations[0] == (place, "is not an object")


@pytest.mark.parametrize("datatype", INTEGERS)
def test_integer_logits_are_answered_as_fp64(datatype: str) -> None:
    inference = decode(infer(listed("logits", LOGITS, datatype)), None, SOFTMAX)
    assert (inference.datatype, inference.fields["dtype"]) == ("FP64", "float64")


@pytest.mark.parametrize(("dtype", "answered"), [("float64", "FP64"), ("float32", "FP32")])
@pytest.mark.parametrize("datatype", FLOATS)
def test_dtype_decides_the_datatype_of_the_answer(datatype: str, dtype: str, answered: str) -> None:
    inference = decode(infer(listed("logits", LOGITS, datatype), parameters={"dtype": dtype}), None, SOFTMAX)
    assert (inference.datatype, inference.fields["dtype"]) == (answered, dtype)


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_counts_and_reduced_scalars_are_at_least_fp32(datatype: str) -> None:
    inference = decode(infer(listed("logits", LOGITS, datatype)), None, LOSS)
    outputs = {"denominator": np.array(70_000.0), "loss": np.array(2049.0), "entropy": np.array([1.0])}
    header, _ = split(encode(inference, outputs, LOSS))
    assert [each["datatype"] for each in header["outputs"]] == ["FP32", "FP32", datatype]
    assert header["outputs"][0]["data"] == [70_000.0]
    assert header["outputs"][1]["data"] == [2049.0]


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_narrow_floats_are_written_as_float32_by_every_codec(datatype: str) -> None:
    values = np.array([0.1, 1 / 3, 1.4071])
    inference = decode(infer(listed("logits", LOGITS, datatype)), None, SOFTMAX)
    header, _ = split(encode(inference, {"entropy": values}, SOFTMAX))
    expected = to_datatype(values, datatype).astype(np.float32)
    assert header["outputs"][0]["data"] == [float(str(each)) for each in expected]


@pytest.mark.parametrize("binary", [True, False], ids=["raw", "JSON"])
def test_a_classification_names_the_best_classes_of_each_row(*, binary: bool) -> None:
    options = {"classification": 2, "binary_data": binary}
    text = infer(listed("logits", LOGITS), outputs=[{"name": "probabilities", "parameters": options}])
    values = np.array([[0.25, 0.5, 0.25], [0.0, 0.0, 1.0]])
    header, tail = split(encode(decode(text, None, SOFTMAX), {"probabilities": values}, SOFTMAX))
    (output,) = header["outputs"]
    assert (output["shape"], output["datatype"]) == ([2, 2], "BYTES")
    expected = ["0.5:1", "0.25:0", "1.0:2", "0.0:0"]
    if binary:
        assert output["parameters"] == {"binary_data_size": len(tail)}
        assert tail == b"".join(len(each).to_bytes(4, "little") + each.encode() for each in expected)
    else:
        assert output["data"] == expected


def test_a_classification_has_the_first_of_equal_classes_first() -> None:
    text = infer(listed("logits", LOGITS), outputs=[{"name": "probabilities", "parameters": {"classification": 50}}])
    header, _ = split(encode(decode(text, None, SOFTMAX), {"probabilities": np.tile([0.0, 1.0], 50)}, SOFTMAX))
    assert header["outputs"][0]["data"] == [f"1.0:{index}" for index in range(1, 100, 2)]


@pytest.mark.parametrize("name", ["predictions", "log_normalizer"])
def test_classification_of_output_without_classes_is_rejected(name: str) -> None:
    text = infer(listed("logits", LOGITS), outputs=[{"name": name, "parameters": {"classification": 1}}])
    with pytest.raises(InvalidOutputs, match=name) as caught:
        encode(decode(text, None, SOFTMAX), {name: np.ones(1)}, SOFTMAX)
    assert caught.value.locations[0][0] == ("outputs", 0, "parameters", "classification")


@pytest.mark.parametrize(("rows", "classes"), [(MAX_STRINGS, 1), (MAX_STRINGS // 4, 4)])
def test_a_classification_has_a_limited_number_of_strings(rows: int, classes: int) -> None:
    options = {"classification": classes}
    text = infer(listed("logits", LOGITS), outputs=[{"name": "probabilities", "parameters": options}])
    request = decode(text, None, SOFTMAX)
    encode(request, {"probabilities": np.zeros((rows, 4))}, SOFTMAX)
    with pytest.raises(TensorTooLarge, match=f"at most {rows} rows"):
        encode(request, {"probabilities": np.zeros((rows + 1, 4))}, SOFTMAX)
