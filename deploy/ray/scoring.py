"""One Parquet file of logits and targets: its outputs row by row, and the sums that it adds to the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deploy.ray import columns
from deploy.ray.exact import ExactSum
from deploy.ray.job import committed
from service.compute.blocks import PARALLEL_ELEMENTS
from service.errors import MissingField, ServiceError
from service.operations import OPERATIONS, execute
from service.operations.validation import unavailable_reason
from service.schemas.requests import request_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.ray.job import Job
    from service.arrays import Array

SOFTMAX, _, GRADIENT = OPERATIONS

SOFTMAX_MESSAGE, GRADIENT_MESSAGE = request_model(SOFTMAX), request_model(GRADIENT)

ROW_OUTPUTS = tuple(output.name for output in GRADIENT.outputs if all(axes[:1] == ("...",) for axes in output.axes))
"""Outputs with an entry for each row, which can be written beside it."""

TOTALS = ("loss", "denominator", "weights_gradient", "bias_gradient")
"""Outputs that add up over rows, as long as no mean divides them."""

GROUP_ELEMENTS = 2**21
"""Numbers that are read, scored and written as one row group: 16 MB of float64."""

BLOCK_ELEMENTS = PARALLEL_ELEMENTS - 1
"""Numbers that are scored at once: too few to be shared out to threads, for a file has one core."""


class Question(NamedTuple):
    """How the rows of a file are asked: the columns that are tensors, and the dtype of the floats that are written."""

    names: tuple[str, ...]
    dtype: str


def attempt(job: Job, name: str) -> str | None:
    """Scores a file. None, or in a sentence why that cannot be done."""
    try:
        score(job, name)
    except ServiceError as error:
        return error.detail
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one file, the others go on
        return f"{type(error).__name__}: {error}"
    return None


def score(job: Job, name: str) -> None:
    """Writes the outputs of a file and then its receipt: fingerprint, rows, and the sums of `answer`.

    Raises ServiceError for rows that the service refuses, and what pyarrow raises for what is no Parquet file.
    """
    fingerprint = job.fingerprint(name)
    sums: dict[str, ExactSum] = {}
    rows = 0
    # pyarrow would keep all of a file that it reads ahead
    with pq.ParquetFile(job.source / name, pre_buffer=False) as file, committed(job.destination / name) as path:
        question = ask(job, file.schema_arrow)
        group = max(1, GROUP_ELEMENTS // columns.widest(file, question.names))
        batches = file.iter_batches(group, columns=[*question.names, *job.keep], use_threads=False)
        repeating = list(job.keep)  # what is computed hardly ever does
        with pq.ParquetWriter(path, schema(job, file.schema_arrow, question), use_dictionary=repeating) as writer:
            for batch in batches:
                kept = [batch.column(each) for each in job.keep]
                scored = score_rows(job, question, batch, rows, sums)
                writer.write_table(pa.table([*kept, *scored], writer.schema))
                rows += len(batch)
    totals = {each: total.total() for each, total in sums.items()}
    with committed(job.receipt(name)) as path, path.open("wb") as receipt:
        np.savez(receipt, allow_pickle=False, fingerprint=np.array(fingerprint), rows=np.array(rows), **totals)


def ask(job: Job, present: pa.Schema) -> Question:
    """What can be asked of a file with these columns. Raises MissingField where one is not there."""
    front = "inputs" if "weights" in job.tensors else "logits"
    for name in (front, *job.keep):
        if name not in present.names:
            raise MissingField(f"The file has no column {name}.")
    for name in job.outputs:
        if name not in SOFTMAX.named_outputs and "targets" not in present.names:
            raise MissingField(f"The file has no column targets, which {name} needs.")
    names = tuple(name for name in (front, "targets", "sample_weights") if name in present.names)
    return Question(names, "float32" if columns.narrow(present.field(front).type) else "float64")


def schema(job: Job, present: pa.Schema, question: Question) -> pa.Schema:
    """The columns that are written."""
    kept = [present.field(name) for name in job.keep]
    return pa.schema([*kept, *(columns.field(GRADIENT.named_outputs[name], question.dtype) for name in job.outputs)])


def score_rows(
    job: Job, question: Question, batch: pa.RecordBatch, first: int, sums: dict[str, ExactSum]
) -> list[pa.Array]:
    """The outputs of some rows as columns; what the rows add to the whole is added to sums.

    first: the number of the first row in its file. Raises ServiceError.
    """
    tensors = {name: columns.tensor(name, batch.column(name)) for name in question.names}
    width = max([1, len(job.tensors.get("weights", ())), *(each.size // len(each) for each in tensors.values())])
    length = max(1, BLOCK_ELEMENTS // width)
    pieces: list[dict[str, Array]] = []
    for start in range(0, len(batch), length):
        rows = {name: values[start : start + length] for name, values in tensors.items()}
        try:
            outputs, totals = answer(job, rows)
        except ServiceError as error:
            raise ServiceError(f"Counting from row {first + start}: {error.detail}") from error
        pieces.append(outputs)
        for name, values in totals.items():
            sums.setdefault(name, ExactSum()).add(values)
    scored = (np.concatenate([piece[name] for piece in pieces]) for name in job.outputs)
    return [
        columns.column(each if each.dtype.kind == "i" else each.astype(question.dtype, copy=False)) for each in scored
    ]


def answer(job: Job, rows: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """The outputs of some rows, and what they add to the whole.

    That is nothing without targets; else `TOTALS`, those of them that can be had, how many rows are counted, and how many
    of these are predicted right. Raises ServiceError.
    """
    fields = {**job.parameters, **job.tensors, **rows, "outputs": list(job.outputs)}
    if "targets" not in rows:
        message = SOFTMAX_MESSAGE.read(fields)
        return execute(SOFTMAX, message.fields, job.outputs), {}
    message = GRADIENT_MESSAGE.read({**fields, "reduction": "sum"})
    totals = [
        name for name in TOTALS if unavailable_reason(GRADIENT.named_outputs[name], dict(message.signature)) is None
    ]
    answered = execute(GRADIENT, message.fields, [*job.outputs, *totals, "accuracy"])
    counted = np.array(counted_rows(rows["targets"], message.fields["ignore_index"]), np.float64)
    added = {name: answered[name] for name in totals}
    added |= {"counted": counted, "hits": np.rint(answered["accuracy"] * counted)}
    return {name: answered[name] for name in job.outputs}, added


def counted_rows(targets: Array, ignore_index: int | None) -> int:
    """How many rows of targets, labels (n,) or probabilities (n, K), are counted."""
    if ignore_index is None or targets.ndim > 1:
        return len(targets)
    return int(np.count_nonzero(targets != ignore_index))
