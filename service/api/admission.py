"""How much is worked on at once: the bytes of bodies and of output tensors."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from service.errors import BodyTooLarge, Overloaded, TooMuchWork

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import Gauge

    from service.settings import Settings


class Admission:
    """The bytes in flight of a process, never more than `max_bytes_in_flight`."""

    def __init__(self, settings: Settings, gauge: Gauge) -> None:
        self.max_body_bytes = settings.max_body_bytes
        self.max_bytes = settings.max_bytes_in_flight
        self.small_bytes = min(settings.inline_body_bytes, settings.max_body_bytes)
        self.bytes = 0
        self.on_idle: Callable[[], None] = lambda: None
        """Called when no request holds memory any more."""
        self._gauge = gauge
        self._lock = Lock()

    def check(self, size: int) -> None:
        """Raises BodyTooLarge for a body of that many bytes."""
        if size > self.max_body_bytes:
            raise BodyTooLarge(self.max_body_bytes)

    def take(self, size: int, held: int) -> None:
        """Counts that many bytes more for a request that holds some. Raises, and then counts nothing, TooMuchWork, Overloaded."""
        if held + size > self.max_bytes:
            raise TooMuchWork(self.max_bytes)
        with self._lock:
            if self.bytes + size > self.max_bytes:
                raise Overloaded
            self.bytes += size
        self._gauge.inc(size)

    def give_back(self, size: int) -> None:
        """Counts that many bytes less."""
        with self._lock:
            self.bytes -= size
        self._gauge.dec(size)
        if not self.bytes:
            self.on_idle()


class ByteReservation:
    """What one request has of the bytes in flight: what it has sent and what is made of that, not what it announced."""

    _body_bytes = 0
    _inflated_bytes = 0
    _bytes = 0

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.small_bytes = admission.small_bytes
        """Length up to which a body that has come as a whole is answered at once, so that it need not be counted."""

    def check_length(self, size: int) -> None:
        """Raises BodyTooLarge or Overloaded for a body of that many bytes, before one of them is read."""
        admission = self._admission
        admission.check(size)
        if admission.bytes + size > admission.max_bytes:
            raise Overloaded

    def add_body(self, size: int) -> None:
        """Adds bytes of the body. Raises BodyTooLarge, TooMuchWork, Overloaded."""
        self._body_bytes += size
        self._admission.check(self._body_bytes)
        self.add(size)

    def add_inflated(self, size: int) -> None:
        """Adds bytes of the body as it was before it was compressed. Raises BodyTooLarge, TooMuchWork, Overloaded."""
        self._inflated_bytes += size
        self._admission.check(self._inflated_bytes)
        self.add(size)

    def add(self, size: int) -> None:
        """Adds bytes of what is made of the body. Raises TooMuchWork, Overloaded."""
        self._admission.take(size, self._bytes)
        self._bytes += size

    def add_decoded(self, size: int, *, body_is_kept: bool) -> None:
        """Adds bytes of what is made of the body, beside the body or in its place, whichever is more. Raises as `work` does.

        In its place they count for no less: the text of a reply is about as long.
        """
        self.add(size if body_is_kept else max(0, size - self._bytes))

    def release(self) -> None:
        """Gives all of it back."""
        if self._bytes:
            self._admission.give_back(self._bytes)
            self._bytes = 0
