"""Fit one temperature to all files: Newton's iteration of the service, over sums of the files."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from deploy.batch.errors import BatchError
from deploy.batch.scoring import CALIBRATE, LOSS, batches, compute, file_request, row_blocks
from service.compute.calibration import Distances, minimum
from service.compute.scaled import Scaled
from service.operations.prepare import prepare
from service.schemas.requests import request_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from deploy.batch.claim import Claim
    from deploy.batch.executor import Chunk
    from deploy.batch.job import Job
    from deploy.batch.storage import Entry
    from service.arrays import Array

NO_ROWS = Distances(*[Scaled(0.0, 0)] * 3)
"""The distances of a file without rows."""


@dataclass(frozen=True)
class Fit:
    """The fitted temperature. at_bound: it is an end of the range of temperatures. files: how many it is made of."""

    temperature: float
    at_bound: bool
    files: int


def fit(distances: Callable[[list[Entry], float], dict[str, Distances]], files: list[Entry]) -> Fit:
    """Return the temperature of the least loss of all files together.

    distances: returns the distances at a temperature of each file that can be read. The other files have no part.

    Raises BatchError if none can be read.
    """
    readable = distances(files, 1.0).keys()
    good = [entry for entry in files if entry.name in readable]
    if not good:
        raise BatchError("No file can be calibrated: each needs targets; run without --calibrate to see what is wrong.")

    def total(temperature: float) -> Distances:
        found = distances(good, temperature)
        lost = sorted({entry.name for entry in good} - found.keys())
        if lost:
            raise BatchError(f"{lost[0]} could be read first and cannot any more; run the command again.")
        return Distances.total(found[name] for name in sorted(found))

    with np.errstate(all="ignore"):
        best = minimum(total)
    return Fit(best.temperature, best.at_bound, len(good))


def chunk_distances(job: Job, _claim: Claim, chunk: Chunk, temperature: float) -> dict[str, Distances]:
    """Return the distances of each file of a chunk that can be read."""
    found = {}
    for entry in chunk:
        # whatever is wrong with one file, the others go on; scoring tells what it is
        with suppress(Exception):
            found[entry.name] = _distances(job, entry, temperature)
    return found


def _distances(job: Job, entry: Entry, temperature: float) -> Distances:
    """Return the distances of one file. The rows are checked as those of a request are."""
    parts = [NO_ROWS]
    with job.source.open(entry.name) as stored, pq.ParquetFile(stored, pre_buffer=False) as file:
        request = file_request(job, entry.name, file.schema_arrow)
        if "targets" not in request.names:
            raise BatchError("The file has no column targets, which --calibrate needs.")
        for first, batch in batches(job, request, file):
            for _, rows in row_blocks(job, request, batch, first):
                parts.append(_of_rows(job, rows, temperature))
    return Distances.total(parts)


def _of_rows(job: Job, rows: Mapping[str, Array], temperature: float) -> Distances:
    known = {*CALIBRATE.names} - {"bins"}
    fields: dict[str, Any] = {
        name: value for name, value in {**job.parameters, **job.tensors, **rows}.items() if name in known
    }
    if temperature == 1.0:
        # the first temperature: check the values
        compute(LOSS, fields, ["loss"])
    arguments = request_model(CALIBRATE).read(fields).arguments
    with np.errstate(all="ignore"):
        return prepare(arguments).distances(temperature)
