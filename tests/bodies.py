"""Request bodies in every format, plain and compressed."""

from __future__ import annotations

import gzip
import io
import json
import sys
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.format import write_array

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Array = npt.NDArray[Any]

JSON = {"Content-Type": "application/json"}
"""Headers of a JSON body."""

BODY = b'{"logits": [0, 0]}'
"""A short request."""

INFERENCE_HEADER = "Inference-Header-Content-Length"


def body_of(length: int) -> bytes:
    """Return a request of some bytes, which hold as many numbers of 20 characters as fit."""
    return (b'{"logits": [%b0]}' % (b"0.12345678901234567," * ((length - 14) // 20))).ljust(length)


def npy(values: Array, version: tuple[int, int] | None = None) -> bytes:
    """Return an array as a .npy file, by default of the oldest format version that can hold it."""
    stream = io.BytesIO()
    write_array(stream, values, version, allow_pickle=False)
    return stream.getvalue()


def npz(*, compressed: bool = False, **arrays: Array) -> bytes:
    """Return named arrays as a .npz archive."""
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **arrays)  # type: ignore[arg-type] # a name is no flag
    return stream.getvalue()


def compress(content: bytes, encoding: str, level: int = 6) -> bytes:
    """Return a body in a content encoding: gzip, x-gzip, deflate, zstd, or raw deflate without the zlib header."""
    if encoding == "zstd":
        parameters = zstd.CompressionParameter
        options: dict[int, int] = {parameters.compression_level: level or 1, parameters.checksum_flag: 1}
        return bytes(zstd.compress(content, options=options))
    if encoding == "raw deflate":
        compressor = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)
        return compressor.compress(content) + compressor.flush()
    return zlib.compress(content, level) if encoding == "deflate" else gzip.compress(content, level)


def infer(*inputs: dict[str, Any], **members: Any) -> bytes:
    """Return the JSON of an Open Inference request."""
    return json.dumps({"inputs": inputs, **members}).encode()


def heading(name: str, values: Array, datatype: str = "FP64") -> dict[str, Any]:
    """Return an Open Inference input without its data."""
    return {"name": name, "shape": list(values.shape), "datatype": datatype}


def listed(name: str, values: Array, datatype: str = "FP64") -> dict[str, Any]:
    """Return an Open Inference input whose data is a flat list."""
    return heading(name, values, datatype) | {"data": values.reshape(-1).tolist()}


def raw(name: str, values: Array, datatype: str = "FP64") -> dict[str, Any]:
    """Return an Open Inference input whose data is behind the JSON."""
    return heading(name, values, datatype) | {"parameters": {"binary_data_size": values.nbytes}}
