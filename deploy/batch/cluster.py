"""Run chunks as tasks of a Ray cluster."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from deploy.batch.errors import BatchError, reason, sentence
from deploy.batch.executor import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.batch.claim import Claim
    from deploy.batch.executor import Chunk, Work
    from deploy.batch.job import Job

AT_ONCE = 1_000
"""Chunks that are handed to Ray at once: enough to let a cluster grow."""

CONNECT_SECONDS = 5
"""Seconds within which a Ray cluster must answer."""

ATTEMPTS = "2"
"""Attempts of Ray to connect to a given address, about a second each."""

START = "start one with ray start --head, or run on this machine alone with --local."


class Ray:
    """A Ray cluster, or one that Ray starts on this machine."""

    capacity = AT_ONCE

    def __init__(self, address: str | None) -> None:
        self._address = address
        self._ray: Any = None
        self._waiting: dict[Any, Chunk] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect, which ends the tasks that still run."""
        if self._ray:
            self._ray.shutdown()

    def start(self, work: Work, job: Job, claim: Claim) -> None:
        """Connect, the first time, and send the job to the cluster. Raises BatchError if that fails."""
        self._ray = self._ray or connect(self._address)
        self.cores = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        self._task = self._ray.remote(work).options(
            num_cpus=1, max_retries=0, scheduling_strategy="SPREAD", runtime_env={"env_vars": VARIABLES}
        )
        self._arguments = self._ray.put(job), claim

    def submit(self, chunk: Chunk, *arguments: Any) -> None:
        """Hand a chunk to Ray."""
        self._waiting[self._task.remote(*self._arguments, chunk, *arguments)] = chunk

    def collect(self) -> tuple[Chunk, Any]:
        """Wait for any chunk."""
        (done,), _ = self._ray.wait(list(self._waiting), num_returns=1)
        chunk = self._waiting.pop(done)
        try:
            return chunk, self._ray.get(done)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, self._ray.exceptions.RayError):
                return (
                    chunk,
                    None,
                )  # not the work, but what Ray does around it, such as to fetch the job from a dead node
            raise BatchError(sentence(error.cause)) from None
        except self._ray.exceptions.RayError:
            return chunk, None


def connect(address: str | None) -> Any:
    """Return the module of Ray, connected to a cluster, or to a new one of this machine. Raises BatchError."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = address or os.environ.get("RAY_ADDRESS")
    if address:
        os.environ.setdefault("RAY_gcs_server_port_wait_time_s", ATTEMPTS)
    try:
        import ray  # noqa: PLC0415 - a run on this machine does without
    except ImportError:
        raise BatchError(
            "Ray is not installed; install ray[default], or run on this machine alone with --local."
        ) from None
    if address and address not in ("auto", "local"):
        check_reachable(address)
    try:
        with no_stderr():
            ray.init(address, log_to_driver=False, logging_level="critical")
    except (ray.exceptions.RayError, ConnectionError, OSError, RuntimeError, ValueError) as error:
        if address == "auto" and isinstance(error, ConnectionError):
            raise BatchError(f"No Ray cluster runs on this machine; {START}") from None
        raise BatchError(
            f"The Ray cluster at {address or 'this machine'} cannot be used ({reason(error)}); "
            f"it must run Ray {ray.__version__}, and its token, if it has one, must be in RAY_AUTH_TOKEN with RAY_AUTH_MODE=token."
        ) from None
    return ray


@contextmanager
def no_stderr() -> Iterator[None]:
    """Discard everything that is written to stderr, also by libraries in C++: Ray logs there before it has a log file."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def check_reachable(address: str) -> None:
    """Raise BatchError if no gRPC server answers at an address: Ray itself tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS):
            pass
        if os.environ.get("RAY_USE_TLS") != "1":
            check_grpc(f"{host}:{port}")
    except (ValueError, OverflowError):
        raise BatchError(f"--address {address} is not host:port, ray://host:port or auto.") from None
    except OSError as error:
        raise BatchError(
            f"No Ray cluster answers at {address} ({os.strerror(error.errno) if error.errno else error}); {START}"
        ) from None


def check_grpc(address: str) -> None:
    """Raise TimeoutError unless a server speaks gRPC."""
    import grpc  # noqa: PLC0415 - comes with Ray

    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(CONNECT_SECONDS)
        except grpc.FutureTimeoutError:
            raise TimeoutError("it is another server") from None
