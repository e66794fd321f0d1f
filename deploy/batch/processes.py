"""Run chunks in processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver
from typing import TYPE_CHECKING, Any, Self

from deploy.batch.executor import VARIABLES

if TYPE_CHECKING:
    from deploy.batch.claim import Claim
    from deploy.batch.executor import Chunk, Work
    from deploy.batch.job import Job


CONTEXT = multiprocessing.get_context("forkserver")
"""A server that has imported everything forks a worker in a few milliseconds, and has no thread that could hold a lock."""


def prepare() -> None:
    """Start the server of the workers, if it is not running yet."""
    os.environ.update(VARIABLES)
    CONTEXT.set_forkserver_preload(["deploy.batch.fit"])
    forkserver.ensure_running()


class Processes:
    """Worker processes of this machine, one for each core that this process may use."""

    def __init__(self, work: Work, job: Job, claim: Claim) -> None:
        self.cores = self.capacity = (
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        )
        self._work = work, job, claim
        prepare()
        self._idle: list[ProcessPoolExecutor] = []
        self._busy: dict[Future[Any], tuple[ProcessPoolExecutor, Chunk]] = {}

    def __enter__(self) -> Self:
        """Start the workers."""
        self._idle = [self._worker() for _ in range(self.cores)]
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the workers: what they write is not visible yet."""
        for worker in [*self._idle, *(worker for worker, _ in self._busy.values())]:
            for process in list((worker._processes or {}).values()):  # noqa: SLF001 - public from Python 3.14 on
                process.kill()
            worker.shutdown(cancel_futures=True)

    def submit(self, chunk: Chunk, *arguments: Any) -> None:
        """Hand a chunk to an idle worker."""
        worker = self._idle.pop()
        self._busy[worker.submit(_do, chunk, *arguments)] = worker, chunk

    def collect(self) -> tuple[Chunk, Any]:
        """Wait for any chunk. A worker of its own for each pool tells which chunk was lost with it."""
        done = next(iter(wait(self._busy, return_when=FIRST_COMPLETED).done))
        worker, chunk = self._busy.pop(done)
        try:
            found = done.result()
        except BrokenProcessPool:
            worker.shutdown()
            self._idle.append(self._worker())
            return chunk, None
        self._idle.append(worker)
        return chunk, found

    def _worker(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, CONTEXT, _start, self._work)


_work: tuple[Any, ...] = ()
"""The function, the job and the claim of a worker process."""


def _start(*work: Any) -> None:
    """Prepare a worker process: it leaves Ctrl-C to its parent, and ends with it."""
    global _work  # noqa: PLW0603 - the pool has no other way to hand a worker its state
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(chunk: Chunk, *arguments: Any) -> Any:
    work, job, claim = _work
    return work(job, claim, chunk, *arguments)
