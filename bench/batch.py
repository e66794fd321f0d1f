"""Compare `python -m deploy.batch --local` with a script of 15 lines: `.venv-ray/bin/python -m bench.batch > bench/batch.md`.

Both read the same files and write the same columns, on one core and on all. The runs alternate.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]

LOADS = {
    "10 million rows of K = 10": (20, 500_000, 10),
    "32,000 rows of K = 1,000": (20, 1_600, 1_000),
    "100 MB": (10, 125_000, 10),
    "10,000 files of 10 rows": (10_000, 10, 10),
}
"""Files, rows of a file, and classes."""

HEAD = """\
# The batch command beside a script

`chrt -r 10 .venv-ray/bin/python -m bench.batch > bench/batch.md` measures this page: the seconds of a whole command, from
start to exit, the least of {rounds} runs. `chrt` makes other processes wait for the cores. The script of 15 lines is
[bench/peers/parquet/score.py](peers/parquet/score.py): PyArrow, NumPy, and a process for each core. It checks no value,
and cannot be continued. The command is `python -m deploy.batch --local`. Rows/s are those of the command. The ratio is the
script's time on {cores} cores divided by that of the command. A speed-up is the time on one core divided by that on {cores}.

| load | files | script, s | command, s | rows/s | ratio | script on 1 core, s | command on 1 core, s | speed-up of script | speed-up of command |
| :-- | --: | --: | --: | --: | --: | --: | --: | --: | --: |
"""


def write(folder: Path, files: int, rows: int, classes: int) -> None:
    """Write normal logits in float64, and labels."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(files):
        logits = pa.FixedSizeListArray.from_arrays(generator.normal(size=rows * classes), classes)
        table = pa.table({"logits": logits, "targets": generator.integers(0, classes, rows)})
        pq.write_table(table, folder / f"{number:06}.parquet", use_dictionary=False, row_group_size=100_000)


def seconds(command: list[str], destination: Path, cores: set[int]) -> float:
    """Return the time of a command that writes to a new folder, from start to exit, on some cores."""
    shutil.rmtree(destination, ignore_errors=True)
    # compiled modules are kept, as on the machine of a user
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # the command inherits it
    start = time.perf_counter()
    subprocess.run(  # noqa: S603 - the commands are ours
        [*command, str(destination)], check=True, cwd=ROOT, env=variables, capture_output=True
    )
    took = time.perf_counter() - start
    os.sched_setaffinity(0, before)
    return took


def least(name: str, rounds: int) -> list[float]:
    """Return the least time of the script and of the command, on one core and on all, in seconds."""
    cores = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory(prefix="softmax-bench-") as text:
        folder = Path(text)
        write(folder / "in", *LOADS[name])
        script = [sys.executable, str(ROOT / "bench/peers/parquet/score.py"), str(folder / "in")]
        ours = [sys.executable, "-m", "deploy.batch", "--local", str(folder / "in")]
        times = [
            [seconds(command, folder / "out", chosen) for chosen in ({min(cores)}, cores) for command in (script, ours)]
            for _ in range(rounds)
        ]
    return [min(column) for column in zip(*times, strict=True)]


def main() -> None:
    """Print a page with a table of all loads."""
    parser = argparse.ArgumentParser("python -m bench.batch")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each command, 3 by default")
    parser.add_argument("--loads", nargs="*", choices=LOADS, default=list(LOADS), help="all by default")
    parsed = parser.parse_args()
    sys.stdout.write(HEAD.format(cores=len(os.sched_getaffinity(0)), rounds=parsed.rounds))
    for name in parsed.loads:
        files, rows, _ = LOADS[name]
        script_1, ours_1, script, ours = least(name, parsed.rounds)
        sys.stdout.write(
            f"| {name} | {files} | {script:.2f} | {ours:.2f} | {files * rows / ours:,.0f} | {script / ours:.2f} "
            f"| {script_1:.2f} | {ours_1:.2f} | {script_1 / script:.2f} | {ours_1 / ours:.2f} |\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
