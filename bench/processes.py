"""What a process and all its descendants use, from /proc."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

RESET_PEAK = "5"
"""Written to clear_refs, it sets the peak of resident memory to what is resident now."""

GONE = (FileNotFoundError, ProcessLookupError)
"""A process may end while it is looked at."""


def tree(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for parent in found:
        with suppress(*GONE):
            for thread in (PROC / str(parent) / "task").iterdir():
                found += map(int, (thread / "children").read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time that the tree has used, with that of children which ended."""
    ticks = 0
    for each in tree(pid):
        with suppress(*GONE):
            # the second field is the name, in brackets, and may hold spaces; the 14th to the 17th are the times
            fields = (PROC / str(each) / "stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS_PER_SECOND


def reset_peaks(pid: int) -> None:
    """Forgets how much memory the tree has used so far."""
    for each in tree(pid):
        with suppress(*GONE):
            (PROC / str(each) / "clear_refs").write_text(RESET_PEAK)


def peak_bytes(pid: int) -> int:
    """The most memory the tree has used since `reset_peaks`.

    What several processes share counts once: the proportional set size now, and how far each process had been above it.
    """
    total = 0
    for each in tree(pid):
        with suppress(*GONE):
            status = _kilobytes(PROC / str(each) / "status")
            shared = _kilobytes(PROC / str(each) / "smaps_rollup")
            total += shared.get("Pss", 0) + status.get("VmHWM", 0) - status.get("VmRSS", 0)
    return total * 1024


def kill(pids: list[int]) -> None:
    """Ends what is left of these processes."""
    for pid in pids:
        with suppress(*GONE):
            os.kill(pid, signal.SIGKILL)


def _kilobytes(path: Path) -> dict[str, int]:
    """The lines "name: number kB" of a file."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if words[-1:] == ["kB"]}
