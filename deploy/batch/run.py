"""One run: find the files that are not finished, score them, and sum up."""

from __future__ import annotations

import sys
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from deploy.batch import claim as claims
from deploy.batch import receipts, summary
from deploy.batch.errors import BatchError
from deploy.batch.fit import Fit, chunk_distances, fit
from deploy.batch.job import is_hidden, is_parquet
from deploy.batch.scoring import MARK, score_chunk
from deploy.batch.storage import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deploy.batch.executor import Chunk, Executor
    from deploy.batch.job import Job
    from deploy.batch.storage import Entry
    from service.compute.calibration import Distances

CHUNK_FILES = 256
"""Most files of a chunk, which share one receipt and are scored again together when a worker dies."""

CHUNK_BYTES = 32 * 2**20
"""Size from which on a chunk takes no further file."""

CHUNKS_PER_CORE = 4
"""Fewest chunks for each core, so that the cores end at about the same time."""

DEATHS = 5
"""Workers that a file may take with it before it is given up."""

SHOWN = 20
"""Failures that are shown; the summary names all."""


@dataclass
class Result:
    """The end of a run: how many files were finished in all, and the sentences of those that failed, by name.

    fit: the temperature that was fitted; None if the job does not ask for it.
    """

    finished: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    fit: Fit | None = None


@dataclass
class State:
    """The destination as a run finds it.

    outputs: sizes of the output files by name. receipts: names of the files with receipts.
    unfinished: names of files that a dead process was still writing.
    """

    outputs: dict[str, int]
    receipts: list[str]
    unfinished: list[str]


def run(job: Job, executor: Executor, result: Result) -> None:
    """Fit the temperature if the job asks for it, score every file that is not finished, remove outputs without a source, and write the summary.

    result: filled in as the run goes on. Raises BatchError if the run as a whole cannot go on.
    """
    if job.source.contains(job.destination) or job.destination.contains(job.source):
        raise BatchError("The destination must be outside of the source, and the source outside of the destination.")
    if not job.source.exists():
        raise BatchError(f"The source {job.source} does not exist.")
    files, skipped = job.files()
    if not files:
        raise BatchError(f"The source {job.source} has no Parquet file{describe_skipped(skipped, '; skipped: ')}.")
    report(describe_skipped(skipped, "Skipped: "))
    with claims.claimed(job.destination, job.digest) as claim, executor:
        if job.calibrate:
            executor.start(chunk_distances, job, claim)
            result.fit = calibrate(executor, list(files.values()))
            job = replace(job, parameters={**job.parameters, "temperature": result.fit.temperature})
        state = read_destination(job)
        pending = clear_outdated(job, files, state)
        result.finished = len(files) - len(pending)
        if pending:
            executor.start(score_chunk, job, claim)
            if score(executor, pending, result, len(files)):
                for name in read_destination(job).unfinished:
                    job.destination.remove(name)
        claim.check(job.destination)
        finish(job, files, skipped, result)


def read_destination(job: Job) -> State:
    """Return what the destination holds."""
    state = State({}, [], [])
    for entry in job.destination.entries():
        if entry.name.startswith(f"{receipts.FOLDER}/") and is_parquet(entry.name):
            state.receipts.append(entry.name)
        elif entry.name.endswith(UNFINISHED):
            state.unfinished.append(entry.name)
        elif is_parquet(entry.name) and not is_hidden(entry.name):
            state.outputs[entry.name] = entry.size
    return state


def clear_outdated(job: Job, files: dict[str, Entry], state: State) -> list[Entry]:
    """Return the files to score, after removing everything in the destination that is not a finished output.

    Raises BatchError for a Parquet file there that no run of this command wrote.
    """
    superseded = receipts.stale(state.receipts, job)
    done = receipts.finished(job, [name for name in state.receipts if name not in superseded])
    finished = {
        name
        for name, (version, size) in done.items()
        if name in files and receipts.fingerprint(files[name]) == version and state.outputs.get(name) == size
    }
    outdated = state.outputs.keys() - finished
    for name in sorted(outdated - done.keys()):
        check_own(job, name)
    if len(finished) < len(files) or outdated:
        summary.remove(job)
    for name in (*outdated, *superseded, *state.unfinished):
        job.destination.remove(name)
    gone = len(outdated - files.keys())
    if gone:
        report(f"Removed {counted(gone, 'output')} whose source does not exist any more.")
    return [entry for name, entry in files.items() if name not in finished]


