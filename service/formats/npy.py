"""NumPy's own formats: a .npy file is the logits, a .npz archive any named inputs. No pickles, ever."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import numpy as np

from service.errors import BodyTooLarge, MalformedBody, NotANumber
from service.formats.datatypes import memory
from service.formats.names import unique

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.arrays import Array
    from service.operations.spec import Operation, Parameter

NPY = "application/x-npy"
NPZ = "application/x-npz"

DIGITS = frozenset("0123456789+-.eE")
"""What a number in a query string is written with."""

LENGTH_BYTES = {b"\x93NUMPY\1\0": 2, b"\x93NUMPY\2\0": 4}
"""Bytes of the header length by format version; the later ones are for field names, which numbers have none of."""

INVALID = "{} is not a valid .npy file of numbers."

LONGEST_HEADER = 10_000
"""Bytes of a header that are read, as many as NumPy does."""

HEADERS = 64
"""Headers that are remembered, with what they say."""

DESCRIPTION = re.compile(r"""['"]descr['"]\s*:\s*['"]([^'"]{1,16})['"]""")
ORDER = re.compile(r"""['"]fortran_order['"]\s*:\s*(True|False)\b""")
SHAPE = re.compile(r"""['"]shape['"]\s*:\s*\(((?:\s*\d{1,19}\s*,)*(?:\s*\d{1,19})?)\s*\)""")
"""What a header says, which is a Python dictionary that is not worth the risk of evaluating."""

NUMBER = re.compile(r"[<>=|]?[fiu][1248]")
"""Datatypes that are numbers here: integers and floats up to 64 bits."""

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How the members of an archive may be packed."""

END = struct.Struct("<4s8xIIH")
"""The end of an archive: its mark, the size and the place of its directory, the length of a comment."""

LONGEST_DIRECTORY = 4096
"""Bytes of the directory of an archive; no operation has inputs for more."""


def decode_npy(body: bytes | bytearray, operation: Operation, query: str) -> dict[str, Any]:
    """The fields of a .npy body, which is the logits, and of the query string. Raises ServiceError."""
    return _with_parameters({"logits": _array("logits", body)}, operation, query)


def decode_npz(body: bytes | bytearray, operation: Operation, query: str, *, max_bytes: int) -> dict[str, Any]:
    """The fields of a .npz body, whose members carry the names of inputs, and of the query string.

    Raises ServiceError; BodyTooLarge before more than max_bytes are unpacked.
    """
    inputs = [each.name for each in operation.inputs]
    _check_directory(body)
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = archive.infolist()
            names = unique((member.filename.removesuffix(".npy") for member in members), inputs)
            if sum(member.file_size for member in members) > max_bytes:
                raise BodyTooLarge(max_bytes)
            tensors = {
                name: _array(name, _unpack(archive, member)) for name, member in zip(names, members, strict=True)
            }
    except (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, EOFError, OSError, OverflowError, struct.error):
        raise MalformedBody("The body is not a valid .npz archive.") from None
    return _with_parameters(tensors, operation, query)


def _check_directory(body: bytes | bytearray) -> None:
    """Raises MalformedBody unless the body is an archive from its first byte to its last, with a short directory."""
    mark, size, place, comment = END.unpack(body[-END.size :]) if len(body) >= END.size else (b"", 0, 0, 0)
    whole = place + size + END.size == len(body) and body[:2] == b"PK" and not comment
    if mark != b"PK\5\6" or size > LONGEST_DIRECTORY or not whole:
        raise MalformedBody("The body is not a valid .npz archive of the inputs, and nothing else.")


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The content of a member, and not a byte more than it is said to have."""
    if member.compress_type not in METHODS:
        raise MalformedBody("The members of the .npz body must be stored or deflated.")
    with archive.open(member) as file:
        return file.read(member.file_size)


def _array(name: str, content: bytes | bytearray) -> Array:
    """The array in a .npy file, a view of it if it is in the byte order of this machine."""
    header, start = _header(name, content)
    dtype, shape, is_fortran = _layout(name, header)
    if len(content) - start != prod(shape) * dtype.itemsize:
        raise MalformedBody(f"{name} does not hold as many bytes as its shape and dtype ask for.")
    try:
        array = np.frombuffer(content, dtype, offset=start).reshape(shape, order="F" if is_fortran else "C")
    except (TypeError, ValueError):
        raise MalformedBody(INVALID.format(name)) from None
    return array.astype(dtype.newbyteorder("="), copy=False)


@lru_cache(maxsize=HEADERS)
def _layout(name: str, header: str) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    """What a header says: the dtype, the shape, and whether the first index varies fastest."""
    found = [pattern.search(header) for pattern in (DESCRIPTION, ORDER, SHAPE)]
    if "descr" in header and (found[0] is None or not NUMBER.fullmatch(found[0][1])):
        raise NotANumber(name)
    texts = [match[1] for match in found if match]
    if len(texts) < len(found) or header.count(":") > len(found):
        raise MalformedBody(INVALID.format(name))
    try:
        dtype = np.dtype(texts[0])
    except TypeError:
        raise MalformedBody(INVALID.format(name)) from None
    return dtype, tuple(int(size) for size in texts[2].split(",") if size.strip()), texts[1] == "True"


def _header(name: str, content: bytes | bytearray) -> tuple[str, int]:
    """The header of a .npy file, and where the numbers start."""
    width = LENGTH_BYTES.get(bytes(content[:8]))
    if width is not None:
        start = 8 + width + int.from_bytes(content[8 : 8 + width], "little")
        header = content[8 + width : start].decode("latin-1").strip() if start <= LONGEST_HEADER else ""
        if start <= len(content) and header[:1] == "{" and header[-1:] == "}":
            return header, start
    raise MalformedBody(INVALID.format(name))


def _with_parameters(tensors: dict[str, Any], operation: Operation, query: str) -> dict[str, Any]:
    """The tensors with the parameters of the query string; the dtype is that of the logits unless it is chosen."""
    front = tensors.get("logits", tensors.get("inputs"))
    narrow = front is not None and front.dtype.kind == "f" and front.dtype.itemsize < np.dtype(np.float64).itemsize
    return {"dtype": "float32" if narrow else "float64", **tensors, **parameters(operation, query)}


@lru_cache(maxsize=HEADERS)
def parameters(operation: Operation, query: str) -> Mapping[str, Any]:
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


def encode_npy(values: Array) -> tuple[bytes, memoryview]:
    """One output as a .npy file: its header, and the memory of its numbers."""
    values = np.asarray(values, order="C")
    return _written(values.dtype.str, values.shape), memory(values)


@lru_cache(maxsize=HEADERS)
def _written(descr: str, shape: tuple[int, ...]) -> bytes:
    """The header of a .npy file."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
    return header.getvalue()


def encode_npz(outputs: Mapping[str, Array]) -> bytes:
    """Named outputs as a .npz archive, not compressed."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **outputs)
    return stream.getvalue()
