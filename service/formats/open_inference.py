"""The Open Inference Protocol (KServe V2): named tensors as JSON, as raw bytes behind the JSON, or both."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import simdjson

from service.errors import (
    ConflictingFields,
    DuplicateField,
    InvalidDatatype,
    InvalidOutputs,
    MalformedBody,
    MissingField,
    NotAnObject,
    NumberOutOfRange,
    ShapeMismatch,
)
from service.formats import json_decode, json_encode
from service.formats.datatypes import FLOATS, INTEGERS, PRECISIONS, STORED, from_bytes, memory, stored, to_datatype
from service.formats.json_document import read
from service.formats.names import unique
from service.formats.nested import MAX_RANK
from service.operations.spec import Domain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.arrays import Array
    from service.formats import Piece
    from service.formats.json_document import Document
    from service.operations.spec import Operation

VERSION = "1"
"""The one version of every model."""

HEADER_LENGTH = "Inference-Header-Content-Length"
"""The header that says how many bytes of a body are JSON; the rest are tensors."""

MEMBERS = ("id", "parameters", "inputs", "outputs", "model_name", "model_version")
"""What a request may hold; some clients name the model there too, but the path decides."""

IGNORED = frozenset({"sequence_id", "sequence_start", "sequence_end", "priority", "timeout"})
"""Parameters for schedulers, which common clients send; there is nothing to schedule here."""


@dataclass(slots=True)
class Inference:
    """A request, taken apart.

    fields: inputs, parameters and outputs by name, for whoever takes them.
    datatype: of the floats in the answer, that of the logits or the inputs.
    binary: for each output asked for by name, whether its data is to be raw bytes; None leaves it to binary_output.
    """

    fields: dict[str, Any]
    datatype: str
    id: str | None = None
    binary: Mapping[str, bool | None] = field(default_factory=dict)
    binary_output: bool = False


def decode(body: bytes | bytearray, header_length: int | None, operation: Operation) -> Inference:
    """The request in a body, of which the first header_length bytes are JSON (None: all). Raises ServiceError.

    A tensor behind the JSON is a view of the body.
    """
    text = body if header_length is None else body[:header_length]
    if header_length is not None and not 0 <= header_length <= len(body):
        raise MalformedBody(f"{HEADER_LENGTH} must be the length of the JSON part of the body, in bytes.")
    return read(text, _inference, memoryview(body)[len(text) :], operation)


def _inference(document: Document, raw: memoryview, operation: Operation) -> Inference:
    """The request in a document, and in the raw bytes behind it."""
    request = _members(document.root, MEMBERS, "The body")
    items = _items(request.get("inputs"), "inputs")
    tensors, datatypes = _inputs(document, items, raw, operation)
    document.check_depths(others=1 + len(items) + ("outputs" in request))
    parameters, binary_output = _parameters(request.get("parameters"), operation)
    datatype = datatypes.get("logits", datatypes.get("inputs", "FP64"))
    precision = PRECISIONS[datatype]
    if parameters.get("dtype", precision) != precision:
        raise ConflictingFields(
            f"The answer has the datatype of the logits, {datatype}; leave dtype out.",
            (("dtype",), "excludes the datatype"),
        )
    fields = {**tensors, **parameters, "dtype": precision}
    binary = _outputs(request["outputs"]) if "outputs" in request else {}
    if "outputs" in request:
        fields["outputs"] = list(binary)
    identity = request.get("id")
    if identity is not None and not isinstance(identity, str):
        raise MalformedBody("id must be a string.")
    return Inference(fields, datatype, identity, binary, binary_output)


def _members(value: Any, known: tuple[str, ...], what: str) -> dict[str, Any]:
    """The members of a JSON object, each known and there once."""
    if not isinstance(value, simdjson.Object):
        raise NotAnObject(f"{what} must be a JSON object.")
    return {name: value[name] for name in unique(value.keys(), known)}


def _items(value: Any, what: str) -> simdjson.Array:
    if not isinstance(value, simdjson.Array):
        raise MalformedBody(f"{what} must be a list of objects.")
    return value


def _inputs(
    document: Document, items: simdjson.Array, raw: memoryview, operation: Operation
) -> tuple[dict[str, Any], dict[str, str]]:
    """The tensors and their datatypes, by name. Those without data lie in raw, one behind the other."""
    domains = operation.domains
    tensors: dict[str, Any] = {}
    datatypes: dict[str, str] = {}
    used = 0
    for item in items:
        members = _members(item, ("name", "shape", "datatype", "parameters", "data"), "An input")
        name, shape, datatype = _heading(members, domains)
        if name in tensors:
            raise DuplicateField(name)
        size = _binary_size(members.get("parameters"), name)
        data = members.get("data")
        if (size is None) == (data is None):
            raise MissingField(f"{name} must have either data or a binary_data_size.", ((name,), "needs data"))
        if size is None:
            values = document.tensor(name, data, domains[name])
            if values is None:
                raise MalformedBody(f"{name} must have its data as a list.")
            tensors[name] = _as_datatype(name, values, datatype, shape)
        else:
            if size != prod(shape) * STORED[datatype].itemsize or size > len(raw) - used:
                raise ShapeMismatch(
                    f"{name} of shape {shape} and datatype {datatype} takes {prod(shape) * STORED[datatype].itemsize} bytes; "
                    "its binary_data_size, and the bytes behind the JSON, must say the same.",
                    ((name,), "has the wrong size"),
                )
            tensors[name] = shaped(name, from_bytes(raw[used : used + size], datatype, (prod(shape),)), shape)
            used += size
        datatypes[name] = datatype
    if used != len(raw):
        raise MalformedBody(f"The inputs take {used} bytes behind the JSON; the body has {len(raw)} there.")
    return tensors, datatypes


def _heading(members: Mapping[str, Any], domains: Mapping[str, Domain]) -> tuple[str, tuple[int, ...], str]:
    """Name, shape and datatype of an input."""
    name, shape, datatype = members.get("name"), members.get("shape"), members.get("datatype")
    if not isinstance(name, str):
        raise MalformedBody("An input must have a name, a string.")
    unique([name], domains)
    if not isinstance(shape, simdjson.Array) or len(shape) > MAX_RANK:
        raise ShapeMismatch(f"{name} must have a shape, a list of at most {MAX_RANK} sizes.", ((name,), "has no shape"))
    sizes: list[Any] = shape.as_list()
    if any(type(size) is not int or size < 0 for size in sizes):
        raise ShapeMismatch(
            f"{name} must have a shape of sizes that are whole and not negative.", ((name,), "has no shape")
        )
    allowed = [*FLOATS, *INTEGERS] if domains[name] is Domain.TARGETS else [*FLOATS]
    if datatype not in allowed:
        raise InvalidDatatype(
            f"{name} must have one of the datatypes {', '.join(allowed)}.", ((name,), "has the wrong datatype")
        )
    return name, tuple(sizes), datatype


def _binary_size(parameters: Any, name: str) -> int | None:
    """How many bytes of raw data a tensor has; None if it has none. Other parameters of a tensor have no meaning here."""
    if parameters is None:
        return None
    if not isinstance(parameters, simdjson.Object):
        raise NotAnObject(f"The parameters of {name} must be a JSON object.")
    if list(parameters.keys()).count("binary_data_size") > 1:
        raise DuplicateField("binary_data_size")
    size = parameters.get("binary_data_size")
    if size is not None and (type(size) is not int or size < 0):
        raise MalformedBody(f"The binary_data_size of {name} must be a whole number of bytes.")
    return size


def _as_datatype(name: str, values: Array, datatype: str, shape: tuple[int, ...]) -> Array:
    """Values that came flat or nested, in their shape, rounded to their datatype."""
    if values.shape != shape and (values.ndim != 1 or values.size != prod(shape)):
        raise ShapeMismatch(
            f"{name} has data of shape {values.shape}; its shape {shape} asks for that or for {prod(shape)} numbers in a row.",
            ((name,), "has the wrong size"),
        )
    if datatype in INTEGERS:
        limits = np.iinfo(STORED[datatype])
        fits = bool(((values >= limits.min) & (values <= limits.max) & (values == np.floor(values))).all())
    else:
        doubles = values.astype(np.float64, copy=False)
        values = to_datatype(doubles, datatype)
        fits = values is doubles or np.array_equal(np.isinf(values), np.isinf(doubles))
    if not fits:
        raise NumberOutOfRange(name, datatype)
    return shaped(name, values, shape)


def shaped(name: str, values: Array, shape: tuple[int, ...]) -> Array:
    """Values in a shape. Raises ShapeMismatch for one that no array can have, though it may have no elements."""
    try:
        return values.reshape(shape)
    except (ValueError, OverflowError):
        raise ShapeMismatch(f"{name} has a shape that no tensor can have.", ((name,), "has the wrong size")) from None


def _parameters(value: Any, operation: Operation) -> tuple[dict[str, Any], bool]:
    """The operation's parameters by name, and whether outputs are binary unless they say otherwise."""
    if value is None:
        return {}, False
    known = (*(each.name for each in operation.parameters), "binary_data_output", *IGNORED)
    members = _members(value, known, "parameters")
    binary_output = members.pop("binary_data_output", False)
    return {name: member for name, member in members.items() if name not in IGNORED}, binary_output is True


