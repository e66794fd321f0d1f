"""Score one Parquet file: write its outputs row by row, and return the sums that it adds to the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deploy.batch import columns, measures, receipts
from deploy.batch.errors import BatchError, sentence
from deploy.batch.exact import ExactSum
from deploy.batch.job import partition
from service.compute.blocks import PARALLEL_ELEMENTS
from service.errors import ServiceError
from service.operations import OPERATIONS, execute
from service.operations.validation import is_met
from service.schemas.requests import request_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from deploy.batch.claim import Claim
    from deploy.batch.job import Job
    from deploy.batch.storage import Entry
    from service.arrays import Array
    from service.operations.spec import Operation

OPERATION = {operation.name: operation for operation in OPERATIONS}

SOFTMAX, LOSS, GRADIENT, CALIBRATE = (OPERATION[name] for name in ("softmax", "loss", "gradient", "calibrate"))

ROW_OUTPUTS = tuple(output.name for output in GRADIENT.outputs if all(axes[:1] == ("...",) for axes in output.axes))
"""Outputs with an entry for each row, which can be written beside it."""

ROW_INPUTS = ("logits", "inputs", "mask", "targets", "teacher_logits", "sample_weights")
"""Tensors with an entry for each row, which are columns of the files."""

LISTS = ("logits", "inputs", "mask", "teacher_logits")
"""Tensors with a list for each row."""

TOTALS = ("loss", "denominator", "weights_gradient", "bias_gradient")
"""Outputs that add up over rows, as long as no mean divides them."""

GROUP_ELEMENTS = 2**21
"""Numbers of the widest column that are read, scored and written as one row group: 16 MB of float64."""

BLOCK_ELEMENTS = PARALLEL_ELEMENTS - 1
"""Logits that are scored at once: too few for the service to start threads, since a file has one core."""

MARK = b"softmax-service"
"""Key in the metadata of an output that tells it from files of other programs."""


class FileRequest(NamedTuple):
    """The request for the rows of one file.

    names: the columns that are tensors. constants: values of partition folders that are tensors, by name.
    dtype: of the floats that are written.
    """

    names: tuple[str, ...]
    constants: Mapping[str, Array]
    dtype: str


def score_chunk(job: Job, claim: Claim, chunk: tuple[Entry, ...]) -> dict[str, str]:
    """Score some files and write their receipts. Return the sentences of those that failed, by name.

    Raises BatchError if another run took the destination over.
    """
    done, failures = [], {}
    for entry in chunk:
        try:
            done.append(score(job, claim, entry))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one file, the others go on
            claim.check(job.destination)
            failures[entry.name] = sentence(error)
    try:
        claim.check(job.destination)
        if done:
            receipts.write(job, done)
    except OSError as error:
        for receipt in done:
            job.destination.remove(receipt.name)
            failures[receipt.name] = sentence(error)
    return failures


def score(job: Job, claim: Claim, entry: Entry) -> receipts.Receipt:
    """Write the outputs of a file. Return its receipt.

    Raises ServiceError or BatchError for content that cannot be scored, and the errors of PyArrow and of the filesystem.
    """
    sums: dict[str, ExactSum] = {}
    rows = 0
    with (
        job.source.open(entry.name) as stored,
        # with pre_buffer, PyArrow would keep all of a file that it reads ahead
        pq.ParquetFile(stored, pre_buffer=False) as file,
        job.destination.write(entry.name) as stream,
    ):
        request = file_request(job, entry.name, file.schema_arrow)
        kept = [name for name in job.keep if name in file.schema_arrow.names]
        schema = output_schema(job, file.schema_arrow, request, kept)
        # computed floats hardly ever repeat, so only copied columns get a dictionary
        with pq.ParquetWriter(stream, schema, use_dictionary=kept) as writer:
            for first, batch in batches(job, request, file, kept):
                scored = score_rows(job, request, batch, first, sums)
                writer.write_table(pa.table([*(batch.column(name) for name in kept), *scored], schema))
                rows = first + len(batch)
        size = stream.tell()
        claim.check(job.destination)
    totals = {name: exact.total() for name, exact in sums.items()}
    version = receipts.fingerprint(entry) or ""
    return receipts.Receipt(entry.name, version, size, {"rows": np.array(rows, np.float64), **totals})


def file_request(job: Job, name: str, present: pa.Schema) -> FileRequest:
    """Return the request for a file with these columns. Raises BatchError where a column is missing or of the wrong type."""
    folders = partition(name)
    available = {*present.names, *folders}
    front = "inputs" if "weights" in job.tensors else "logits"
    for each in (front, *job.keep):
        if each not in available:
            raise BatchError(f"The file has no column {each}; it has {', '.join(present.names) or 'none'}.")
    for each in (*job.outputs, *job.measures):
        if each not in SOFTMAX.named_outputs and not available & {"targets", "teacher_logits"}:
            raise BatchError(f"The file has no column targets, which {each} needs; add it, or leave {each} out.")
    names = tuple(each for each in (front, *ROW_INPUTS[2:]) if each in available)
    constants = {}
    for each in names:
        if each in present.names:
            columns.check(each, present.field(each).type, lists=each in LISTS)
        else:
            constants[each] = constant(each, folders[each])
            if each in LISTS:
                raise BatchError(f"Column {each} is in the name of a folder; it must be in the file.")
    return FileRequest(names, constants, "float32" if columns.is_narrow(present.field(front).type) else "float64")


def constant(name: str, text: str) -> Array:
    """Return the value of a partition folder, a whole number or a float, as an array without axes. Raises BatchError."""
    for kind in (int, float):
        try:
            return np.array(kind(text))
        except (ValueError, OverflowError):
            continue
    raise BatchError(f"The folder {name}={text} does not name a number.")


def group_rows(job: Job, file: pq.ParquetFile, names: list[str]) -> int:
    """Return how many rows to read, score and write at once."""
    classes = len(job.tensors["weights"]) if "weights" in job.tensors else columns.widest(file, ("logits",))
    # an output such as the Jacobian has K numbers for each of K classes
    outputs = (classes ** (len(GRADIENT.named_outputs[name].axes[0]) - 1) for name in job.outputs)
    return max(1, GROUP_ELEMENTS // max([columns.widest(file, tuple(names)), *outputs]))


def output_schema(job: Job, present: pa.Schema, request: FileRequest, kept: list[str]) -> pa.Schema:
    """Return the columns that are written."""
    fields = [present.field(name) for name in kept]
    fields += [columns.field(GRADIENT.named_outputs[name], request.dtype) for name in job.outputs]
    return pa.schema(fields, metadata={MARK: job.digest})


def score_rows(
    job: Job, request: FileRequest, batch: pa.RecordBatch, first: int, sums: dict[str, ExactSum]
) -> list[pa.ChunkedArray]:
    """Return the outputs of some rows as columns, and add what the rows contribute to the whole to sums.

    first: the number of the first row in its file. Raises ServiceError and BatchError.
    """
    pieces: list[dict[str, Array]] = []
    for start, rows in row_blocks(job, request, batch, first):
        try:
            outputs, totals = score_block(job, rows)
        except ServiceError as error:
            raise at_row(error, start) from None
        pieces.append(outputs)
        for name, values in totals.items():
            sums.setdefault(name, ExactSum()).add(values)
    return [
        pa.chunked_array([columns.column(_rounded(piece[name], request.dtype)) for piece in pieces])
        for name in job.outputs
    ]


def _rounded(values: Array, dtype: str) -> Array:
    """Return floats in the precision of the file, and integers as they are."""
    return values if values.dtype.kind == "i" else values.astype(dtype, copy=False)


def batches(
    job: Job, request: FileRequest, file: pq.ParquetFile, kept: Sequence[str] = ()
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield the rows of a file, some at a time, with the number of the first of them."""
    names = [name for name in request.names if name not in request.constants]
    first = 0
    for batch in file.iter_batches(
        group_rows(job, file, names), columns=list(dict.fromkeys([*names, *kept])), use_threads=False
    ):
        if len(batch):
            yield first, batch
        first += len(batch)


