"""One run at a destination at a time.

A run announces itself with a file in `_claims/` and then looks for others: of two runs that start together, at least one sees
the other and gives way. A claim is void when its process is dead, or, if that ran on another machine, when the claim was not
renewed for `SILENCE` seconds. Workers check the claim before a file becomes visible, so a worker that outlives its run
changes nothing.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from deploy.batch.errors import BatchError, reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.batch.storage import Folder

FOLDER = "_claims"

RENEWAL = 15.0
"""Seconds between two renewals of a claim."""

SILENCE = 120.0
"""Seconds after which the claim of another machine is void."""


def machine() -> str:
    """Return an identifier of the kernel and the process namespace, within which process ids have a meaning."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def started(process: int) -> str | None:
    """Return when a process started, in the kernel's own unit; None if it does not run."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except FileNotFoundError:
        return None


@dataclass(frozen=True)
class Claim:
    """The entry of one run in the destination.

    digest: of the command. started: the start of the process, which tells it from a later one with its number.
    """

    digest: str
    host: str = field(default_factory=socket.gethostname)
    machine: str = field(default_factory=machine)
    process: int = field(default_factory=os.getpid)
    started: str | None = field(default_factory=lambda: started(os.getpid()))
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    id: str = field(default_factory=lambda: uuid4().hex)

    @property
    def name(self) -> str:
        """The name of the file."""
        return f"{FOLDER}/{self.id}.json"

    def write(self, destination: Folder) -> None:
        """Write the claim, or renew it. Raises OSError."""
        with destination.write(self.name) as file:
            file.write(json.dumps(asdict(self)).encode())

    def check(self, destination: Folder) -> None:
        """Raise BatchError if another run removed the claim."""
        try:
            lost = not destination.has(self.name)
        except OSError:
            return  # what cannot be read cannot be written either, which is an error of its own
        if lost:
            raise BatchError(f"Another run took {destination} over; run the command again when it has ended.")


@contextmanager
def claimed(destination: Folder, digest: str) -> Iterator[Claim]:
    """Hold a destination for one run. Raises BatchError if another run holds it, or if it cannot be written."""
    claim = Claim(digest)
    try:
        claim.write(destination)
    except OSError as error:
        raise BatchError(f"{destination} cannot be written: {reason(error)}.") from None
    try:
        _give_way(destination, claim)
        stop = threading.Event()
        renewal = threading.Thread(target=_renew, args=(destination, claim, stop), daemon=True)
        renewal.start()
        try:
            yield claim
        finally:
            stop.set()
            renewal.join()
    finally:
        destination.remove(claim.name)


def _give_way(destination: Folder, claim: Claim) -> None:
    """Raise BatchError if another claim is valid, and remove those that are void."""
    for name in {entry.name for entry in destination.entries(FOLDER)} - {claim.name}:
        try:
            other = Claim(**json.loads(destination.read(name)))
        except FileNotFoundError:
            continue
        if _is_void(destination, claim, other):
            destination.remove(name)
            continue
        command = "the same command" if other.digest == claim.digest else "another command"
        raise BatchError(
            f"{destination} is in use: process {other.process} on {other.host} runs {command} since {other.since}; "
            "wait for it, or choose another destination."
        )


def _is_void(destination: Folder, claim: Claim, other: Claim) -> bool:
    if other.machine == claim.machine:
        return other.started != started(other.process)
    own, its = destination.modified(claim.name), destination.modified(other.name)
    return own is not None and its is not None and (own - its).total_seconds() > SILENCE


def _renew(destination: Folder, claim: Claim, stop: threading.Event) -> None:
    """Renew a claim until stopped, or until another run removed it."""
    while not stop.wait(RENEWAL):
        try:
            if not destination.has(claim.name):
                return
            claim.write(destination)
        except OSError:
            continue  # a full disk or a lost network: the next renewal may do