def _outputs(value: Any) -> dict[str, bool | None]:
    """The outputs asked for, and whether each is to be binary."""
    outputs: dict[str, bool | None] = {}
    for item in islice(_items(value, "outputs"), json_decode.LONGEST_LIST):
        members = _members(item, ("name", "parameters"), "An output")
        name, parameters = members.get("name"), members.get("parameters")
        if not isinstance(name, str) or name in outputs:
            raise InvalidOutputs("outputs must name each output once.", (("outputs",), "names an output twice, or not"))
        binary = parameters.get("binary_data") if isinstance(parameters, simdjson.Object) else None
        outputs[name] = None if binary is None else binary is True
    return outputs


def encode(inference: Inference, outputs: Mapping[str, Array], operation: Operation) -> tuple[list[Piece], int | None]:
    """The answer, piece by piece, and how many bytes of it are JSON if others follow."""
    identity = {} if inference.id is None else {"id": inference.id}
    opening = json_encode.dumps({"model_name": operation.name, "model_version": VERSION, **identity})
    header: list[Piece] = [opening[:-1]]
    before = b',"outputs":['
    tensors: list[Piece] = []
    for name, values in outputs.items():
        output = operation.named_outputs[name]
        datatype = "INT64" if output.integer else inference.datatype
        entry: dict[str, Any] = {"name": name, "shape": values.shape, "datatype": datatype}
        binary = inference.binary.get(name)
        if inference.binary_output if binary is None else binary:
            tensors.append(memory(stored(values, datatype)))
            entry["parameters"] = {"binary_data_size": len(tensors[-1])}
            header += (before, json_encode.dumps(entry))
        else:
            data = json_encode.written(to_datatype(values, datatype).reshape(-1), output)
            header += (before, json_encode.dumps(entry)[:-1], b',"data":', *data, b"}")
        before = b","
    header.append(b"]}")
    return [*header, *tensors], sum(map(len, header)) if tensors else None
