"""Parquet files to score, their scores by plain NumPy, and runs of the batch command."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from deploy.batch.job import Job
from deploy.batch.run import Result, run
from deploy.batch.storage import Folder

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.batch.claim import Claim
    from deploy.batch.executor import Chunk, Work

Array = npt.NDArray[Any]

CLASSES, FEATURES = 10, 4


def job(folder: Path, **changes: Any) -> Job:
    """Return a job from folder/in to folder/out for the usual outputs."""
    usual = Job(
        Folder(f"{folder}/in"), Folder(f"{folder}/out"), ("probabilities", "predictions", "row_losses"), (), {}, {}
    )
    return replace(usual, **changes)


class Here:
    """An executor that runs each chunk in this process."""

    cores = capacity = 1

    def __init__(self) -> None:
        self.chunks: list[tuple[Any, ...]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def start(self, work: Work, job: Job, claim: Claim) -> None:
        """Set the work."""
        self.work = partial(work, job, claim)

    def submit(self, chunk: Chunk, *arguments: Any) -> None:
        """Keep a chunk until it is collected."""
        self.chunks.append((chunk, *arguments))

    def collect(self) -> tuple[Chunk, Any]:
        """Do the work of the oldest chunk."""
        chunk, *arguments = self.chunks.pop(0)
        return chunk, self.work(chunk, *arguments)


def scored(job: Job) -> dict[str, str]:
    """Run a job in this process. Return the sentences of the files that failed, by name."""
    result = Result()
    run(job, Here(), result)
    return result.failures


def summary(job: Job) -> dict[str, Any]:
    """Return the summary of the last run."""
    found: dict[str, Any] = json.loads(job.destination.read("_summary.json"))
    return found


def read(job: Job, name: str) -> dict[str, Array]:
    """Return the outputs of a file by name."""
    with job.destination.open(name) as file:
        table = pq.read_table(file)
    return {column: np.array(table[column].to_pylist()) for column in table.column_names}


def visible(folder: Path) -> set[str]:
    """Return the names of the files of a folder that are not receipts."""
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith("_receipts/")}


def command(*words: object) -> list[str]:
    """Return the command line of a run."""
    return [sys.executable, "-m", "deploy.batch", *map(str, words)]


def ended(*words: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, with more variables."""
    environment = {**os.environ, **variables}
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=120, check=False, env=environment)


def lists(values: Array) -> pa.Array:
    """Return (n, K) as a column of lists."""
    return pa.FixedSizeListArray.from_arrays(values.ravel(), values.shape[1])


def write(path: Path, *, row_group_size: int = 1000, **tensors: Any) -> None:
    """Write a Parquet file with these columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.asarray(values) for name, values in tensors.items()}
    table = pa.table({name: lists(each) if each.ndim == 2 else each for name, each in arrays.items()})
    pq.write_table(table, path, row_group_size=row_group_size, use_dictionary=False)


def logits(seed: int, rows: int) -> Array:
    """Return (rows, K) of moderate size."""
    return np.random.default_rng(seed).normal(size=(rows, CLASSES))


def labels(seed: int, rows: int) -> Array:
    """Return (rows,) of which half are class 0, so that the gradients of many rows do not cancel."""
    generator = np.random.default_rng(seed)
    return np.where(generator.random(rows) < 0.5, 0, generator.integers(0, CLASSES, rows))


def inputs(seed: int, rows: int) -> Array:
    """Return (rows, D) between 0 and 1."""
    return np.random.default_rng(seed).random((rows, FEATURES))


def layer() -> dict[str, Array]:
    """Return weights and bias."""
    generator = np.random.default_rng(99)
    return {"weights": generator.normal(size=(CLASSES, FEATURES)), "bias": generator.normal(size=CLASSES)}


def plain(scores: Array, targets: Array) -> tuple[Array, Array]:
    """Return the losses (n,) and their gradient with respect to the scores (n, K), in the textbook way."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    normalizer = np.log(np.exp(shifted).sum(axis=1))
    gradient = np.exp(shifted - normalizer[:, None])
    rows = np.arange(len(scores))
    gradient[rows, targets] -= 1.0
    return normalizer - shifted[rows, targets], gradient


def close(actual: Any, expected: Any) -> bool:
    """Return whether two arrays agree to 1e-12 of their size."""
    return bool(np.allclose(actual, expected, rtol=1e-12, atol=0.0))


def added(values: list[Array]) -> Array:
    """Return the sum of some arrays, rounded once."""
    columns = np.stack(values).reshape(len(values), -1).T.tolist()
    return np.array([math.fsum(column) for column in columns]).reshape(values[0].shape)
