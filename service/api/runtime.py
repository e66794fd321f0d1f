"""State that all requests of a process share."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

from service.api.admission import Admission
from service.api.context import Disconnected
from service.api.lifecycle import Lifecycle
from service.api.observability import logs, tracing
from service.api.observability.metrics import Metrics
from service.api.security import Hosts, Keys, Origins, Proxies
from service.compute.blocks import usable_cores
from service.errors import Overloaded, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.api.context import RequestContext
    from service.settings import Settings

T = TypeVar("T")

STACK_BYTES = 2**23
"""Stack of a thread, as glibc has it. musl gives 128 kB, and Python's JSON reader takes over 1 MB for a text nested too deeply."""

TURN_SECONDS = 0.005
"""Time that requests may take in one turn of the event loop before further ones wait for the next turn."""


class Runtime:
    """The limits, counters and threads of a process.

    threads: one for each usable core; more would take memory and delay the event loop, and not be faster.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.traces = settings.tracing
        self.metrics = Metrics()
        self.admission = Admission(settings, self.metrics.bytes_in_flight)
        self.hosts = Hosts(settings.trusted_hosts)
        self.origins = Origins(settings.cors_origins)
        self.keys = Keys(settings.read_keys())
        self.proxies = Proxies(settings.trusted_proxies)
        self.lifecycle = Lifecycle()
        threading.stack_size(STACK_BYTES)
        self.threads = ThreadPoolExecutor(usable_cores(), thread_name_prefix="softmax")
        self._turn_started: float | None = None

    def publish(self) -> None:
        """Bring the metrics of this process up to date."""
        self.metrics.in_flight.set(self.lifecycle.in_progress)
        self.metrics.flush()

    def begin(self) -> None:
        """Count a request of an operation, which is to be answered, if only with a refusal."""
        self.lifecycle.in_progress += 1
        if self.metrics.shared:
            self.publish()

    def end(self, context: RequestContext) -> None:
        """Count a request of an operation as answered."""
        self.lifecycle.in_progress -= 1
        self.lifecycle.closed_a_connection = self.lifecycle.leaving
        self.record(context)

    def record(self, context: RequestContext) -> None:
        """Count and log a request after its response."""
        seconds = perf_counter() - context.started
        self.metrics.count(context, seconds)
        if self.metrics.shared:
            self.publish()
        if self.traces:
            self.note_trace(context)
        logs.log_request(context, seconds, self.proxies)

    def note_trace(self, context: RequestContext) -> None:
        """Note the trace of the current span, if there is one, for the log."""
        context.trace_id = tracing.current_trace_id() or context.trace_id

    def turn_has_time(self) -> bool:
        """Return whether this turn of the event loop has time for a further request."""
        now = perf_counter()
        if self._turn_started is None:
            self._turn_started = now
            asyncio.get_running_loop().call_soon(self._end_turn)
        return now - self._turn_started < TURN_SECONDS

    def _end_turn(self) -> None:
        self._turn_started = None

    async def in_thread(self, context: RequestContext, work: Callable[[], T]) -> T:
        """Return the result of work in a thread. Work that still waits is dropped when the client leaves.

        Raise Overloaded if no thread is free within `max_wait_seconds`, Disconnected, and the errors of work.
        """
        future = self.threads.submit(_without_frames, work)
        # `cancel` has no effect on work that has begun
        timer = asyncio.get_running_loop().call_later(self.settings.max_wait_seconds, future.cancel)
        try:
            with context.watched(future.cancel):
                return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise (Disconnected if context.gone else Overloaded) from None
        finally:
            timer.cancel()


def _without_frames(work: Callable[[], T]) -> T:
    """Return the result of work, and raise its errors without a traceback.

    The frames of a traceback keep the body alive, in a cycle with the futures that pass the error on.
    """
    try:
        return work()
    except (ServiceError, Disconnected) as error:
        error.__context__ = None
        raise error.with_traceback(None) from None
