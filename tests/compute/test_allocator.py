"""Freed memory is kept for the next request."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, threading
import numpy as np
from service.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

def request():
    arrays = [np.ones(1_000_000) for _ in range(3)]

def faults():
    thread = threading.Thread(target=request)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    thread.start()
    thread.join()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print([faults() for _ in range(6)][-1])
"""


def faults(how: str) -> int:
    """Pages that the sixth thread which takes 24 MB has to be given."""
    command = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_memory_freed_by_one_thread_serves_the_next() -> None:
    assert faults("keep") < faults("leave") / 10
