"""Receipts: which files are finished, and the sums that each adds to the whole.

A chunk of files is finished by one small Parquet file below `_receipts/<digest of the job>/`, written after the outputs. It has
a row for each file: the version of the source that was scored, the size of the output, and the sums. An output is finished
while its source has that version and its own size is that size, so outputs that were cut short or removed are written again.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deploy.batch.columns import flat
from deploy.batch.exact import ExactSum

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from deploy.batch.job import Job
    from deploy.batch.storage import Entry
    from service.arrays import Array

FOLDER = "_receipts"

FIELDS = [pa.field("name", pa.string()), pa.field("version", pa.string()), pa.field("size", pa.int64())]
"""Columns beside the sums."""


class Receipt(NamedTuple):
    """A finished file.

    version: of the source, as `fingerprint` gives it. size: of the output, in bytes. sums: by name, float64 of any shape.
    """

    name: str
    version: str
    size: int
    sums: Mapping[str, Array]


def fingerprint(entry: Entry) -> str | None:
    """Return a text that changes when the file does; None if the filesystem does not tell."""
    return None if entry.version is None else f"{entry.size} {entry.version}"


def folder(job: Job) -> str:
    """Return the folder of a job's receipts, relative to the destination."""
    return f"{FOLDER}/{job.digest}"


def write(job: Job, receipts: Iterable[Receipt]) -> None:
    """Write the receipts of some files as one file."""
    receipts = list(receipts)
    sums = sorted({name for receipt in receipts for name in receipt.sums})
    schema = pa.schema([*FIELDS, *(pa.field(name, pa.list_(pa.float64())) for name in sums)])
    rows = [
        receipt._asdict() | {name: np.ravel(values) for name, values in receipt.sums.items()} for receipt in receipts
    ]
    digest = hashlib.sha256("\n".join(f"{each.name} {each.version}" for each in receipts).encode()).hexdigest()
    with job.destination.write(f"{folder(job)}/{digest[:32]}.parquet") as file:
        pq.write_table(pa.Table.from_pylist(rows, schema), file, use_dictionary=False)


def finished(job: Job, names: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Return the version and the output size of every file with a receipt in these files, by name."""
    found = {}
    for name in names:
        try:
            with job.destination.open(name) as file:
                rows = _read(file, ["name", "version", "size"]).to_pylist()
        except pa.ArrowInvalid:
            continue  # cut short by a power failure: its files are scored again
        found.update({row["name"]: (row["version"], row["size"]) for row in rows})
    return found


def total(job: Job, names: Iterable[str], wanted: Mapping[str, str]) -> tuple[dict[str, Array], list[str]]:
    """Return the exact sums over the wanted files, by the name of the sum, and the receipts that no wanted file needs.

    names: the files with receipts. wanted: versions by file name. A file that has several receipts counts once.
    """
    sums: dict[str, ExactSum] = {}
    missing = dict(wanted)
    superfluous = []
    for name in sorted(names):
        with job.destination.open(name) as file:
            table = _read(file)
        rows = list(zip(table["name"].to_pylist(), table["version"].to_pylist(), strict=True))
        chosen = [index for index, (each, version) in enumerate(rows) if missing.get(each) == version]
        for index in chosen:
            del missing[rows[index][0]]
        if not chosen:
            superfluous.append(name)
            continue
        for each in table.column_names[len(FIELDS) :]:
            terms = _terms(table[each] if len(chosen) == len(rows) else table[each].take(chosen))
            if len(terms):
                sums.setdefault(each, ExactSum()).add_all(terms)
    return {each: shaped(job, each, exact.total()) for each, exact in sums.items()}, superfluous


def _read(file: pa.NativeFile, columns: list[str] | None = None) -> pa.Table:
    """Return a table. `pyarrow.parquet.read_table` would first import what it needs for folders, for 0.1 s."""
    with pq.ParquetFile(file) as parquet:
        return parquet.read(columns)


def _terms(column: pa.ChunkedArray) -> Array:
    """Return the lists of a column as (n, m), without the files that have no such sum."""
    lists = (column.drop_null() if column.null_count else column).combine_chunks()
    return flat(lists).to_numpy(zero_copy_only=False).reshape(len(lists), -1)


def shaped(job: Job, name: str, values: Array) -> Array:
    """Return a flat sum in its own shape: that of the tensor for a gradient, else a number or a list of bins."""
    tensor = name.removesuffix("_gradient")
    if tensor != name:
        return values.reshape(job.tensors[tensor].shape)
    return values.reshape(()) if values.size == 1 else values


def stale(names: Collection[str], job: Job) -> set[str]:
    """Return the receipts of other jobs."""
    return {name for name in names if not name.startswith(f"{folder(job)}/")}
