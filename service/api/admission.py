"""Memory for bodies and output tensors: at most `max_bytes_in_flight`, given to requests in order of arrival."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from service.errors import BodyTooLarge, Overloaded, TooMuchWork

if TYPE_CHECKING:
    from prometheus_client import Gauge

    from service.settings import Settings

PACE_CHECK_SECONDS = 0.5
"""Time between two checks of the pace of a body."""

PACE_SECONDS = 10.0
"""A body keeps memory for its unread part as long as it arrives fast enough to be complete within this time."""


@dataclass(eq=False, slots=True)
class _Waiter:
    """A request that waits for memory, until it has it or has to give way."""

    size: int
    held: int
    queue: dict[_Waiter, None]
    has_memory: bool = False
    is_served: asyncio.Event = field(default_factory=asyncio.Event)


class Admission:
    """The memory of a process for requests.

    A request that does not fit waits. Requests that already hold much memory come first, because they free it; a small
    one overtakes large ones.
    """

    def __init__(self, settings: Settings, gauge: Gauge) -> None:
        self.max_body_bytes = settings.max_body_bytes
        self.max_bytes = settings.max_bytes_in_flight
        self.small_bytes = min(settings.inline_body_bytes, settings.max_body_bytes)
        self.bytes = 0
        self._max_wait_seconds = settings.max_wait_seconds
        self._gauge = gauge
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        # dictionaries, for their order and for fast removal
        self._small: dict[_Waiter, None] = {}
        self._growing: dict[_Waiter, None] = {}
        self._arriving: dict[_Waiter, None] = {}
        self._held_by_waiting = 0

    @property
    def waiting(self) -> int:
        """The number of requests that wait for memory."""
        return len(self._small) + len(self._growing) + len(self._arriving)

    def check_length(self, size: int, announced: int | None = None) -> None:
        """Raise BodyTooLarge for a body of that many bytes; announced: its whole length, if it is known."""
        if size > self.max_body_bytes:
            raise BodyTooLarge(self.max_body_bytes, announced)

    def try_take(self, size: int) -> bool:
        """Take memory if there is room for it, and return whether there was. Threads may call this."""
        with self._lock:
            if self.bytes + size > self.max_bytes:
                return False
            self.bytes += size
        self._gauge.inc(size)
        return True

    def try_take_in_order(self, size: int, held: int) -> bool:
        """Take memory for a request that holds some, unless others come first. Return as `try_take`. Threads may call this."""
        may_overtake = self._queue(size, held) is not self._arriving or not (self._growing or self._arriving)
        return may_overtake and self.try_take(size)

    def _queue(self, size: int, held: int) -> dict[_Waiter, None]:
        """Return the queue of a request."""
        if size <= self.small_bytes:
            return self._small
        return self._growing if held > self.small_bytes else self._arriving

    async def take(self, size: int, held: int) -> None:
        """Take memory for a request that holds some, and wait for room up to `max_wait_seconds`.

        Raise TooMuchWork if there can never be room, Overloaded if there is none in time.
        """
        if held + size > self.max_bytes:
            raise TooMuchWork(self.max_bytes)
        if self.try_take_in_order(size, held):
            return
        self._loop = asyncio.get_running_loop()
        queue = self._queue(size, held)
        waiter = _Waiter(size, held, queue)
        queue[waiter] = None
        self._held_by_waiting += held
        self._serve_waiting()
        try:
            async with asyncio.timeout(self._max_wait_seconds):
                await waiter.is_served.wait()
        except BaseException as error:
            if waiter in queue:
                self._serve(waiter, has_memory=False)
                self._serve_waiting()
            elif waiter.has_memory:
                # it came together with the end of the request
                self.give_back(size)
            if isinstance(error, TimeoutError):
                raise Overloaded from None
            raise
        if not waiter.has_memory:
            raise Overloaded

    def give_back(self, size: int) -> None:
        """Free memory. Threads may call this."""
        with self._lock:
            self.bytes -= size
        self._gauge.dec(size)
        if self._loop is not None and self.waiting:
            self._loop.call_soon_threadsafe(self._serve_waiting)

    def _serve_waiting(self) -> None:
        """Give memory to the requests that wait, in order. Behind a request that does not fit only small ones get some."""
        self._serve_queue(self._small)
        if self._serve_queue(self._growing):
            self._serve_queue(self._arriving)
        if self._held_by_waiting and self._held_by_waiting >= self.bytes:
            # no request is at work that would free memory: the newest has to
            queues = (self._growing, self._small, self._arriving)
            newest = next(waiter for queue in queues for waiter in reversed(queue) if waiter.held)
            self._serve(newest, has_memory=False)

    def _serve_queue(self, queue: dict[_Waiter, None]) -> bool:
        """Give memory to the requests of a queue, in order, and return whether there was room for all."""
        while queue:
            waiter = next(iter(queue))
            if not self.try_take(waiter.size):
                return False
            self._serve(waiter, has_memory=True)
        return True

    def _serve(self, waiter: _Waiter, *, has_memory: bool) -> None:
        del waiter.queue[waiter]
        self._held_by_waiting -= waiter.held
        waiter.has_memory = has_memory
        waiter.is_served.set()


class Gathering(Protocol):
    """A body that arrives in memory of its length."""

    gathered_bytes: int

    def stop_gathering(self) -> None:
        """Free the memory that is not filled, and deliver the rest of the body in pieces."""


class NoRoom(Exception):
    """The limit has no room for more of a decompressed body. size: memory to wait for before it is decompressed again."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class ByteReservation:
    """The memory of one request: for its body before it is read, then for its tensors too."""

    _bytes = 0
    _body_bytes = 0
    _inflated_bytes = 0
    _length = 0
    _is_open = False
    _started = 0.0
    _timer: asyncio.TimerHandle | None = None
    gathering: Gathering | None = None
    """The body that a server reads into its place, without a message for each piece."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.small_bytes = admission.small_bytes
        """Longest body that needs no reservation if it arrives as a whole, because it is answered at once."""

    async def reserve_body(self, length: int, factor: int = 1) -> None:
        """Wait for room for a body of known length, before it is read.

        factor: memory that the request takes in all, in units of the body. Raise BodyTooLarge or Overloaded.
        """
        self._admission.check_length(length, length)
        await self._grow_to(min(factor * length, self._admission.max_bytes))
        self._watch_pace(length)

    async def add_body(self, size: int) -> None:
        """Count bytes of the body that have arrived. Raise BodyTooLarge or Overloaded.

        A body that exceeds its reservation waits for more: for all that it can need if its length is unknown.
        """
        self._body_bytes += size
        self._admission.check_length(self._body_bytes)
        if self._body_bytes <= self._bytes:
            return
        if self._length or self._body_bytes <= self.small_bytes:
            await self._grow_to(self._body_bytes)
        else:
            self._is_open = True
            await self._grow_to(self._admission.max_body_bytes)
            self._watch_pace(self._admission.max_body_bytes)

    def end_body(self) -> None:
        """Free what a body of unknown length did not need."""
        if not self._bytes:
            # a body without memory has no timer
            return
        self._stop_timer()
        if self._is_open:
            self._shrink_to(self._body_bytes)

    def add_inflated(self, size: int) -> None:
        """Count bytes of the decompressed body. Raise BodyTooLarge or TooMuchWork, or NoRoom to decompress it again."""
        self._inflated_bytes += size
        self._admission.check_length(self._inflated_bytes)
        if not self.try_reserve(self._body_bytes + self._inflated_bytes):
            raise NoRoom(min(self._body_bytes + self._admission.max_body_bytes, self._admission.max_bytes))

    def needed_for(self, work_bytes: int, *, body_is_kept: bool) -> int:
        """Return the memory for a body and its tensors.

        Without views of the body its memory is free before the tensors are encoded; the text is about as long.
        """
        body = self._inflated_bytes or self._body_bytes
        return body + work_bytes if body_is_kept else max(body, work_bytes)

    def try_reserve(self, size: int) -> bool:
        """Reserve memory in all if there is room and no other request comes first. Return whether it did. Raise TooMuchWork."""
        if size > self._admission.max_bytes:
            raise TooMuchWork(self._admission.max_bytes)
        if size > self._bytes:
            if not self._admission.try_take_in_order(size - self._bytes, self._bytes):
                return False
            self._bytes = size
        return True

    async def reserve(self, size: int) -> None:
        """Wait for room for memory in all, holding the body, which is decoded again. Raise Overloaded or TooMuchWork."""
        self._inflated_bytes = 0
        self._shrink_to(self._body_bytes)
        await self._grow_to(size)

    def release(self) -> None:
        """Free all memory."""
        if self._bytes:
            self._stop_timer()
            self._shrink_to(0)

    async def _grow_to(self, size: int) -> None:
        if size > self._bytes:
            await self._admission.take(size - self._bytes, self._bytes)
            self._bytes = size

    def _shrink_to(self, size: int) -> None:
        if size < self._bytes:
            excess, self._bytes = self._bytes - size, size
            self._admission.give_back(excess)

    def _watch_pace(self, length: int) -> None:
        """Begin to check the pace of a body of at most that length."""
        loop = asyncio.get_running_loop()
        self._length, self._started = length, loop.time()
        self._timer = loop.call_later(PACE_CHECK_SECONDS, self._check_pace)

    def _check_pace(self) -> None:
        """Free the memory for the unread part of a slow body; it must not keep others waiting."""
        loop = asyncio.get_running_loop()
        elapsed = loop.time() - self._started
        arrived = self.gathering.gathered_bytes if self.gathering else self._body_bytes
        if arrived < self._length * elapsed / PACE_SECONDS:
            self._timer = None
            if self.gathering:
                self.gathering.stop_gathering()
            self._shrink_to(arrived)
        else:
            self._timer = loop.call_later(PACE_CHECK_SECONDS, self._check_pace)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
