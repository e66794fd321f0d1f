"""The place where chunks of files run.

`processes` runs them on this machine, `cluster` on Ray. Both run the same function on the same chunks, so they write the same
bits. A chunk whose process died is reported as lost, and the run decides what to do with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from deploy.batch.claim import Claim
    from deploy.batch.job import Job
    from deploy.batch.storage import Entry

Chunk = tuple["Entry", ...]

Work = Callable[..., Any]
"""A function of a module, which returns something of a job, a claim, a chunk, and the arguments of `Executor.submit`."""

VARIABLES = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYDANTIC_DISABLE_PLUGINS": "__all__"}
"""One thread for each worker, since there is a worker for each core; and no search for plugins, which takes 0.05 s."""


class Executor(Protocol):
    """A place where chunks run.

    cores: how many chunks run at once, as far as is known. capacity: how many may be submitted and not yet collected.
    """

    cores: int
    capacity: int

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None:
        """Stop every worker."""

    def start(self, work: Work, job: Job, claim: Claim) -> None:
        """Set the work of the chunks that follow. Raises BatchError if no cluster can be reached."""

    def submit(self, chunk: Chunk, *arguments: Any) -> None:
        """Hand over a chunk."""

    def collect(self) -> tuple[Chunk, Any]:
        """Wait for any chunk. Return it with what the work returns of it, or with None if its process died.

        Raises BatchError where the work does.
        """
