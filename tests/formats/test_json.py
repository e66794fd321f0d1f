"""Test that JSON text and arrays agree to the last bit, in both directions."""

from __future__ import annotations

import json
import re
import tracemalloc
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from service.formats import json_encode
from service.formats.json_decode import decode
from service.operations import OPERATIONS

pytestmark = pytest.mark.usefixtures("codec")

GRADIENT = OPERATIONS[2]
NUMBER = re.compile(rb"-?\d[^],}]*")

Array = npt.NDArray[Any]

finite = st.floats(allow_nan=False, allow_infinity=False)
anything = st.sampled_from([np.inf, -np.inf, np.nan]) | finite
short = st.floats(allow_nan=False, allow_infinity=False, width=32)
signed = st.integers(-(2**63), 2**63 - 1)
any_shape = array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)
filled_shape = array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=5)


def encode(outputs: dict[str, Array]) -> bytes:
    """Return the answer in one piece."""
    return b"".join(json_encode.encode(outputs))


def body(**fields: Any) -> bytes:
    """Return fields as JSON text of the standard library."""
    return json.dumps(fields).encode()


def significant(digits: str) -> str:
    """Return the digits of a number, without sign, point, exponent and outer zeros."""
    return digits.lower().partition("e")[0].replace("-", "").replace(".", "").strip("0")


@given(arrays(np.float64, any_shape, elements=finite))
def test_doubles_of_any_shape_decode_to_the_bits_python_reads(values: Array) -> None:
    nested = values.tolist()
    decoded = decode(body(logits=nested), GRADIENT)["logits"]
    expected = np.array(json.loads(json.dumps(nested)), np.float64)
    assert decoded.dtype == np.float64
    assert decoded.shape == expected.shape
    assert decoded.tobytes() == expected.tobytes()


@given(st.lists(st.integers(-(2**64), 2**64) | finite, min_size=1))
def test_integers_among_doubles_are_doubles(values: list[float]) -> None:
    decoded = np.array(decode(body(weights=[values]), GRADIENT)["weights"], np.float64)
    assert decoded.tobytes() == np.array([values], np.float64).tobytes()


@given(arrays(np.int64, filled_shape, elements=signed))
def test_labels_are_exact_in_all_of_their_64_bits(labels: Array) -> None:
    decoded = decode(body(targets=labels.tolist()), GRADIENT)["targets"]
    assert decoded.dtype == np.int64
    np.testing.assert_array_equal(decoded, labels)


@pytest.mark.parametrize("label", [2**53 + 1, 2**63 - 1, -(2**63)])
def test_a_label_stays_exact_beside_an_integer_beyond_64_bits(label: int) -> None:
    decoded = decode(body(logits=[[0, 10**30]], targets=[label]), GRADIENT)
    assert np.array(decoded["targets"]).tolist() == [label]


def test_parameter_beside_integer_beyond_64_bits_stays_exact() -> None:
    decoded = decode(body(logits=[[0, 10**30]], ignore_index=2**63 - 1), GRADIENT)
    assert decoded["ignore_index"] == 2**63 - 1


@given(st.lists(st.integers(2**63, 10**300) | st.integers(-(10**300), -(2**63) - 1), min_size=1))
def test_integers_beyond_64_bits_are_the_nearest_doubles(values: list[int]) -> None:
    decoded = decode(body(logits=values), GRADIENT)["logits"]
    assert list(decoded) == [float(value) for value in values]


@pytest.mark.parametrize("number", ["1e2", "1E+2", "100.0e0", "0.1e3", "10000e-2"])
def test_every_way_to_write_a_number_is_read(number: str) -> None:
    assert decode(f'{{"logits": [{number}]}}'.encode(), GRADIENT)["logits"].tolist() == [100.0]


def test_a_number_too_small_for_a_double_is_0() -> None:
    assert decode(b'{"logits": [1e-400, -1e-400]}', GRADIENT)["logits"].tolist() == [0.0, 0.0]


def test_what_is_no_tensor_is_a_python_object() -> None:
    fields = {"temperature": 2.5, "top_k": 3, "dtype": "float32", "outputs": ["logits", "loss"], "softcap": True}
    assert decode(body(**fields), GRADIENT) == fields


def test_field_may_be_spelled_with_escapes_and_among_blanks() -> None:
    assert decode(b' \r\n{\t"\\u006cogits" : [ 1 , 2 ] } \n', GRADIENT)["logits"].tolist() == [1.0, 2.0]


