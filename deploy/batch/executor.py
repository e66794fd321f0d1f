"""The place where chunks of files run.

`processes` runs them on this machine, `cluster` on Ray. Both run the same function on the same chunks, so they write the same
bits. A chunk whose process died is reported as lost, and the run decides what to do with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from deploy.batch.storage import Entry

Chunk = tuple["Entry", ...]

VARIABLES = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""One thread for each worker: there is a worker for each core."""


class Executor(Protocol):
    """A place where chunks run.

    cores: how many chunks run at once, as far as is known. capacity: how many may be submitted and not yet collected.
    """

    cores: int
    capacity: int

    def __enter__(self) -> Self:
        """Start."""

    def __exit__(self, *_: object) -> None:
        """Stop every worker."""

    def submit(self, chunk: Chunk) -> None:
        """Hand over a chunk."""

    def collect(self) -> tuple[Chunk, dict[str, str] | None]:
        """Wait for any chunk. Return it with its failures by name, or with None if its process died.

        Raises BatchError where `score_chunk` does.
        """