def row_blocks(
    job: Job, request: FileRequest, batch: pa.RecordBatch, first: int
) -> Iterator[tuple[int, dict[str, Array]]]:
    """Yield the tensors of the rows that are scored at once, with the number of their first row in the file."""
    tensors = {name: np.broadcast_to(value, len(batch)) for name, value in request.constants.items()}
    tensors |= {name: columns.tensor(name, batch.column(name), first) for name in request.names if name not in tensors}
    for rows in blocks(len(batch), max([1, len(job.tensors.get("weights", ())), *map(_width, tensors.values())])):
        yield first + rows.start, {name: values[rows] for name, values in tensors.items()}


def blocks(count: int, width: int) -> Iterator[slice]:
    """Yield the rows that are scored at once, for rows of this many numbers. The same rows for every number of cores."""
    length = max(1, BLOCK_ELEMENTS // width)
    return (slice(start, start + length) for start in range(0, count, length))


def _width(values: Array) -> int:
    return values.shape[1] if values.ndim > 1 else 1


def at_row(error: ServiceError, first: int) -> BatchError:
    """Return an error of a block of rows with the number of the row in its file. first: of the block."""
    for (name, *index), _ in error.locations[:1]:
        if name in ROW_INPUTS and index:
            row = first + int(index[0])
            return BatchError(f"Row {row}: {error.detail.replace(f'{name}[{index[0]}', f'{name}[{row}', 1)}")
    return BatchError(error.detail)


def score_block(job: Job, rows: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the outputs of some rows, and what the rows add to the whole.

    Without targets the rows add nothing. Otherwise they add those of `TOTALS` that the job has, the number of counted rows,
    how many of these are predicted right, and what the measures are made of. Raises ServiceError.
    """
    fields = {**job.parameters, **job.tensors, **rows}
    targets = rows.get("targets", rows.get("teacher_logits"))
    if targets is None:
        return compute(SOFTMAX, fields, list(job.outputs)), {}
    fields["reduction"] = "sum"
    totals = [name for name in TOTALS if all(is_met(needed, fields) for needed in GRADIENT.named_outputs[name].needs)]
    wanted = dict.fromkeys([*job.outputs, *totals, *measures.outputs_of(job.measures), "accuracy"])
    answered = compute(GRADIENT, fields, list(wanted))
    counted = np.array(counted_rows(targets, job.parameters.get("ignore_index")), np.float64)
    added = {name: answered[name] for name in totals} | measures.terms(job.measures, answered, counted)
    added |= {"counted": counted, "hits": np.rint(answered["accuracy"] * counted)}
    return {name: answered[name] for name in job.outputs}, added


def compute(operation: Operation, fields: dict[str, Any], outputs: list[str]) -> dict[str, Array]:
    """Validate a request and return its outputs. Raises ServiceError."""
    message = request_model(operation).read(fields | {"outputs": outputs})
    return execute(operation, message.arguments, outputs)


def counted_rows(targets: Array, ignore_index: int | None) -> int:
    """Return how many rows of targets, labels (n,) or probabilities (n, K), are counted."""
    if ignore_index is None or targets.ndim > 1:
        return len(targets)
    return int(np.count_nonzero(targets != ignore_index))
