"""What all requests of a process share."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

from service.api.admission import Admission
from service.api.context import Disconnected
from service.api.lifecycle import Lifecycle
from service.api.observability import logs
from service.api.observability.metrics import Metrics
from service.api.security import Keys
from service.errors import Overloaded, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.api.context import RequestContext
    from service.settings import Settings

T = TypeVar("T")


class Runtime:
    """The limits, counters and threads of a process.

    threads: as many as there are cores; more would not be faster, but hold more memory.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.admission = Admission(settings, self.metrics.bytes_in_flight)
        self.keys = Keys(settings.keys)
        self.lifecycle = Lifecycle(settings)
        self.threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="softmax")

    def publish(self) -> None:
        """Brings the metrics of the process up to date."""
        self.metrics.in_flight.set(self.lifecycle.taken)
        self.metrics.flush()

    def begin(self) -> None:
        """Notes that an operation is being asked for."""
        self.lifecycle.begin()
        if self.metrics.shared:
            self.publish()

    def end(self, context: RequestContext) -> None:
        """Notes that an operation is answered."""
        self.lifecycle.end()
        self.record(context)

    def record(self, context: RequestContext) -> None:
        """Counts and logs a request that is answered."""
        seconds = perf_counter() - context.started
        self.metrics.count(context, seconds)
        if self.metrics.shared:
            self.publish()
        logs.note(context, seconds)

    async def in_thread(self, context: RequestContext, work: Callable[[], T]) -> T:
        """The result of work that a thread does; it is not begun if the client leaves first.

        Raises Overloaded if no thread is free within `max_wait_seconds`, Disconnected, and what work raises.
        """
        future = self.threads.submit(_unburdened, work)
        # this, too, cancels nothing that has begun
        patience = asyncio.get_running_loop().call_later(self.settings.max_wait_seconds, future.cancel)
        leaving = asyncio.create_task(context.disconnected())
        leaving.add_done_callback(lambda _: future.cancel())
        try:
            return await asyncio.shield(asyncio.wrap_future(future))
        except asyncio.CancelledError:
            if not future.cancelled():
                raise
            raise (Disconnected if context.gone else Overloaded) from None
        finally:
            patience.cancel()
            leaving.cancel()


def _unburdened(work: Callable[[], T]) -> T:
    """The result of work.

    A refusal comes without the frames that raised it: they hold the body, and the futures on its way out hold them in a
    cycle that outlives hundreds of requests.
    """
    try:
        return work()
    except (ServiceError, Disconnected) as error:
        error.__context__ = None
        raise error.with_traceback(None) from None
