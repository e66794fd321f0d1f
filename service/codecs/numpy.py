"""NumPy's own formats: a .npy file is the logits, a .npz archive any named inputs. No pickles, ever."""

from __future__ import annotations

import io
import zipfile
import zlib
from math import prod
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from service.codecs.fields import unique
from service.errors import BodyTooLarge, MalformedBody, NotANumber

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.description import Operation, Parameter

Array = npt.NDArray[Any]

NPY = "application/x-npy"
NPZ = "application/x-npz"

DIGITS = frozenset("0123456789+-.eE")
"""What a number in a query string is written with."""

READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
"""Headers of .npy files by format version; the later ones are for field names, which numbers have none of."""

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How the members of an archive may be packed."""


def decode_npy(body: bytes, operation: Operation, query: str) -> dict[str, Any]:
    """The fields of a .npy body, which is the logits, and of the query string. Raises ServiceError."""
    return _with_parameters({"logits": _array("logits", body)}, operation, query)


def decode_npz(body: bytes, operation: Operation, query: str, *, max_bytes: int) -> dict[str, Any]:
    """The fields of a .npz body, whose members carry the names of inputs, and of the query string.

    Raises ServiceError; BodyTooLarge before more than max_bytes are unpacked.
    """
    inputs = [each.name for each in operation.inputs]
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = archive.infolist()
            names = unique((member.filename.removesuffix(".npy") for member in members), inputs)
            if sum(member.file_size for member in members) > max_bytes:
                raise BodyTooLarge(max_bytes)
            if any(member.compress_type not in METHODS for member in members):
                raise MalformedBody("The members of the .npz body must be stored or deflated.")
            tensors = {name: _array(name, archive.read(member)) for name, member in zip(names, members, strict=True)}
    except (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, EOFError, OSError):
        raise MalformedBody("The body is not a valid .npz archive.") from None
    return _with_parameters(tensors, operation, query)


def _array(name: str, content: bytes) -> Array:
    """The array in a .npy file, a view of it if it is in the byte order of this machine."""
    stream = io.BytesIO(content)
    try:
        shape, fortran_order, dtype = READERS[npy.read_magic(stream)](stream)
    except (ValueError, KeyError):
        raise MalformedBody(f"{name} is not a valid .npy file of numbers.") from None
    if dtype.kind not in "iuf" or dtype.itemsize > np.dtype(np.float64).itemsize:
        raise NotANumber(name)
    start = stream.tell()
    if min(shape, default=0) < 0 or len(content) - start != prod(shape) * dtype.itemsize:
        raise MalformedBody(f"{name} does not hold as many bytes as its shape and dtype ask for.")
    array = np.frombuffer(content, dtype, offset=start).reshape(shape, order="F" if fortran_order else "C")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _with_parameters(tensors: dict[str, Any], operation: Operation, query: str) -> dict[str, Any]:
    """The tensors with the parameters of the query string; the dtype is that of the logits unless it is chosen."""
    front = tensors.get("logits", tensors.get("inputs"))
    narrow = front is not None and front.dtype.kind == "f" and front.dtype.itemsize < np.dtype(np.float64).itemsize
    return {"dtype": "float32" if narrow else "float64", **tensors, **parameters(operation, query)}


def parameters(operation: Operation, query: str) -> dict[str, Any]:
    """Parameters from a query string; outputs are separated by commas.

    Raises UnknownField and DuplicateField. What is no number where one must stand is left for the message to refuse.
    """
    described = {each.name: each for each in operation.parameters}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=len(described) + 1)
    except ValueError:
        raise MalformedBody("The query string has more fields than the operation has parameters.") from None
    unique((name for name, _ in pairs), (*described, "outputs"))
    return {name: text.split(",") if name == "outputs" else _parameter(described[name], text) for name, text in pairs}


def _parameter(parameter: Parameter, text: str) -> Any:
    if parameter.type is str or not DIGITS.issuperset(text):
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def encode_npy(values: Array) -> bytes:
    """One output as a .npy file."""
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=False)
    return stream.getvalue()


def encode_npz(outputs: Mapping[str, Array]) -> bytes:
    """Named outputs as a .npz archive, not compressed."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **outputs)
    return stream.getvalue()
