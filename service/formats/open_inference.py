"""Decode requests of the Open Inference Protocol (KServe V2): named tensors as JSON, or as raw bytes behind the JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from service.errors import (
    DuplicateField,
    InvalidDatatype,
    InvalidOutputs,
    MalformedBody,
    MissingField,
    NotAnObject,
    NumberOutOfRange,
    ShapeMismatch,
)
from service.formats.datatypes import FLOATS, INTEGERS, PRECISIONS, STORED, from_bytes, to_datatype
from service.formats.json_decode import Document
from service.operations.names import check_names
from service.operations.spec import MAX_RANK, Domain

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from service.arrays import Array, Shape
    from service.operations.spec import Operation

VERSION = "1"
"""The one version of every model."""

HEADER_LENGTH = "Inference-Header-Content-Length"
"""The header that says how many bytes of a body are JSON; the rest are tensors."""

MEMBERS = ("id", "parameters", "inputs", "outputs", "model_name", "model_version")
"""Members of a request; some clients name the model there too, but the path decides."""

IGNORED = frozenset({"sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "content_type", "headers"})
"""Parameters that other servers and their clients use for scheduling and conversion."""

IGNORED_PREFIX = "triton_"

INPUT_PARAMETERS = ("binary_data_size",)
OUTPUT_PARAMETERS = ("binary_data", "classification")

DTYPES = {"float64": "FP64", "float32": "FP32"}
"""The datatype of the answer for the parameter dtype."""

MAX_OUTPUTS = 64
"""Outputs of a request that are looked at; no operation has as many."""

DATATYPES = {
    Domain.LOGITS: (*FLOATS, *INTEGERS),
    Domain.TARGETS: (*FLOATS, *INTEGERS),
    Domain.MASK: ("BOOL", *INTEGERS),
}
"""The datatypes that a tensor may have, where they are not the floats alone."""


class OutputOptions(NamedTuple):
    """The form of an output in the response.

    binary: as raw bytes; None leaves it to the request.
    classes: number of "value:index" strings in place of each row; None for the numbers themselves.
    """

    binary: bool | None = None
    classes: int | None = None


@dataclass(slots=True)
class Inference:
    """A decoded request.

    fields: inputs, parameters and outputs by name.
    datatype: of the floats in the answer.
    outputs: options of each output that is asked for by name.
    binary_output: whether outputs without an option of their own are raw bytes.
    """

    fields: dict[str, Any]
    datatype: str
    id: str | None = None
    outputs: Mapping[str, OutputOptions] = field(default_factory=dict)
    binary_output: bool = False


def decode(
    body: bytes | bytearray, header_length: int | None, operation: Operation, *, max_elements: float = inf
) -> Inference:
    """Return the request in a body, of which the first header_length bytes are JSON (None: all of them).

    A tensor behind the JSON is a view of the body. A member that is null is left out.

    Raises ServiceError.
    """
    if header_length is not None and not 0 <= header_length <= len(body):
        raise MalformedBody(f"{HEADER_LENGTH} must be the length of the JSON part of the body, in bytes.")
    text = body if header_length is None else body[:header_length]
    document = Document(text, constants=True, max_elements=max_elements)
    request = _members(document.root, MEMBERS, "The body")
    tensors, datatypes = _inputs(document, request.get("inputs"), memoryview(body)[len(text) :], operation)
    if document.unread:
        raise MalformedBody("The body has a long array of numbers that is not the data of an input; remove it.")
    known = (*(each.name for each in operation.parameters), "binary_data_output")
    parameters = _parameters(request.get("parameters"), known, "parameter")
    binary_output = _boolean(parameters.pop("binary_data_output", False), "binary_data_output")
    datatype = datatypes.get("logits", datatypes.get("inputs", "FP64"))
    fields = {"dtype": PRECISIONS.get(datatype, "float64"), **tensors, **parameters}
    datatype = DTYPES.get(str(parameters.get("dtype")), datatype if datatype in FLOATS else "FP64")
    outputs: dict[str, OutputOptions] = {}
    if "outputs" in request:
        outputs = _outputs(request["outputs"])
        fields["outputs"] = list(outputs)
    identity = request.get("id")
    if identity is not None and not isinstance(identity, str):
        raise MalformedBody("id must be a string.", (("id",), "is not a string"))
    return Inference(fields, datatype, identity, outputs, binary_output)


def asks_for_ready_models(body: bytes) -> bool:
    """Return whether the body of a request for the repository index asks for ready models only. Raises ServiceError."""
    if not body:
        return False
    members = _members(Document(body, max_elements=inf).root, ("ready",), "The body")
    return _boolean(members.get("ready", False), "ready")


def _members(value: Any, known: Collection[str], subject: str, kind: str = "member") -> dict[str, Any]:
    """Return the members of a JSON object that are not null. Raises NotAnObject and UnknownField."""
    if not isinstance(value, dict):
        raise NotAnObject(f"{subject} must be a JSON object.")
    check_names(value, known, kind)
    return {name: member for name, member in value.items() if member is not None}


def _parameters(value: Any, known: Collection[str], kind: str) -> dict[str, Any]:
    """Return the parameters in a JSON object that mean something here. Raises NotAnObject and UnknownField."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise NotAnObject("parameters must be a JSON object.")
    named = {name: each for name, each in value.items() if name not in IGNORED and not name.startswith(IGNORED_PREFIX)}
    return _members(named, known, "parameters", kind)


