"""The service as a process of its own, with flags and variables."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STARTED = re.compile(r"Uvicorn running on (http://\S+)")
PATIENCE = 20
"""Seconds that a process has to end."""


def command(*flags: str) -> list[str]:
    """Starts the service with those flags, on a free port unless they name one."""
    return [sys.executable, "-m", "service", "--port", "0", *flags]


def environment(variables: dict[str, str]) -> dict[str, str]:
    """The variables of this process, but for settings of the service, and those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SOFTMAX_")}
    return {**kept, **variables}


@contextmanager
def running(*flags: str, **variables: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a server, and its process, which ends with the block."""
    process = subprocess.Popen(command(*flags), stderr=subprocess.PIPE, text=True, env=environment(variables))
    with process:
        assert process.stderr is not None
        log = []
        for line in process.stderr:
            log.append(line)
            if found := STARTED.search(line):
                break
        else:
            raise AssertionError(f"the server did not start: {''.join(log)}")
        try:
            yield found.group(1), process
        finally:
            process.terminate()
            process.wait(PATIENCE)


def refused(*flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a start that is expected to fail leaves behind."""
    return subprocess.run(
        command(*flags), capture_output=True, text=True, env=environment(variables), timeout=PATIENCE, check=False
    )