def check_own(job: Job, name: str) -> None:
    """Raise BatchError for an output that another program wrote."""
    try:
        with job.destination.open(name) as file:
            if MARK in (pq.read_schema(file).metadata or {}):
                return
    except pa.ArrowInvalid:
        pass
    raise BatchError(
        f"{job.destination} holds {name}, which this command did not write; choose another destination, or remove the file."
    )


def chunks(pending: Iterable[Entry], cores: int) -> Iterator[Chunk]:
    """Yield the files in groups: large ones alone and first, small ones together."""
    ordered = sorted(pending, key=lambda entry: entry.size, reverse=True)
    most = max(1, min(CHUNK_FILES, len(ordered) // (CHUNKS_PER_CORE * cores)))
    chunk: list[Entry] = []
    size = 0
    for entry in ordered:
        chunk.append(entry)
        size += entry.size
        if len(chunk) == most or size >= CHUNK_BYTES:
            yield tuple(chunk)
            chunk, size = [], 0
    if chunk:
        yield tuple(chunk)


def score(executor: Executor, pending: list[Entry], result: Result, count: int) -> bool:
    """Score all files. Return whether any worker died."""
    deaths = Counter[str]()
    # disable=None: no bar unless a person watches
    with tqdm(total=count, initial=count - len(pending), unit="file", disable=None) as bar:
        for names, failures in run_chunks(executor, pending, deaths):
            bar.update(len(names))
            for name in sorted(failures):
                fail(result, name, failures[name], bar)
            result.finished += len(names) - len(failures)
    return bool(deaths)


def run_chunks(
    executor: Executor, files: list[Entry], deaths: Counter[str], *arguments: Any
) -> Iterator[tuple[list[str], Any]]:
    """Yield names of files with what the work returns of them, or with a sentence for each that is given up.

    A lost chunk is run again file by file, and a file that takes too many workers with it is given up.
    """
    waiting = deque(chunks(files, executor.cores))
    running = 0
    while waiting or running:
        while waiting and running < executor.capacity:
            executor.submit(waiting.popleft(), *arguments)
            running += 1
        chunk, found = executor.collect()
        running -= 1
        names = [entry.name for entry in chunk]
        if found is None:
            deaths.update(names)
            waiting.extend((entry,) for entry in chunk if deaths[entry.name] < DEATHS)
            names = [name for name in names if deaths[name] >= DEATHS]
            found = dict.fromkeys(names, f"{DEATHS} workers died.")
        yield names, found


def calibrate(executor: Executor, files: list[Entry]) -> Fit:
    """Return the temperature for all files together. A file that cannot be read has no part in it."""

    def distances(chosen: list[Entry], temperature: float) -> dict[str, Distances]:
        parts = run_chunks(executor, chosen, Counter(), temperature)
        return {name: found for _, part in parts for name, found in part.items() if not isinstance(found, str)}

    return fit(distances, files)


def fail(result: Result, name: str, reason: str, bar: tqdm[None]) -> None:
    """Note a failure, and show it if not too many were shown."""
    result.failures[name] = reason
    if len(result.failures) <= SHOWN:
        bar.write(f"{name}: {reason}", file=sys.stderr)


def finish(job: Job, files: dict[str, Entry], skipped: Counter[str], result: Result) -> None:
    """Write the summary of the finished files, and remove receipts that none of them needs."""
    wanted = {name: receipts.fingerprint(entry) or "" for name, entry in files.items() if name not in result.failures}
    names = [entry.name for entry in job.destination.entries(receipts.folder(job))]
    sums, superfluous = receipts.total(job, names, wanted)
    summary.write(job, sums, len(wanted), result, skipped)
    for name in superfluous:
        job.destination.remove(name)


def describe_skipped(skipped: Counter[str], prefix: str) -> str:
    """Return how many files were skipped and why, or nothing if none was."""
    parts = [f"{counted(count, 'file')} {reason}" for reason, count in skipped.items()]
    return prefix + ", ".join(parts) if parts else ""


def counted(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def report(line: str) -> None:
    """Show a line on stderr, unless it is empty."""
    if line:
        sys.stderr.write(f"{line}\n")