def _boolean(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return value
    raise MalformedBody(f"{name} must be true or false.", ((name,), "is not a boolean"))


def _list(value: Any, name: str) -> list[Any]:
    if isinstance(value, list):
        return value
    raise MalformedBody(f"{name} must be a list of objects.", ((name,), "is not a list"))


def _inputs(
    document: Document, value: Any, raw: memoryview, operation: Operation
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the tensors and their datatypes, by name. Those without data are in raw, one behind the other."""
    domains = operation.domains
    tensors: dict[str, Any] = {}
    datatypes: dict[str, str] = {}
    used = 0
    for item in _list(value, "inputs"):
        members = _members(item, ("name", "shape", "datatype", "parameters", "data"), "An input")
        name, shape, datatype = _heading(members, domains)
        if name in tensors:
            raise DuplicateField(name)
        size = _binary_size(members.get("parameters"), name)
        data = members.get("data")
        if (size is None) == (data is None):
            raise MissingField(f"{name} must have either data or a binary_data_size.", ((name,), "needs data"))
        if size is None:
            if not isinstance(data, list | str):
                raise MalformedBody(f"{name} must have its data as a list.", ((name,), "is not a list"))
            tensors[name] = _as_datatype(name, document.tensor(name, data, domains[name]), datatype, shape)
        else:
            tensors[name] = _raw_tensor(name, raw[used:], size, datatype, shape)
            used += size
        datatypes[name] = datatype
    if used != len(raw):
        raise MalformedBody(f"The inputs have {used} bytes behind the JSON; the body has {len(raw)} there.")
    for item in value:
        if (item.get("parameters") or {}).get("content_type") == "np":
            _restore_vector(tensors, item["name"])
    return tensors, datatypes


def _restore_vector(tensors: dict[str, Any], name: str) -> None:
    """Give a vector its shape back: the codec of MLServer writes [n, 1] for n numbers beside a batch of rows."""
    rows, column = tensors.get("logits", tensors.get("inputs")), tensors[name]
    if name in ("logits", "inputs", "weights") or column.shape[1:] != (1,) or rows is None:
        return
    # a column beside rows of one class is one of probabilities
    if rows.ndim == column.ndim and len(tensors.get("weights", rows.T)) > 1:
        tensors[name] = column.reshape(-1)


def _heading(members: Mapping[str, Any], domains: Mapping[str, Domain]) -> tuple[str, Shape, str]:
    """Return the name, the shape and the datatype of an input."""
    name, shape, datatype = members.get("name"), members.get("shape"), members.get("datatype")
    if not isinstance(name, str):
        raise MalformedBody("An input must have a name, a string.", (("inputs",), "has an input without a name"))
    check_names([name], domains, "input")
    if not isinstance(shape, list) or len(shape) > MAX_RANK:
        raise ShapeMismatch(f"{name} must have a shape, a list of at most {MAX_RANK} sizes.", ((name,), "has no shape"))
    if any(type(size) is not int or size < 0 for size in shape):
        raise ShapeMismatch(f"{name} must have a shape of integers that are not negative.", ((name,), "has no shape"))
    allowed = DATATYPES.get(domains[name], tuple(FLOATS))
    if datatype not in allowed:
        raise InvalidDatatype(
            f"{name} must have one of the datatypes {', '.join(allowed)}.", ((name,), "has the wrong datatype")
        )
    return name, tuple(shape), datatype


def _binary_size(parameters: Any, name: str) -> int | None:
    """Return how many bytes of raw data a tensor has; None if it has none."""
    size = _parameters(parameters, INPUT_PARAMETERS, "input parameter").get("binary_data_size")
    if size is not None and (type(size) is not int or size < 0):
        raise MalformedBody(
            f"The binary_data_size of {name} must be a number of bytes, an integer.", ((name,), "has no size")
        )
    return size


def _raw_tensor(name: str, raw: memoryview, size: int, datatype: str, shape: Shape) -> Array:
    """Return the tensor in the first bytes of raw."""
    expected = prod(shape) * STORED[datatype].itemsize
    if size != expected or size > len(raw):
        raise ShapeMismatch(
            f"{name} of shape {shape} and datatype {datatype} has {expected} bytes; "
            "its binary_data_size, and the bytes behind the JSON, must agree with that.",
            ((name,), "has the wrong size"),
        )
    return _shaped(name, from_bytes(raw[:size], datatype, (prod(shape),)), shape)


def _as_datatype(name: str, values: Array, datatype: str, shape: Shape) -> Array:
    """Return values that came flat or nested, in their shape, rounded to their datatype."""
    if values.shape != shape and (values.ndim != 1 or values.size != prod(shape)):
        raise ShapeMismatch(
            f"{name} has data of shape {values.shape}; its shape {shape} asks for that or for {prod(shape)} numbers in a row.",
            ((name,), "has the wrong size"),
        )
    if datatype in FLOATS:
        doubles = values.astype(np.float64, copy=False)
        values = to_datatype(doubles, datatype)
        wrong = np.isinf(values) & ~np.isinf(doubles) if values is not doubles else np.False_
    elif datatype == "BOOL":
        wrong = np.False_  # the values of a mask are checked later
    else:
        limits = np.iinfo(STORED[datatype])
        wrong = ~((values >= limits.min) & (values <= limits.max) & (values == np.floor(values)))
    if wrong.any():
        index = np.unravel_index(int(np.flatnonzero(wrong)[0]), values.shape)
        raise NumberOutOfRange(datatype, (name, *map(int, index)))
    return _shaped(name, values, shape)


def _shaped(name: str, values: Array, shape: Shape) -> Array:
    """Return values in a shape. Raises ShapeMismatch for one that no array can have, even without elements."""
    try:
        return values.reshape(shape)
    except (ValueError, OverflowError):
        raise ShapeMismatch(f"{name} has a shape that no tensor can have.", ((name,), "has the wrong size")) from None


def _outputs(value: Any) -> dict[str, OutputOptions]:
    """Return the options of the outputs that are asked for, by name."""
    items = _list(value, "outputs")
    if len(items) > MAX_OUTPUTS:
        raise InvalidOutputs(f"outputs must name at most {MAX_OUTPUTS} outputs.", (("outputs",), "names too many"))
    outputs: dict[str, OutputOptions] = {}
    for index, item in enumerate(items):
        members = _members(item, ("name", "parameters"), "An output")
        name = members.get("name")
        if not isinstance(name, str) or name in outputs:
            raise InvalidOutputs(
                "outputs must name each output once.", (("outputs", index), "has no name, or that of another output")
            )
        parameters = _parameters(members.get("parameters"), OUTPUT_PARAMETERS, "output parameter")
        binary, classes = parameters.get("binary_data"), parameters.get("classification")
        if classes is not None and (type(classes) is not int or classes < 1):
            raise InvalidOutputs(
                "classification must be the number of classes to return, an integer from 1.",
                (("outputs", index, "classification"), "is not a number of classes"),
            )
        outputs[name] = OutputOptions(None if binary is None else _boolean(binary, "binary_data"), classes)
    return outputs
