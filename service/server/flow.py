"""State that the connections of a process share, and the unsent bytes of one in the kernel."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from sys import byteorder
from typing import TYPE_CHECKING

try:
    from fcntl import ioctl
    from termios import TIOCOUTQ
except ImportError:
    # Windows
    ioctl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_UNREAD_BYTES = 2**23
"""Bytes of heads, waiting requests and untaken bodies that all connections of a process may hold."""

SMALL_UNREAD_BYTES = 2**12
"""Bytes that a connection may hold in any case: an ordinary request that arrives in pieces."""

READ_BYTES = 2**17
"""Bytes read at once, except into the memory of a long body."""


class FlowControl:
    """Limits and memory that all connections of an event loop share.

    unread_bytes: bytes of heads, waiting requests and untaken bodies in memory.
    memory: for one read, which is copied before the next.
    """

    unread_bytes = 0

    def __init__(self) -> None:
        self.memory = memoryview(bytearray(READ_BYTES))
        self._line: deque[Callable[[], None]] = deque()

    def exceeds_limit(self, own: int) -> bool:
        """Return whether all connections hold too much for one of them to hold its own bytes."""
        return self.unread_bytes > MAX_UNREAD_BYTES and own > SMALL_UNREAD_BYTES

    def read_buffer(self) -> memoryview:
        """Return memory for one read, a short one if all connections hold too much."""
        return self.memory[:SMALL_UNREAD_BYTES] if self.unread_bytes > MAX_UNREAD_BYTES else self.memory

    def line_up(self, proceed: Callable[[], None]) -> None:
        """Call `proceed` in a later turn of the event loop: one connection that sent ahead goes on in each turn.

        uvloop accepts one connection in a turn, so that long turns would keep new clients waiting.
        """
        self._line.append(proceed)
        if len(self._line) == 1:
            asyncio.get_running_loop().call_soon(self._admit_next)

    def _admit_next(self) -> None:
        proceed = self._line.popleft()
        if self._line:
            asyncio.get_running_loop().call_soon(self._admit_next)
        proceed()


def bytes_in_kernel(transport: asyncio.Transport) -> int:
    """Return how many bytes the kernel has still to send; 0 where it does not say."""
    if ioctl is None:
        return 0
    try:
        return int.from_bytes(ioctl(transport.get_extra_info("socket").fileno(), TIOCOUTQ, bytes(4)), byteorder)
    except (OSError, ValueError):
        return 0


def abort(transport: asyncio.Transport) -> None:
    """Close a connection at once, and drop what the client has not taken: the kernel would keep it until the client leaves."""
    if bytes_in_kernel(transport):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def addresses(transport: asyncio.Transport) -> tuple[tuple[str, int | None], tuple[str, int] | None]:
    """Return the addresses of the server and of the client.

    A Unix socket has a path, and its clients have no address. Neither has a client that has reset the connection.
    """
    server, client = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
    return ((server, None), None) if isinstance(server, str) else (server[:2], client and client[:2])
