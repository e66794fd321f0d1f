"""The request that every file of a source answers."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from service import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.batch.storage import Entry, Folder
    from service.arrays import Array

HIDDEN = "with a name or folder that starts with . or _"
OTHER = "without the ending .parquet"


@dataclass(frozen=True)
class Job:
    """One request for all files, sent to every worker.

    source, destination: folders. A file keeps its name. Files of the batch command itself start with an underscore,
        which readers of a folder of Parquet files pass over.
    parameters: of the operation, by name. tensors: inputs shared by all rows: weights, bias, class_weights, mask.
    outputs: names of outputs to write by the row. keep: columns of the source to write beside them.
    measures: names of `measures.MEASURES` for the summary. calibrate: whether to fit the temperature to all files first.
    """

    source: Folder
    destination: Folder
    outputs: tuple[str, ...]
    keep: tuple[str, ...]
    parameters: Mapping[str, Any]
    tensors: Mapping[str, Array]
    measures: tuple[str, ...] = ()
    calibrate: bool = False

    @cached_property
    def digest(self) -> str:
        """A hash of everything that decides on the answers, except the files."""
        request = [__version__, dict(self.parameters), self.outputs, self.keep, self.measures]
        digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode())
        for name, values in sorted(self.tensors.items()):
            digest.update(f"{name} {values.dtype} {values.shape}".encode())
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()

    def files(self) -> tuple[dict[str, Entry], Counter[str]]:
        """Return the Parquet files of the source by name, and how many files were skipped for which reason."""
        files, skipped = {}, Counter[str]()
        for entry in self.source.entries():
            if is_hidden(entry.name):
                skipped[HIDDEN] += 1
            elif not is_parquet(entry.name):
                skipped[OTHER] += 1
            else:
                files[entry.name] = entry
        return files, skipped


def is_hidden(name: str) -> bool:
    """Return whether readers of a folder of Parquet files pass over a file."""
    return any(part[0] in "._" for part in PurePosixPath(name).parts)


def is_parquet(name: str) -> bool:
    """Return whether a name ends in .parquet, in any case."""
    return name.lower().endswith(".parquet")


def partition(name: str) -> dict[str, str]:
    """Return the columns that the folders of a name stand for: {"day": "3"} of day=3/part-0.parquet."""
    parts = (part.partition("=") for part in PurePosixPath(name).parts[:-1])
    return {key: value for key, separator, value in parts if separator}
