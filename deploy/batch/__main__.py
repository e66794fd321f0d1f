"""python -m deploy.batch: score a folder of Parquet files, on this machine or on a Ray cluster."""

from __future__ import annotations

import os
import signal

from deploy.batch.executor import VARIABLES


def main() -> None:
    """Run the command."""
    # until the run starts, Ctrl-C ends the process without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ.update(VARIABLES)  # NumPy reads them when it is imported
    from deploy.batch import command  # noqa: PLC0415 - only now

    command.main()


if __name__ == "__main__":
    main()
