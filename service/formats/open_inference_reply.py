"""Encode answers of the Open Inference Protocol (KServe V2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from service.errors import InvalidOutputs, TensorTooLarge
from service.formats import json_encode
from service.formats.datatypes import memory, stored, to_datatype
from service.formats.open_inference import VERSION, OutputOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.arrays import Array
    from service.errors import Location
    from service.formats import Piece
    from service.formats.open_inference import Inference
    from service.operations.spec import Operation, Output

MAX_STRINGS = 100_000
"""Strings of one output; each of them is a Python object."""

WIDER = {"FP16": "FP32", "BF16": "FP32"}
"""The datatype of counts and reduced scalars, where that of the request is too narrow for them."""


def encode(inference: Inference, outputs: Mapping[str, Array], operation: Operation) -> tuple[list[Piece], int | None]:
    """Return the answer in pieces, and how many bytes of it are JSON if others follow. Raises ServiceError."""
    identity = {} if inference.id is None else {"id": inference.id}
    opening = json_encode.dumps({"model_name": operation.name, "model_version": VERSION, **identity})
    header: list[Piece] = [opening[:-1]]
    before = b',"outputs":['
    tensors: list[Piece] = []
    for index, (name, values) in enumerate(outputs.items()):
        output = operation.named_outputs[name]
        options = inference.outputs.get(name, OutputOptions())
        datatype = _datatype(output, values, inference.datatype)
        binary = inference.binary_output if options.binary is None else options.binary
        entry: dict[str, Any] = {"name": name, "shape": values.shape, "datatype": datatype}
        data: list[Piece] = []
        if options.classes is not None:
            place = ("outputs", index, "parameters", "classification")
            strings = _classification(place, output, _numbers(values, datatype), options.classes)
            entry |= {"shape": strings.shape, "datatype": "BYTES"}
            texts = strings.reshape(-1).tolist()
            data = [_length_prefixed(texts) if binary else json_encode.dumps(texts)]
        elif binary:
            data = [memory(stored(values, datatype))]
        else:
            data = [*json_encode.array_text(_numbers(values, datatype).reshape(-1))]
        if binary:
            entry["parameters"] = {"binary_data_size": len(data[0])}
            header += (before, json_encode.dumps(entry))
            tensors += data
        else:
            header += (before, json_encode.dumps(entry)[:-1], b',"data":', *data, b"}")
        before = b","
    header.append(b"]}")
    return [*header, *tensors], sum(map(len, header)) if tensors else None


def _numbers(values: Array, datatype: str) -> Array:
    """Return values rounded to a datatype, as they are written: FP16 as float32, of which all codecs write the same digits."""
    rounded = to_datatype(values, datatype)
    return rounded.astype(np.float32) if datatype == "FP16" else rounded


def _datatype(output: Output, values: Array, datatype: str) -> str:
    """Return the datatype of an output: counts and reduced scalars are not narrower than FP32."""
    if output.integer:
        return "INT64"
    is_summary = (() in output.axes and values.ndim == 0) or output.axes == (("bins",),)
    return WIDER.get(datatype, datatype) if is_summary else datatype


def _classification(place: Location, output: Output, values: Array, classes: int) -> Array:
    """Return the largest values of each row as "value:index" strings, ties by the lowest index.

    place: that of the parameter which asks for them.

    Source: the classification extension of Triton.
    """
    if output.integer or not all(axes and axes[-1] == "K" for axes in output.axes):
        raise InvalidOutputs(
            f"outputs cannot have a classification of {output.name}; it has no value for each class.",
            (place, "has no value for each class"),
        )
    classes = min(classes, values.shape[-1])
    shape = (*values.shape[:-1], classes)
    rows = values.reshape(-1, values.shape[-1])
    if len(rows) * classes > MAX_STRINGS:
        raise TensorTooLarge(output.name, len(rows) * classes, MAX_STRINGS, len(rows))
    order = np.argsort(-rows, axis=-1, kind="stable")[:, :classes]
    best = np.take_along_axis(rows, order, axis=-1)
    texts = [f"{value}:{index}" for value, index in zip(best.ravel().astype(str), order.ravel(), strict=True)]
    return np.array(texts, object).reshape(shape)


def _length_prefixed(texts: list[str]) -> bytes:
    """Return strings as the binary tensor extension has them: the length in 4 bytes, little-endian, then the bytes."""
    encoded = [text.encode() for text in texts]
    return b"".join(part for text in encoded for part in (len(text).to_bytes(4, "little"), text))
