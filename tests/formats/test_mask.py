"""A mask is read alike from every format, as booleans or as 0 and 1."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from service.errors import InvalidDatatype, NotANumber, NumberOutOfRange, ServiceError
from service.formats import json_decode, npy, open_inference
from service.operations import OPERATIONS
from service.schemas.requests import request_model

if TYPE_CHECKING:
    from service.arrays import Array

pytestmark = pytest.mark.usefixtures("codec")

SOFTMAX = OPERATIONS[0]

SIZES = pytest.mark.parametrize("shape", [(3,), (2, 3), (40, 60)], ids=str)

Reader = "Callable[[Array, Array], Array]"


def from_json(logits: Array, mask: Array) -> Array:
    """Return the mask of a JSON body."""
    body = json.dumps({"logits": logits.tolist(), "mask": mask.tolist()}).encode()
    return json_decode.decode(body, SOFTMAX)["mask"]


def from_npz(logits: Array, mask: Array) -> Array:
    """Return the mask of an archive."""
    stream = io.BytesIO()
    np.savez(stream, logits=logits, mask=mask)
    return npy.decode_npz(stream.getvalue(), SOFTMAX, "", max_bytes=2**20)["mask"]


def from_inference(mask: dict[str, Any], logits: Array, raw: bytes = b"") -> Array:
    """Return the mask of an infer request."""
    front = {"name": "logits", "shape": logits.shape, "datatype": "FP64", "data": logits.ravel().tolist()}
    text = json.dumps({"inputs": [front, mask]}).encode()
    return open_inference.decode(text + raw, len(text), SOFTMAX).fields["mask"]


def datatype(mask: Array) -> str:
    """Return the datatype of a mask."""
    return "BOOL" if mask.dtype == bool else "UINT8"


def from_inference_json(logits: Array, mask: Array) -> Array:
    """Return the mask in the JSON of an infer request."""
    return from_inference(
        {"name": "mask", "shape": mask.shape, "datatype": datatype(mask), "data": mask.ravel().tolist()}, logits
    )


def from_inference_bytes(logits: Array, mask: Array) -> Array:
    """Return the mask behind the JSON of an infer request."""
    size = {"binary_data_size": mask.nbytes}
    heading = {"name": "mask", "shape": mask.shape, "datatype": datatype(mask), "parameters": size}
    return from_inference(heading, logits, mask.tobytes())


@SIZES
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8])
@pytest.mark.parametrize("read", [from_json, from_npz, from_inference_json, from_inference_bytes])
def test_mask_is_the_same_from_every_format(read: Any, dtype: Any, shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    mask = generator.integers(0, 2, size=shape).astype(dtype)
    logits = generator.normal(size=shape)
    found = read(logits, mask)
    assert found.dtype.kind in "iuf"
    np.testing.assert_array_equal(found, mask)
    request_model(SOFTMAX).read({"logits": logits, "mask": found})


@pytest.mark.parametrize("many", [1, 2000])
@pytest.mark.parametrize("wrong", ["2", "0.5", '"true"', "null", "-1", '"-Infinity"'])
def test_value_of_a_mask_other_than_0_and_1_is_refused(wrong: str, many: int) -> None:
    body = f'{{"logits": {json.dumps([0.5] * (many + 2))}, "mask": [{"true, " * many}{wrong}, 0]}}'
    with pytest.raises(ServiceError) as refused:
        request_model(SOFTMAX).read(json_decode.decode(body.encode(), SOFTMAX))
    assert refused.value.locations[0][0] == ("mask", many)
    assert "true" in refused.value.detail


@pytest.mark.parametrize("name", ["logits", "mask"])
def test_booleans_are_accepted_in_a_mask_alone(name: str) -> None:
    request = {"logits": [2, 3], "mask": [1, 0]} | {name: [True, False]}
    if name == "mask":
        assert json_decode.decode(json.dumps(request).encode(), SOFTMAX)["mask"].tolist() == [1, 0]
        return
    with pytest.raises(NotANumber, match=r"logits\[0\] is a boolean"):
        json_decode.decode(json.dumps(request).encode(), SOFTMAX)


@pytest.mark.parametrize("kind", ["BOOL", "UINT8"])
def test_byte_other_than_0_and_1_is_refused(kind: str) -> None:
    heading = {"name": "mask", "shape": [2], "datatype": kind, "parameters": {"binary_data_size": 2}}
    logits = np.zeros(2)
    mask = from_inference(heading, logits, b"\x01\x02")
    with pytest.raises(ServiceError, match=r"mask\[1\] is neither 0 nor 1"):
        request_model(SOFTMAX).read({"logits": logits, "mask": mask})


def test_datatypes_of_masks_are_integers() -> None:
    heading = {"name": "mask", "shape": [2], "data": [1, 300]}
    with pytest.raises(InvalidDatatype, match="BOOL"):
        from_inference(heading | {"datatype": "FP32"}, np.zeros(2))
    with pytest.raises(NumberOutOfRange):
        from_inference(heading | {"datatype": "UINT8"}, np.zeros(2))
