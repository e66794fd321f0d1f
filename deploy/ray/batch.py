"""python -m deploy.ray.batch: scores a folder of Parquet files of logits and targets on a Ray cluster.

Every file is a Ray task, not a block of a data set: what is finished is then a file with a name, which is put in place in
one step and never done again, and what is broken is one file. Ray runs a task again when its worker or its node dies.
"""

from __future__ import annotations

import argparse
import os
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import ray
from tqdm import tqdm

from deploy.ray.job import Job
from deploy.ray.scoring import GRADIENT, ROW_OUTPUTS, attempt
from deploy.ray.whole import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from service.arrays import Array

IN_FLIGHT = 1_000
"""Files that are handed to Ray at once: enough to let a cluster grow, few enough to be held in mind."""

DEATHS = 5
"""Workers that a file may take with it before it is given up."""

DECIDED = ("reduction", "denominator", "learning_rate", "dtype")
"""Parameters that are not asked for: the whole decides on the first three, the column of logits on the last."""

SHARED = ("weights", "bias", "class_weights")
"""Inputs that hold for every row."""


def main() -> None:
    """Scores every file that is not finished, then sums up. Exits with 1 if a file could not be scored."""
    job, address = parse()
    names = job.names()
    pending = [name for name in names if not job.finished(name)]
    for name in pending:
        job.forget(name)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(address, log_to_driver=False, logging_level="error")
    failures: dict[str, str] = {}
    with tqdm(total=len(names), initial=len(names) - len(pending), unit="file") as bar:
        for name, reason in outcomes(job, pending):
            bar.update()
            if reason is not None:
                failures[name] = reason
                bar.write(f"{name}: {reason}", file=sys.stderr)
    ray.shutdown()
    job.tidy()
    write_whole(job, [name for name in names if name not in failures], failures)
    if failures:
        sys.exit(f"{len(failures)} of {len(names)} files could not be scored.")


def outcomes(job: Job, names: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """Every file as it is done: its name, and None or the reason why it could not be scored."""
    task = ray.remote(attempt).options(
        num_cpus=1,
        max_retries=DEATHS,
        scheduling_strategy="SPREAD",
        runtime_env={"env_vars": {"OPENBLAS_NUM_THREADS": "1"}},
    )
    reference = ray.put(job)
    remaining = iter(names)
    waiting: dict[ray.ObjectRef, str] = {}
    while True:
        for name in islice(remaining, IN_FLIGHT - len(waiting)):
            waiting[task.remote(reference, name)] = name
        if not waiting:
            return
        (done,), _ = ray.wait(list(waiting), num_returns=1)
        yield waiting.pop(done), outcome(done)


def outcome(done: ray.ObjectRef) -> str | None:
    """What a task answered, or what became of it when Ray has given it up."""
    try:
        reason: str | None = ray.get(done)
    except ray.exceptions.RayError as error:
        return f"Ray has given it up: {str(error).partition(chr(10))[0]}"
    return reason


def parse() -> tuple[Job, str | None]:
    """The job and the address of the cluster, from the command line."""
    parser = argparse.ArgumentParser("python -m deploy.ray.batch", description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path, help="a folder of .parquet files, at any depth")
    parser.add_argument("destination", type=Path, help="a folder that all nodes can write to, outside of the source")
    parser.add_argument("--outputs", type=listed, default="probabilities,predictions,row_losses", metavar="NAME,...")
    parser.add_argument(
        "--keep", type=listed, default=(), metavar="COLUMN,...", help="columns to copy beside the outputs"
    )
    parser.add_argument(
        "--tensors", type=shared, default={}, metavar="FILE.npz", help=f"holds for every row: {', '.join(SHARED)}"
    )
    parser.add_argument(
        "--address", help="of a Ray cluster; without it the one of RAY_ADDRESS, or one of this machine alone"
    )
    for each in GRADIENT.parameters:
        if each.name not in DECIDED:
            flag = f"--{each.name.replace('_', '-')}"
            parser.add_argument(flag, type=each.type, choices=each.choices or None, help=each.doc)
    options = vars(parser.parse_args())
    source, destination = options.pop("source").resolve(), options.pop("destination").resolve()
    outputs, keep, address, tensors = (options.pop(name) for name in ("outputs", "keep", "address", "tensors"))
    if not source.is_dir():
        parser.error(f"{source} is no folder")
    if destination.is_relative_to(source):
        parser.error("the destination must be outside of the source")
    if not set(outputs) <= set(ROW_OUTPUTS):
        parser.error(f"--outputs may name {', '.join(ROW_OUTPUTS)}")
    if set(keep) & set(outputs):
        parser.error("--keep may not name an output")
    parameters = {name: value for name, value in options.items() if value is not None}
    return Job(source, destination, outputs, keep, parameters, tensors), address


def listed(text: str) -> tuple[str, ...]:
    """The names in a list with commas, each once."""
    return tuple(dict.fromkeys(text.split(",")))


def shared(text: str) -> dict[str, Array]:
    """The tensors of a .npz file."""
    try:
        with np.load(text) as file:
            tensors = dict(file)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not set(tensors) <= set(SHARED):
        raise argparse.ArgumentTypeError(f"it may hold {', '.join(SHARED)}")
    return tensors


if __name__ == "__main__":
    main()
