"""The command line: flags to a job."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np

from deploy.batch.job import Job
from deploy.batch.measures import MEASURES
from deploy.batch.scoring import GRADIENT, ROW_OUTPUTS
from deploy.batch.storage import Folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.arrays import Array

USUAL_OUTPUTS = "probabilities,predictions,row_losses"

DECIDED = ("reduction", "denominator", "learning_rate", "dtype")
"""Parameters without a flag: the whole decides on the first three, the type of the column of logits on the last."""

SHARED = ("weights", "bias", "class_weights", "mask")
"""Tensors shared by all rows."""

EPILOG = """\
A folder is a path or a URI: s3://, gs://, abfs://, hdfs://, or a protocol of an installed fsspec package.
A run that was stopped goes on where it was when the same command is given again.
Exit codes: 0 all files are scored, 1 some failed, 2 the command was refused, 130 it was interrupted.
"""


class Command(NamedTuple):
    """A parsed command. local: run on this machine without Ray. address: of a Ray cluster."""

    job: Job
    local: bool
    address: str | None


def parse(words: Sequence[str] | None = None) -> Command:
    """Return the command that the words ask for, by default those of the process. Ends the process with 2 if they are wrong."""
    parser = _parser()
    options = vars(parser.parse_args(words))
    outputs, keep = options.pop("outputs"), options.pop("keep")
    local, address = options.pop("local"), options.pop("address")
    tensors, calibrate = options.pop("tensors"), options.pop("calibrate")
    source, destination = options.pop("source"), options.pop("destination")
    if local and address:
        parser.error("--local runs without a Ray cluster; leave --address out.")
    unknown = [name for name in outputs if name not in (*ROW_OUTPUTS, *MEASURES)]
    if unknown:
        parser.error(f"--outputs has {unknown[0]!r}; it may name {', '.join((*ROW_OUTPUTS, *MEASURES))}.")
    measures = tuple(name for name in outputs if name in MEASURES)
    outputs = tuple(name for name in outputs if name not in MEASURES)
    if calibrate and options["temperature"] is not None:
        parser.error("--calibrate finds the temperature; leave --temperature out.")
    twice = set(keep) & set(outputs)
    if twice:
        parser.error(f"--keep may not name an output: {', '.join(sorted(twice))}.")
    parameters = {name: value for name, value in options.items() if value is not None}
    job = Job(source, destination, outputs, keep, parameters, tensors, measures, calibrate)
    return Command(job, local, address)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        "python -m deploy.batch",
        description="Score a folder of Parquet files of logits and targets: one output file for each, and a summary.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=_folder, help="folder of .parquet files, at any depth")
    parser.add_argument("destination", type=_folder, help="folder for the outputs, which every worker can reach")
    parser.add_argument(
        "--outputs",
        type=_names,
        default=USUAL_OUTPUTS,
        metavar="NAME,...",
        help=f"outputs to write by the row, by default {USUAL_OUTPUTS}: {', '.join(ROW_OUTPUTS)}; "
        f"and outputs of all rows for the summary: {', '.join(MEASURES)}",
    )
    parser.add_argument(
        "--keep", type=_names, default=(), metavar="COLUMN,...", help="columns to copy beside the outputs"
    )
    parser.add_argument(
        "--tensors",
        type=_tensors,
        default={},
        metavar="FILE.npz",
        help=f"tensors shared by all rows: {', '.join(SHARED)}",
    )
    parser.add_argument(
        "--calibrate", action="store_true", help="fit one temperature to all files, and score them at it; needs targets"
    )
    where = parser.add_argument_group("where it runs")
    where.add_argument("--local", action="store_true", help="on the cores of this machine, without Ray")
    where.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="Ray cluster, or auto for the one of this machine; by default that of RAY_ADDRESS, or a new one of this machine",
    )
    parameters = parser.add_argument_group("parameters of the operation")
    for each in GRADIENT.parameters:
        if each.name not in DECIDED:
            flag, choices = f"--{each.name.replace('_', '-')}", each.choices or None
            parameters.add_argument(flag, type=each.type, choices=choices, help=each.doc.replace("%", "%%"))
    return parser


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage of all flags."""

    def error(self, message: str) -> NoReturn:
        """End the process with 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def _folder(text: str) -> Folder:
    return Folder(text.rstrip("/") or "/" if "://" in text else str(Path(text).absolute()))


def _names(text: str) -> tuple[str, ...]:
    """Return the names of a list with commas, each once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _tensors(text: str) -> dict[str, Array]:
    """Return the tensors of a .npz file."""
    try:
        with np.load(text) as file:
            tensors = dict(file)
    except FileNotFoundError:
        raise argparse.ArgumentTypeError(f"{text} does not exist.") from None
    except (OSError, ValueError, TypeError):
        raise argparse.ArgumentTypeError(f"{text} is not a .npz file of numbers; write one with numpy.savez.") from None
    unknown = sorted(tensors.keys() - set(SHARED))
    if unknown:
        raise argparse.ArgumentTypeError(f"{text} has {unknown[0]!r}; it may hold {', '.join(SHARED)}.")
    if tensors.get("mask", np.empty(0)).dtype == np.bool_:
        tensors["mask"] = tensors["mask"].view(np.uint8)
    return tensors
