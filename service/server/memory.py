"""Pages of memory: the system clears each that is fetched, which takes longer than to fill it, so as few are as can be."""

from __future__ import annotations

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
"""Options of mallopt, as malloc.h numbers them."""

KEPT_BYTES = 64 * 2**20
"""Freed memory that the process keeps; what a request of 20 MB takes."""

MAPPED_BYTES = 32 * 2**20
"""Pieces of memory from which on each is given back when it is freed; the highest that the C library allows."""


def keep_freed_memory() -> bool:
    """Has the process keep what it frees, up to KEPT_BYTES, in one place for all of its threads.

    A request of 20 MB is given 5,000 to 20,000 fresh pages otherwise, each about 2 us of system time. True if the C library can
    do that: glibc can, others are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    options = ((ARENA_MAX, 1), (MMAP_THRESHOLD, MAPPED_BYTES), (TRIM_THRESHOLD, KEPT_BYTES))
    return all(mallopt(option, value) for option, value in options)


class Heap(ctypes.Structure):
    """What mallinfo2 tells of the memory of the process, in its own words; `fordblks` are the bytes that are freed, and kept."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    )


def give_back_freed_memory() -> None:
    """Gives back most of what is kept if it is twice KEPT_BYTES: what lies between pieces in use has no bound by itself."""
    try:
        library = ctypes.CDLL(None)
        mallinfo, trim = library.mallinfo2, library.malloc_trim
    except (AttributeError, OSError, TypeError):
        return
    mallinfo.restype = Heap
    if mallinfo().fordblks > 2 * KEPT_BYTES:
        trim(ctypes.c_size_t(KEPT_BYTES))


def unfilled(size: int) -> bytearray:
    """A bytearray of that size, whose memory is not touched before something is put there; until then it holds anything."""
    body = bytearray()
    # bytearray(size) fills it with zeros: a client that announces much and sends little would have all of it fetched
    ctypes.pythonapi.PyByteArray_Resize(ctypes.py_object(body), ctypes.c_ssize_t(size))
    return body
