"""The error that ends a run or fails a file, as one sentence for the person at the terminal."""

from __future__ import annotations

import os
import re

import pyarrow as pa

from service.errors import ServiceError


class BatchError(Exception):
    """A run, or a file of it, that cannot go on; the message is one sentence that names the mend."""


def sentence(error: BaseException) -> str:
    """Return an error as one sentence of one line, without class names or tracebacks of libraries."""
    if isinstance(error, ServiceError):
        return error.detail
    if isinstance(error, BatchError):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "The file does not exist any more."
    if isinstance(error, OSError) and error.errno:
        return f"{reason(error)}."
    if isinstance(error, pa.ArrowInvalid):
        return f"The file is not a valid Parquet file ({reason(error)})."
    return f"{type(error).__name__}: {reason(error)}."


def reason(error: BaseException) -> str:
    """Return the reason of an error of the system, else the first line of a message, of an AWS error from its code on.

    The line has at most 200 characters, and no full stop at its end.
    """
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return re.sub(r"^.*?(?=AWS Error )", "", lines[0])[:200].rstrip(".")
