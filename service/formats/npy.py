"""Decode and encode the formats of NumPy: a .npy file of logits, a .npz archive of named inputs. No pickles."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from service.errors import BodyTooLarge, MalformedBody, MissingField, NotANumber, ShapeMismatch, UnknownField
from service.formats.datatypes import memory
from service.formats.query import parameters
from service.operations.names import check_names
from service.operations.spec import MAX_RANK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.arrays import Array, Shape
    from service.formats import Piece
    from service.operations.spec import Operation

NPY = "application/x-npy"
NPZ = "application/x-npz"

NPY_MARK = b"\x93NUMPY"

LENGTH_BYTES = {NPY_MARK + b"\1\0": 2, NPY_MARK + b"\2\0": 4, NPY_MARK + b"\3\0": 4}
"""Bytes of the header length by format version."""

MAX_HEADER_BYTES = 10_000
"""Longest header, in bytes; the limit of NumPy."""

CACHE_SIZE = 64
"""Headers that are remembered, with their layout."""

DESCRIPTION = re.compile(r"""['"]descr['"]\s*:\s*['"]([^'"]{1,16})['"]""")
ORDER = re.compile(r"""['"]fortran_order['"]\s*:\s*(True|False)\b""")
SHAPE = re.compile(r"""['"]shape['"]\s*:\s*\(((?:\s*\d{1,19}L?\s*,)*(?:\s*\d{1,19}L?)?)\s*\)""")
"""The parts of a header, a Python dictionary that is not evaluated. Python 2 wrote long integers with an L."""

NUMBER = re.compile(r"[<>=|]?([fiu][1248]|b1)")
"""Datatypes that are numbers: integers and floats of up to 64 bits, and booleans for a mask."""

NAMED_DTYPE = re.compile(r"[<>=|]?[A-Za-z]\d{0,4}")
"""Datatypes that an error repeats."""

OTHER_FORMATS = (
    (NPY_MARK, "a .npy file", f"set Content-Type to {NPY}"),
    (b"PK", "a .npz archive", f"set Content-Type to {NPZ}"),
    (b"\x1f\x8b", "gzip", "name the compression in Content-Encoding"),
    ((b"{", b"["), "JSON", "set Content-Type to application/json"),
)
"""The first bytes of other formats, their names, and what to do about them."""

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Compression methods of the members of an archive."""

END = struct.Struct("<4s8xIIH")
"""The end of an archive: its mark, the size and the offset of its directory, the length of the comment behind."""

END_MARK = b"PK\5\6"

DATE = (1980, 1, 1, 0, 0, 0)
"""Date of the members of an archive, the earliest that there is: equal outputs are equal bytes."""

MAX_DIRECTORY_BYTES = 4096
"""Longest directory of an archive, in bytes; no operation has inputs for a longer one."""


def decode_npy(body: bytes | bytearray, operation: Operation, query: str) -> dict[str, Any]:
    """Return the fields of a .npy body, which is the logits, and of the query string. Raises ServiceError."""
    if len(operation.alternatives) > 1:
        others = operation.alternatives[1]
        detail = f"A .npy body is logits alone; send a .npz archive of logits and {' or '.join(others)}."
        raise MissingField(detail, ((others[0],), "is missing"))
    return _with_parameters({"logits": _array("logits", body)}, operation, query)


def decode_npz(body: bytes | bytearray, operation: Operation, query: str, *, max_bytes: int) -> dict[str, Any]:
    """Return the fields of a .npz body, whose members have the names of inputs, and of the query string.

    Raises ServiceError; BodyTooLarge before more than max_bytes are unpacked.
    """
    _check_directory(body)
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = archive.infolist()
            names = [member.filename.removesuffix(".npy") for member in members]
            _check_members(names, operation)
            if sum(member.file_size for member in members) > max_bytes:
                raise BodyTooLarge(max_bytes)
            tensors = {
                name: _array(name, _unpack(archive, member)) for name, member in zip(names, members, strict=True)
            }
    except (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, EOFError, OSError, OverflowError, struct.error):
        raise MalformedBody("The body is not a valid .npz archive.") from None
    return _with_parameters(tensors, operation, query)


def _check_members(names: Sequence[str], operation: Operation) -> None:
    """Raise UnknownField and DuplicateField for members that are not inputs, each once."""
    for name in names:
        if name in operation.names and name not in operation.domains:
            hint = "an archive holds inputs; send parameters in the query string."
            raise UnknownField(name, hint, "input")
    check_names(names, operation.input_names, "input")


def _check_directory(body: bytes | bytearray) -> None:
    """Raise MalformedBody unless the body is an archive from its first byte to its last, with a short directory."""
    start = body.rfind(END_MARK)
    if start != -1 and start + END.size <= len(body) and body[:2] == b"PK":
        _, size, place, comment = END.unpack_from(body, start)
        if place + size == start and start + END.size + comment == len(body) and size <= MAX_DIRECTORY_BYTES:
            return
    raise MalformedBody(_recognised("The body", ".npz archive", body))


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return the content of a member, at most as many bytes as the directory says."""
    if member.compress_type not in METHODS:
        raise MalformedBody("The members of the .npz body must be stored or deflated.")
    with archive.open(member) as file:
        return file.read(member.file_size)


def _array(name: str, content: bytes | bytearray) -> Array:
    """Return the array in a .npy file, a view of it if it is in the byte order of this machine."""
    header, start = _header(name, content)
    dtype, shape, is_fortran = _layout(name, header)
    if len(content) - start != prod(shape) * dtype.itemsize:
        raise MalformedBody(
            f"{name} has {len(content) - start} bytes of numbers, and its shape and dtype ask for "
            f"{prod(shape) * dtype.itemsize}; send the whole file and nothing else.",
            ((name,), "has the wrong size"),
        )
    try:
        array = np.frombuffer(content, dtype, offset=start).reshape(shape, order="F" if is_fortran else "C")
    except (TypeError, ValueError):
        raise _invalid(name) from None
    return array.view(np.uint8) if dtype.kind == "b" else array.astype(dtype.newbyteorder("="), copy=False)


@lru_cache(maxsize=CACHE_SIZE)
def _layout(name: str, header: str) -> tuple[np.dtype[Any], Shape, bool]:
    """Return what a header says: the dtype, the shape, and whether the first index varies fastest."""
    found = [pattern.search(header) for pattern in (DESCRIPTION, ORDER, SHAPE)]
    if "descr" in header and (found[0] is None or not NUMBER.fullmatch(found[0][1])):
        dtype = found[0][1] if found[0] else ""
        hint = ", as NumPy writes bfloat16 (send float32)" if dtype.endswith("V2") else ""
        raise NotANumber(name, ((name,), _described(dtype)), hint=hint)
    texts = [match[1] for match in found if match]
    if len(texts) < len(found) or header.count(":") > len(found):
        raise _invalid(name)
    try:
        dtype = np.dtype(texts[0])
    except TypeError:
        raise _invalid(name) from None
    if dtype.kind == "b" and name != "mask":
        raise NotANumber(name, ((name,), "holds booleans"))
    shape = tuple(int(size) for size in texts[2].replace("L", "").split(",") if size.strip())
    if len(shape) > MAX_RANK:
        raise ShapeMismatch(f"{name} has more than {MAX_RANK} axes; merge some.", ((name,), "has too many axes"))
    return dtype, shape, texts[1] == "True"


def _invalid(name: str) -> MalformedBody:
    """Return the error for a .npy file that no sentence describes better."""
    return MalformedBody(f"{name} is not a valid .npy file of numbers.", ((name,), "is not a .npy file"))


def _described(dtype: str) -> str:
    """Return what is wrong with a dtype that is not one of numbers."""
    return f"has the dtype {dtype}" if NAMED_DTYPE.fullmatch(dtype) else "has a dtype that is not numeric"


def _header(name: str, content: bytes | bytearray) -> tuple[str, int]:
    """Return the header of a .npy file, and where the numbers start."""
    width = LENGTH_BYTES.get(bytes(content[:8]))
    if width is not None:
        start = 8 + width + int.from_bytes(content[8 : 8 + width], "little")
        header = content[8 + width : start].decode("latin-1").strip() if start <= MAX_HEADER_BYTES else ""
        if start <= len(content) and header[:1] == "{" and header[-1:] == "}":
            return header, start
    raise MalformedBody(_recognised(name, ".npy file of numbers", content), ((name,), "is not a .npy file"))


def _recognised(subject: str, wanted: str, content: bytes | bytearray) -> str:
    """Return the sentence about content that is not a file of the wanted format."""
    detail = f"{subject} is not a valid {wanted}"
    for mark, format_, mend in OTHER_FORMATS:
        if content.startswith(mark) and not wanted.startswith(format_.removeprefix("a ")):
            return f"{detail}, but looks like {format_}; {mend}."
    return f"{detail}; send the whole file and nothing else." if content else f"{detail}, but empty; send the file."


def _with_parameters(tensors: dict[str, Any], operation: Operation, query: str) -> dict[str, Any]:
    """Return the tensors and the parameters of the query string; the dtype is that of the logits unless it is given."""
    front = tensors.get("logits", tensors.get("inputs"))
    narrow = front is not None and front.dtype.kind == "f" and front.dtype.itemsize < np.dtype(np.float64).itemsize
    return {"dtype": "float32" if narrow else "float64", **tensors, **parameters(operation, query)}


def encode_npy(values: Array) -> tuple[bytes, memoryview]:
    """Return one output as a .npy file: its header, and the memory of its numbers."""
    return _header_of(values.dtype.str, values.shape), memory(values)


@lru_cache(maxsize=CACHE_SIZE)
def _header_of(descr: str, shape: tuple[int, ...]) -> bytes:
    """Return the header of a .npy file."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
    return header.getvalue()


def encode_npz(outputs: Mapping[str, Array]) -> list[Piece]:
    """Return named outputs as a .npz archive, not compressed, in pieces that share the memory of the outputs."""
    pieces = _Pieces()
    with zipfile.ZipFile(pieces, "w") as archive:
        for name, values in outputs.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy", DATE), "w") as member:
                for piece in encode_npy(values):
                    member.write(piece)
    return pieces.content


class _Pieces:
    """Stream that keeps what is written, without a copy."""

    def __init__(self) -> None:
        self.content: list[Piece] = []

    def write(self, piece: Piece) -> int:
        """Keep a piece."""
        self.content.append(piece)
        return len(piece)

    def flush(self) -> None:
        """No effect: `write` keeps every piece."""

    def close(self) -> None:
        """No effect: the pieces stay available."""
