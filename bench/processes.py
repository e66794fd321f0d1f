"""Resources of a process and its descendants, read from /proc."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

RESET_PEAK = "5"
"""Written to clear_refs, resets the peak of resident memory to the current value."""

GONE = (FileNotFoundError, ProcessLookupError)
"""Errors of a process that ends while it is read."""


def tree(pid: int) -> list[int]:
    """Return the process and its descendants."""
    found = [pid]
    for parent in found:
        with suppress(*GONE):
            for thread in (PROC / str(parent) / "task").iterdir():
                found += map(int, (thread / "children").read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of the tree, including children that ended."""
    ticks = 0
    for process in tree(pid):
        with suppress(*GONE):
            # field 2 is the name in brackets and may hold spaces; fields 14 to 17 are the times
            fields = (PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS_PER_SECOND


def reset_peaks(pid: int) -> None:
    """Reset the peak memory of the tree."""
    for process in tree(pid):
        with suppress(*GONE):
            (PROC / str(process) / "clear_refs").write_text(RESET_PEAK)


def peak_bytes(pid: int) -> int:
    """Return the peak memory of the tree since `reset_peaks`, in bytes.

    Shared memory counts once: the sum of the proportional set sizes, plus the rise of each process above its current size.
    """
    total = 0
    for process in tree(pid):
        with suppress(*GONE):
            status = _kilobytes(PROC / str(process) / "status")
            shared = _kilobytes(PROC / str(process) / "smaps_rollup")
            total += shared.get("Pss", 0) + status.get("VmHWM", 0) - status.get("VmRSS", 0)
    return total * 1024


def kill(pids: list[int]) -> None:
    """Kill the processes that are still running."""
    for pid in pids:
        with suppress(*GONE):
            os.kill(pid, signal.SIGKILL)


def _kilobytes(path: Path) -> dict[str, int]:
    """Return the lines "name: number kB" of a file."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if words[-1:] == ["kB"]}
