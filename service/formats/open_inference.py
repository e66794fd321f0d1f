"""Decode requests of the Open Inference Protocol (KServe V2): named tensors as JSON, or as raw bytes behind the JSON."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from service.errors import (
    ConflictingFields,
    DuplicateField,
    InvalidDatatype,
    InvalidOutputs,
    MalformedBody,
    MissingField,
    NotAnObject,
    ShapeMismatch,
    written,
)
from service.formats.datatypes import FLOATS, INTEGERS, PRECISIONS
from service.formats.json_decode import Document
from service.formats.open_inference_tensors import from_raw, from_values
from service.operations.names import check_names
from service.operations.spec import MAX_RANK, Domain

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from service.arrays import Shape
    from service.errors import Location
    from service.operations.spec import Operation

VERSION = "1"
"""The one version of every model."""

HEADER_LENGTH = "Inference-Header-Content-Length"
"""The header that says how many bytes of a body are JSON; the rest are tensors."""

MEMBERS = ("id", "parameters", "inputs", "outputs", "model_name", "model_version")
"""Members of a request; some clients name the model there as well as in the path."""

IGNORED = frozenset({"sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "content_type", "headers"})
"""Parameters that other servers and their clients use for scheduling and conversion."""

IGNORED_PREFIX = "triton_"

INPUT_PARAMETERS = ("binary_data_size",)
OUTPUT_PARAMETERS = ("binary_data", "classification")

DTYPES = {"float64": "FP64", "float32": "FP32"}
"""The datatype of the answer for the parameter dtype."""

MAX_OUTPUTS = 64
"""Outputs of a request that are looked at; no operation has as many."""

FLOAT_NAMES = tuple(FLOATS)

DATATYPES = {
    Domain.LOGITS: (*FLOAT_NAMES, *INTEGERS),
    Domain.TARGETS: (*FLOAT_NAMES, *INTEGERS),
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


class Inference(NamedTuple):
    """A decoded request.

    fields: inputs, parameters and outputs by name.
    datatype: of the floats in the answer.
    outputs: options of each output that is asked for by name.
    binary_output: whether outputs without an option of their own are raw bytes.
    """

    fields: dict[str, Any]
    datatype: str
    id: str | None
    outputs: Mapping[str, OutputOptions]
    binary_output: bool


def decode(
    body: bytes | bytearray, header_length: int | None, operation: Operation, *, max_elements: float = inf
) -> Inference:
    """Return the request in a body, of which the first header_length bytes are JSON (None: all of them).

    A tensor behind the JSON is a view of the body. A member that is null is left out.

    Raises ServiceError.
    """
    if header_length is not None and header_length > len(body):
        detail = f"{HEADER_LENGTH} must be the length of the JSON part of the body, in bytes."
        raise MalformedBody(detail, ((HEADER_LENGTH,), "is beyond the end of the body"))
    text = body if header_length is None else body[:header_length]
    document = Document(text, constants=True, max_elements=max_elements)
    request = _members(document.root, MEMBERS, ())
    for name, served in (("model_name", operation.name), ("model_version", VERSION)):
        if request.get(name, served) != served:
            raise ConflictingFields(f"{name} differs from the path; leave it out.", ((name,), "differs from the path"))
    tensors, datatypes = _inputs(document, request.get("inputs"), memoryview(body)[len(text) :], operation)
    if document.unread:
        raise MalformedBody("The body has a long array of numbers that is not the data of an input; remove it.")
    known = (*operation.defaults, "binary_data_output")
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
    # a bare NaN is not a string, but a BareConstant
    if identity is not None and type(identity) is not str:
        raise MalformedBody("id must be a string.", (("id",), "is not a string"))
    return Inference(fields, datatype, identity, outputs, binary_output)


def asks_for_ready_models(body: bytes) -> bool:
    """Return whether the body of a request for the repository index asks for ready models only. Raises ServiceError."""
    if not body:
        return False
    members = _members(Document(body, max_elements=inf).root, ("ready",), ())
    return _boolean(members.get("ready", False), "ready")


def _members(value: Any, known: Collection[str], place: Location, kind: str = "member") -> dict[str, Any]:
    """Return the members of a JSON object that are not null; () is the place of the body.

    Raises NotAnObject and UnknownField.
    """
    if not isinstance(value, dict):
        subject, places = (written(place), [(place, "is not an object")]) if place else ("The body", [])
        raise NotAnObject(f"{subject} must be a JSON object.", *places)
    members: dict[str, Any] = {}
    for name, member in value.items():
        if name not in known:
            check_names([name], known, kind, place)
        if member is not None:
            members[name] = member
    return members


def _parameters(value: Any, known: Collection[str], kind: str, place: Location = ()) -> dict[str, Any]:
    """Return the parameters in a JSON object that mean something here. Raises NotAnObject and UnknownField.

    place: that of the input or output; a parameter of the request itself is named without a place.
    """
    if value is None:
        return {}
    inside = (*place, "parameters")
    if not isinstance(value, dict):
        raise NotAnObject("parameters must be a JSON object.", (inside, "is not an object"))
    named = {name: each for name, each in value.items() if name in known or not _is_ignored(name)}
    return _members(named, known, inside if place else (), kind)


def _is_ignored(name: str) -> bool:
    return name in IGNORED or name.startswith(IGNORED_PREFIX)


def _boolean(value: Any, name: str, place: Location = ()) -> bool:
    if isinstance(value, bool):
        return value
    raise MalformedBody(f"{name} must be true or false.", ((*place, name), "is not a boolean"))


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
    if value is None:
        raise MissingField("Send inputs, a list of tensors.", (("inputs",), "is missing"))
    for index, item in enumerate(_list(value, "inputs")):
        place = ("inputs", index)
        members = _members(item, ("name", "shape", "datatype", "parameters", "data"), place)
        name, shape, datatype = _heading(members, domains, place)
        if name in tensors:
            raise DuplicateField(name)
        size = _binary_size(members.get("parameters"), place)
        data = members.get("data")
        if (size is None) == (data is None):
            raise MissingField(f"{name} must have either data or a binary_data_size.", ((name,), "needs data"))
        if size is None:
            if not isinstance(data, list | str):
                raise MalformedBody(f"{name} must have its data as a list.", ((name,), "is not a list"))
            tensors[name] = from_values(name, document.tensor(name, data, domains[name]), datatype, shape)
        else:
            tensors[name] = from_raw(name, raw[used:], size, datatype, shape)
            used += size
        datatypes[name] = datatype
    if used != len(raw):
        raise MalformedBody(
            f"The inputs have {used} bytes behind the JSON; the body has {len(raw)} there.",
            (("inputs",), "do not add up to the bytes behind the JSON"),
        )
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


def _heading(members: Mapping[str, Any], domains: Mapping[str, Domain], place: Location) -> tuple[str, Shape, str]:
    """Return the name, the shape and the datatype of an input."""
    name, shape, datatype = members.get("name"), members.get("shape"), members.get("datatype")
    if not isinstance(name, str):
        raise MalformedBody(f"{written(place)} must have a name, a string.", (place, "has no name"))
    check_names([name], domains, "input")
    if not isinstance(shape, list) or len(shape) > MAX_RANK:
        raise ShapeMismatch(f"{name} must have a shape, a list of at most {MAX_RANK} sizes.", ((name,), "has no shape"))
    if shape and (set(map(type, shape)) != {int} or min(shape) < 0 or max(shape) >= 2**63):
        raise ShapeMismatch(f"{name} must have a shape of integers from 0 to 2^63 - 1.", ((name,), "has no shape"))
    allowed = DATATYPES.get(domains[name], FLOAT_NAMES)
    if datatype not in allowed:
        raise InvalidDatatype(
            f"{name} must have one of the datatypes {', '.join(allowed)}.", ((name,), "has the wrong datatype")
        )
    return name, tuple(shape), datatype


def _binary_size(parameters: Any, place: Location) -> int | None:
    """Return how many bytes of raw data the input at a place has; None if it has none."""
    size = _parameters(parameters, INPUT_PARAMETERS, "input parameter", place).get("binary_data_size")
    if size is not None and (type(size) is not int or size < 0):
        raise MalformedBody(
            f"The binary_data_size of {written(place)} must be a number of bytes, an integer.",
            ((*place, "parameters", "binary_data_size"), "is not a number of bytes"),
        )
    return size


def _outputs(value: Any) -> dict[str, OutputOptions]:
    """Return the options of the outputs that are asked for, by name."""
    items = _list(value, "outputs")
    if len(items) > MAX_OUTPUTS:
        raise InvalidOutputs(f"outputs must name at most {MAX_OUTPUTS} outputs.", (("outputs",), "names too many"))
    outputs: dict[str, OutputOptions] = {}
    for index, item in enumerate(items):
        place = ("outputs", index)
        members = _members(item, ("name", "parameters"), place)
        name = members.get("name")
        if not isinstance(name, str) or name in outputs:
            raise InvalidOutputs(
                "outputs must name each output once.", (place, "has no name, or that of another output")
            )
        parameters = _parameters(members.get("parameters"), OUTPUT_PARAMETERS, "output parameter", place)
        inside = (*place, "parameters")
        binary, classes = parameters.get("binary_data"), parameters.get("classification")
        if classes is not None and (type(classes) is not int or classes < 1):
            raise InvalidOutputs(
                "classification must be the number of classes to return, an integer from 1.",
                ((*inside, "classification"), "is not a number of classes"),
            )
        outputs[name] = OutputOptions(None if binary is None else _boolean(binary, "binary_data", inside), classes)
    return outputs
