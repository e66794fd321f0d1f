"""python -m deploy.batch: score a folder of Parquet files, on this machine or on a Ray cluster."""

from __future__ import annotations

import os
import signal
import sys

from deploy.batch.executor import VARIABLES


def main() -> None:
    """Run the command."""
    # until the run starts, Ctrl-C ends the process without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ.update(VARIABLES)  # NumPy reads them when it is imported
    try:
        from deploy.batch import command  # noqa: PLC0415 - only now
    except ModuleNotFoundError as missing:
        sys.stderr.write(
            f"{sys.executable} has no package {missing.name}; "
            "run make .venv-ray/ray, then .venv-ray/bin/python -m deploy.batch\n"
        )
        sys.exit(2)
    command.main()


if __name__ == "__main__":
    main()
