"""python -m deploy.batch: score a folder of Parquet files, on this machine or on a Ray cluster."""

from __future__ import annotations

import sys

from deploy.batch import processes


def main() -> None:
    """Run the command."""
    if "--local" in sys.argv:
        # the imports take half a second: this process and that of the workers do them at the same time
        processes.prepare()
    from deploy.batch import command  # noqa: PLC0415 - only now

    command.main()


if __name__ == "__main__":
    main()
