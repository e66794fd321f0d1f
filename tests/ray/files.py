"""Parquet files to score, and what plain NumPy says of them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from deploy.ray.job import Job

if TYPE_CHECKING:
    from pathlib import Path

Array = npt.NDArray[Any]

CLASSES, FEATURES = 10, 4


def job(folder: Path, **changes: Any) -> Job:
    """A job from folder/in to folder/out that asks for the usual outputs."""
    usual = Job(folder / "in", folder / "out", ("probabilities", "predictions", "row_losses"), (), {}, {})
    return replace(usual, **changes)


def lists(values: Array) -> pa.Array:
    """(n, K) as a column of lists."""
    return pa.FixedSizeListArray.from_arrays(values.ravel(), values.shape[1])


def write(path: Path, *, row_group_size: int = 1000, **tensors: Any) -> None:
    """A Parquet file with these columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.asarray(values) for name, values in tensors.items()}
    table = pa.table({name: lists(each) if each.ndim == 2 else each for name, each in arrays.items()})
    pq.write_table(table, path, row_group_size=row_group_size, use_dictionary=False)


def logits(seed: int, rows: int) -> Array:
    """(rows, K) of moderate size."""
    return np.random.default_rng(seed).normal(size=(rows, CLASSES))


def labels(seed: int, rows: int) -> Array:
    """(rows,) of which half are class 0, so that the gradients of many rows do not cancel."""
    generator = np.random.default_rng(seed)
    return np.where(generator.random(rows) < 0.5, 0, generator.integers(0, CLASSES, rows))


def inputs(seed: int, rows: int) -> Array:
    """(rows, D) between 0 and 1."""
    return np.random.default_rng(seed).random((rows, FEATURES))


def layer() -> dict[str, Array]:
    """Weights and bias."""
    generator = np.random.default_rng(99)
    return {"weights": generator.normal(size=(CLASSES, FEATURES)), "bias": generator.normal(size=CLASSES)}


def plain(scores: Array, targets: Array) -> tuple[Array, Array]:
    """The losses (n,) and their gradient by the scores (n, K), as anybody would write them."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    normalizer = np.log(np.exp(shifted).sum(axis=1))
    gradient = np.exp(shifted - normalizer[:, None])
    rows = np.arange(len(scores))
    gradient[rows, targets] -= 1.0
    return normalizer - shifted[rows, targets], gradient


def close(actual: Any, expected: Any) -> bool:
    """Equal to 1e-12 of their size?"""
    return bool(np.allclose(actual, expected, rtol=1e-12, atol=0.0))


def added(values: list[Array]) -> Array:
    """Their sum, rounded once."""
    columns = np.stack(values).reshape(len(values), -1).T.tolist()
    return np.array([math.fsum(column) for column in columns]).reshape(values[0].shape)
