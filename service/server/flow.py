"""State that the connections of a process share, and the unsent bytes of one in the kernel."""

from __future__ import annotations

import threading
from fcntl import ioctl
from sys import byteorder
from termios import TIOCOUTQ
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

SHORT_READ_BYTES, LONG_READ_BYTES = 2**16, 2**18
"""Bytes read at once; the longer while the application waits for a body."""


class UnreadBytes:
    """Bytes that have arrived on all connections of a process, and that nobody has taken."""

    total = 0


class ReadBuffer(threading.local):
    """Memory for one read, which is copied before the next. Each event loop has a thread."""

    def __init__(self) -> None:
        self.long = memoryview(bytearray(LONG_READ_BYTES))
        self.short = self.long[:SHORT_READ_BYTES]


read_buffer = ReadBuffer()


def bytes_in_kernel(transport: asyncio.Transport) -> int:
    """Return how many bytes the kernel has still to send; 0 where it does not say."""
    try:
        return int.from_bytes(ioctl(transport.get_extra_info("socket").fileno(), TIOCOUTQ, bytes(4)), byteorder)
    except (OSError, ValueError):
        return 0
