"""Compare `python -m deploy.batch --local` with a script of 15 lines on the same cores: .venv-ray/bin/python -m bench.batch.

Both read the same files and write the same columns. Runs alternate. The table has the median of the time of a whole command,
from start to exit, and the rows per second that follow from it.
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
from statistics import median

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


def write(folder: Path, files: int, rows: int, classes: int) -> None:
    """Write normal logits in float64, and labels."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(files):
        logits = pa.FixedSizeListArray.from_arrays(generator.normal(size=rows * classes), classes)
        table = pa.table({"logits": logits, "targets": generator.integers(0, classes, rows)})
        pq.write_table(table, folder / f"{number:06}.parquet", use_dictionary=False, row_group_size=100_000)


def seconds(command: list[str], destination: Path) -> float:
    """Return the time of a command that writes to a new folder."""
    shutil.rmtree(destination, ignore_errors=True)
    # compiled modules are kept, as on the machine of a user
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run(  # noqa: S603 - the commands are ours
        [*command, str(destination)], check=True, cwd=ROOT, env=variables, capture_output=True
    )
    return time.perf_counter() - start


def main() -> None:
    """Print a table of all loads."""
    parser = argparse.ArgumentParser("python -m bench.batch")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each command, 3 by default")
    parser.add_argument("--loads", nargs="*", choices=LOADS, default=list(LOADS), help="all by default")
    parsed = parser.parse_args()
    sys.stdout.write(
        "| load | script, s | --local, s | script, rows/s | --local, rows/s | ratio |\n|---|---|---|---|---|---|\n"
    )
    for name in parsed.loads:
        files, rows, classes = LOADS[name]
        with tempfile.TemporaryDirectory(prefix="softmax-bench-") as text:
            folder = Path(text)
            write(folder / "in", files, rows, classes)
            script = [sys.executable, str(ROOT / "bench/peers/parquet/score.py"), str(folder / "in")]
            ours = [sys.executable, "-m", "deploy.batch", "--local", str(folder / "in")]
            times = [(seconds(script, folder / "a"), seconds(ours, folder / "b")) for _ in range(parsed.rounds)]
        by_hand, local = (median(column) for column in zip(*times, strict=True))
        rates = [f"{files * rows / each:,.0f}" for each in (by_hand, local)]
        sys.stdout.write(f"| {name} | {by_hand:.1f} | {local:.1f} | {' | '.join(rates)} | {by_hand / local:.2f} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
