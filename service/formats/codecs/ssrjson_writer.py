"""Write arrays with ssrjson, straight from their memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import ssrjson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.arrays import Array

# once for the whole process: until then it does not write arrays
ssrjson.setup_numpy_types(np)


def write(values: Array | Mapping[str, Array]) -> bytes:
    """Return the JSON text of an array, or of an object of named arrays; non-finite numbers are strings."""
    try:
        text = ssrjson.dumps_to_bytes(values)
    except ssrjson.JSONEncodeError:
        # an array that is not C-contiguous, or of rank 0
        if isinstance(values, np.ndarray):
            text = ssrjson.dumps_to_bytes(_writable(values))
        else:
            text = ssrjson.dumps_to_bytes({name: _writable(each) for name, each in values.items()})
    # neither a finite number nor the name of an output has a capital letter; with `in` it would take longer
    return _quoted(text) if text.find(b"N") != -1 or text.find(b"I") != -1 else text


def _writable(values: Array) -> Any:
    """Return the array as ssrjson takes it: C-contiguous, and of rank 0 a number."""
    return np.asarray(values, order="C") if values.ndim else values[()]


def _quoted(text: bytes) -> bytes:
    """Put quotes around NaN, Infinity and -Infinity."""
    return text.replace(b"NaN", b'"NaN"').replace(b"Infinity", b'"Infinity"').replace(b'-"', b'"-')
