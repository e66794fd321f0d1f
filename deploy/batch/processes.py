"""Run chunks in processes of this machine."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from contextlib import suppress
from functools import partial
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Self

from deploy.batch.errors import BatchError, sentence
from service.server.memory import keep_freed_memory

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkContext, SpawnContext

    from deploy.batch.claim import Claim
    from deploy.batch.executor import Chunk, Work
    from deploy.batch.job import Job

SPAWN = multiprocessing.get_context("spawn")

FIRST = multiprocessing.get_context("fork") if sys.platform == "linux" else SPAWN
"""Start method of the first workers. A forked worker has everything that this process has imported."""


class Processes:
    """Worker processes of this machine, one for each core that this process may use.

    Create it before this process starts a thread or opens a filesystem: a fork would copy locks that threads hold.
    """

    def __init__(self) -> None:
        self.cores = self.capacity = (
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        )
        gc.freeze()  # the collector would copy the memory that the workers share
        self._idle = [Worker(FIRST) for _ in range(self.cores)]
        self._busy: dict[Any, tuple[Worker, Chunk]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the workers: what they write is not visible yet."""
        for worker in [*self._idle, *(worker for worker, _ in self._busy.values())]:
            worker.kill()

    def start(self, work: Work, job: Job, claim: Claim) -> None:
        """Give each worker its work."""
        self._work = partial(work, job, claim)
        for worker in self._idle:
            worker.send(self._work)

    def submit(self, chunk: Chunk, *arguments: Any) -> None:
        """Hand a chunk to an idle worker."""
        worker = self._idle.pop()
        worker.send((chunk, *arguments))
        self._busy[worker.connection] = worker, chunk

    def collect(self) -> tuple[Chunk, Any]:
        """Wait for any chunk."""
        done = wait(list(self._busy))[0]
        worker, chunk = self._busy.pop(done)
        try:
            found = worker.connection.recv()
        except (EOFError, OSError):
            worker.kill()
            worker = Worker(SPAWN)  # by now, threads may run that make a fork unsafe
            worker.send(self._work)
            found = None
        self._idle.append(worker)
        if isinstance(found, BatchError):
            raise found
        return chunk, found


class Worker:
    """A process that answers each chunk. It ends with this process."""

    def __init__(self, context: ForkContext | SpawnContext) -> None:
        self.connection, its = context.Pipe()
        self.process = context.Process(target=_answer, args=(its,), daemon=True)
        self.process.start()
        its.close()

    def send(self, message: Any) -> None:
        """Send a message, unless the worker is dead, which the next attempt to receive shows."""
        with suppress(OSError):
            self.connection.send(message)

    def kill(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()


def _answer(connection: Connection) -> None:
    """Answer each chunk and its arguments with the latest work. Leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):  # the parent has ended
        while True:
            message = connection.recv()
            if isinstance(message, partial):
                work = message
                continue
            try:
                found = work(*message)
            except Exception as error:  # noqa: BLE001 - the parent shows it
                found = BatchError(sentence(error))
            connection.send(found)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
