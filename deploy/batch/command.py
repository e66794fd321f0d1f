"""The command: run it, and end the process with a code and a sentence."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from deploy.batch.arguments import parse
from deploy.batch.cluster import Ray
from deploy.batch.errors import BatchError, reason
from deploy.batch.processes import Processes
from deploy.batch.run import Result, run

if TYPE_CHECKING:
    from types import FrameType

FAILED, REFUSED, INTERRUPTED = 1, 2, 130


def main() -> None:
    """Run the command. Ends the process with a code of `arguments.EPILOG` and a sentence."""
    command = parse()
    executor = Processes() if command.local else Ray(command.address)
    result = Result()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        run(command.job, executor, result)
    except BatchError as error:
        end(REFUSED, str(error))
    except OSError as error:
        end(REFUSED, f"{command.job.destination} cannot be written: {reason(error)}.")
    except KeyboardInterrupt:
        end(INTERRUPTED, f"Interrupted with {result.finished} files finished; the same command goes on from there.")
    if result.failures:
        count = len(result.failures)
        end(FAILED, f"{count} of {count + result.finished} files could not be scored; _summary.json names them.")
    sys.stderr.write(f"All {result.finished} files are finished.\n")


def end(code: int, message: str) -> None:
    """Show a sentence on stderr and end the process."""
    sys.stderr.write(f"{message}\n")
    sys.exit(code)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
