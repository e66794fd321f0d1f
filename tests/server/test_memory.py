"""Test that freed memory is kept for the next request, within a bound."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from service.server import memory

PROGRAM = """
import resource, sys, threading
import numpy as np
from service.server.memory import keep_freed_memory

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
    """Return the page faults of the sixth thread that allocates 24 MB."""
    return run(PROGRAM, how)


HOLES = """
from pathlib import Path
from service.server.memory import give_back_freed_memory, keep_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20

keep_freed_memory()
pieces = [bytearray(size) for _ in range(300) for size in (2**20, 1000)]
pins = pieces[1::2]
del pieces
before = resident()
give_back_freed_memory()
print(before - resident())
"""


UNFILLED = """
from pathlib import Path
from service.server.memory import unfilled

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20

before, memory = resident(), unfilled(2**28)
assert len(memory) == 2**28
print(resident() - before)
"""


def run(*command: str) -> int:
    """Return the output of a program."""
    return int(subprocess.run([sys.executable, "-c", *command], check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_memory_freed_by_one_thread_serves_the_next() -> None:
    assert faults("keep") < faults("leave") / 10


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallinfo2 is glibc's")
def test_memory_that_is_free_between_pieces_in_use_is_given_back() -> None:
    assert run(HOLES) > 200


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallinfo2 is glibc's")
def test_giving_back_never_takes_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "KEPT_BYTES", 0)
    monkeypatch.setattr(memory, "MOST_KEPT_BYTES", 0)
    before = resident_pages()
    memory.give_back_freed_memory()
    assert resident_pages() <= before + 100


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells the resident memory")
def test_memory_that_is_not_filled_is_not_resident() -> None:
    assert run(UNFILLED) < 10


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> None:
        raise OSError

    monkeypatch.setattr("ctypes.CDLL", missing)
    assert not memory.keep_freed_memory()
    memory.give_back_freed_memory()


def resident_pages() -> int:
    """Return the resident memory of this process, in pages."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