@given(arrays(np.float64, filled_shape, elements=finite))
def test_doubles_come_back_from_json_bit_by_bit(values: Array) -> None:
    decoded = decode(encode({"logits": values}), GRADIENT)["logits"]
    assert decoded.shape == values.shape
    assert decoded.tobytes() == values.tobytes()


@given(arrays(np.int64, any_shape, elements=signed))
def test_integers_are_written_exactly(values: Array) -> None:
    assert json.loads(encode({"predictions": values})) == {"predictions": values.tolist()}


@given(arrays(np.float64, any_shape, elements=finite))
def test_every_shape_is_written_as_nested_arrays(values: Array) -> None:
    assert json.loads(encode({"probabilities": values})) == {"probabilities": values.tolist()}


@given(arrays(np.float32, st.integers(1, 9), elements=short))
@example(np.array([f"{digit}e{exponent}" for digit in range(1, 10) for exponent in range(-45, 38)], np.float32))
def test_single_precision_has_fewest_digits_that_read_back(values: Array) -> None:
    written = [number.decode() for number in NUMBER.findall(encode({"loss": values}))]
    assert np.array(written, np.float32).tobytes() == values.tobytes()
    assert [significant(number) for number in written] == [
        significant(np.format_float_scientific(value, unique=True)) for value in values
    ]


@given(arrays(np.float64, st.integers(1, 9), elements=finite))
def test_double_precision_has_fewest_digits_that_read_back(values: Array) -> None:
    written = [number.decode() for number in NUMBER.findall(encode({"loss": values}))]
    assert np.array(written, np.float64).tobytes() == values.tobytes()
    assert [significant(number) for number in written] == [significant(repr(float(value))) for value in values]


def test_every_half_precision_number_has_digits_that_read_back() -> None:
    values = np.arange(2**16, dtype=np.uint16).view(np.float16)
    values = values[np.isfinite(values)]
    written = json.loads(encode({"loss": values}))["loss"]
    assert np.array(written, np.float16).tobytes() == values.tobytes()


@given(arrays(np.float64, filled_shape, elements=anything), st.integers(1, 9))
def test_long_array_written_in_pieces_makes_the_same_text(values: Array, size: int) -> None:
    outputs = {"loss": values, "logits": values.T, "probabilities": np.zeros((3, 3)), "accuracy": np.array(0.5)}
    whole = encode(outputs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_encode, "PIECE_ELEMENTS", size)
        assert encode(outputs) == whole
        pieces = json_encode.encode(outputs)
    # a number has at most 24 characters, besides brackets and a comma
    assert max(map(len, pieces)) <= size * 34 + 2


@given(arrays(np.float64, any_shape, elements=anything))
def test_what_is_not_finite_is_a_string_in_its_place(values: Array) -> None:
    spelled = np.array(json.loads(encode({"loss": values}))["loss"], object)
    np.testing.assert_array_equal(spelled.astype(np.float64), values.reshape(spelled.shape))
    words = {item for item in spelled.ravel().tolist() if isinstance(item, str)}
    assert words <= {"Infinity", "-Infinity", "NaN"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tensor_of_rank_0_is_a_number_or_a_string(dtype: Any) -> None:
    numbers = {
        "loss": np.array(0.1, dtype),
        "denominator": np.array(np.inf, dtype),
        "temperature_gradient": np.array(np.nan, dtype),
    }
    assert encode(numbers) == b'{"loss":0.1,"denominator":"Infinity","temperature_gradient":"NaN"}'


def test_an_array_need_not_be_contiguous() -> None:
    values = np.arange(6.0).reshape(2, 3)
    assert json.loads(encode({"logits": values.T[:, ::-1]})) == {"logits": values.T[:, ::-1].tolist()}


def test_outputs_are_written_in_the_order_they_are_given() -> None:
    assert encode({"loss": np.array(1.0), "accuracy": np.array(0.5)}) == b'{"loss":1.0,"accuracy":0.5}'


@pytest.mark.parametrize(
    "shape", [(50_000,), (500, 100), (25_000, 2), (50_000, 1), (10, 50, 100), (50_000, 1, 1)], ids=str
)
def test_decoding_makes_no_python_object_for_each_number(shape: tuple[int, ...]) -> None:
    text = encode({"logits": np.random.default_rng(0).normal(size=shape)})
    tracemalloc.start()
    decode(text, GRADIENT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * len(text)
