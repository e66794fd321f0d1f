"""Freed memory stays in the process: mapping new pages costs more than filling them."""

from __future__ import annotations

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
"""Options of mallopt, by their numbers in malloc.h."""

KEPT_BYTES = 64 * 2**20
"""Freed memory that the process keeps: as much as a request of 20 MB takes."""

MOST_KEPT_BYTES = 96 * 2**20
"""Freed memory from which the process returns some of it."""

MAPPED_BYTES = 32 * 2**20
"""Size from which the C library maps a block by itself, and unmaps it when it is freed; the largest allowed."""


def keep_freed_memory() -> bool:
    """Keep freed memory up to KEPT_BYTES, in one arena for all threads. Return whether the C library can (glibc).

    A request of 20 MB needs 5,000 to 20,000 new pages otherwise, each about 2 us of system time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    options = ((ARENA_MAX, 1), (MMAP_THRESHOLD, MAPPED_BYTES), (TRIM_THRESHOLD, KEPT_BYTES))
    return all(mallopt(option, value) for option, value in options)


def unfilled(size: int) -> bytearray:
    """Return a bytearray of that size whose memory is not written, so that the system does not fetch it."""
    memory = bytearray()
    ctypes.pythonapi.PyByteArray_Resize(ctypes.py_object(memory), ctypes.c_ssize_t(size))
    return memory


class Heap(ctypes.Structure):
    """The result of mallinfo2. `fordblks` counts the bytes that are freed and kept."""

    _fields_ = (("others", ctypes.c_size_t * 8), ("fordblks", ctypes.c_size_t), ("keepcost", ctypes.c_size_t))


def give_back_freed_memory() -> None:
    """Return kept memory to the system if there is much of it. Between blocks in use it has no other bound."""
    try:
        library = ctypes.CDLL(None)
        mallinfo, trim = library.mallinfo2, library.malloc_trim
    except (AttributeError, OSError, TypeError):
        return
    mallinfo.restype = Heap
    if mallinfo().fordblks > MOST_KEPT_BYTES:
        trim(ctypes.c_size_t(KEPT_BYTES))
