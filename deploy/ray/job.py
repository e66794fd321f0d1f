"""What is asked of a folder of files, and how a file is known to be finished."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from service import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from service.arrays import Array

UNFINISHED = ".unfinished"
"""How the name of a file ends that is still being written."""


@dataclass(frozen=True)
class Job:
    """What is asked of every file.

    source, destination: folders; a file keeps its name below them. What is no output is named with an underscore, which
        readers of a folder of Parquet files pass over.
    parameters: of the operation, by name. tensors: inputs that hold for every row: weights, bias, class_weights.
    outputs: names of outputs to write by the row; keep: columns of the source to write beside them.
    """

    source: Path
    destination: Path
    outputs: tuple[str, ...]
    keep: tuple[str, ...]
    parameters: Mapping[str, Any]
    tensors: Mapping[str, Array]

    def names(self) -> list[str]:
        """The Parquet files below the source, in order."""
        paths = (path.relative_to(self.source) for path in self.source.rglob("*.parquet"))
        return sorted(str(path) for path in paths if not any(part[0] in "._" for part in path.parts))

    @cached_property
    def digest(self) -> str:
        """Tells jobs apart that give other answers."""
        asked = [__version__, dict(self.parameters), self.outputs, self.keep]
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
        for name, values in sorted(self.tensors.items()):
            digest.update(f"{name} {values.dtype} {values.shape}".encode())
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()

    def fingerprint(self, name: str) -> str:
        """Tells whether a file is as it was, and was asked the same."""
        about = (self.source / name).stat()
        return f"{self.digest} {about.st_size} {about.st_mtime_ns}"

    def receipt(self, name: str) -> Path:
        """Where the sums of a file are; they are written last, so that the file is finished when they are there."""
        return self.destination / "_sums" / f"{name}.npz"

    def finished(self, name: str) -> bool:
        """Was this file, as it is now, asked the same before?"""
        try:
            with np.load(self.receipt(name)) as receipt:
                return str(receipt["fingerprint"]) == self.fingerprint(name)
        except FileNotFoundError:
            return False

    def forget(self, name: str) -> None:
        """Removes what there is of a file, so that nothing is left of it as it was, should it not be scored again."""
        self.receipt(name).unlink(missing_ok=True)
        (self.destination / name).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Removes what was being written when a worker died. Nothing may be at work on this job."""
        for left in self.destination.rglob(f".*{UNFINISHED}"):
            left.unlink()


@contextmanager
def committed(path: Path) -> Iterator[Path]:
    """A path to write to that becomes `path` when the block ends well: whoever finds a file there finds all of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}{UNFINISHED}")
    try:
        yield unfinished
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
