"""A Ray cluster of two nodes on the loopback of one machine."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from ray.cluster_utils import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "SOFTMAX_RAY_TEST"
"""Variable that every process of a cluster inherits, to find leftover processes."""

VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_PROXY_PREFER_LOCAL_NODE_ROUTING": "0",
}

NODE = {
    "num_cpus": 1,
    "object_store_memory": 100 * 2**20,
    "include_dashboard": False,
}

SYSTEM = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 4,
}
"""Ray notices a dead node within two seconds."""

PATIENCE = 20
"""Seconds in which the processes of a cluster must end."""


class TwoNodes:
    """A cluster to which nodes are added, and of which nodes are killed."""

    def __init__(self, folder: str) -> None:
        self._cluster = Cluster()
        self._cluster.add_node(**NODE, node_ip_address="127.0.0.2", temp_dir=folder, _system_config=SYSTEM)
        self.head = self._cluster.head_node
        self.second = self.add("127.0.0.3")

    @property
    def address(self) -> str:
        """Address of the cluster, for drivers."""
        return str(self._cluster.address)

    def add(self, host: str) -> Any:
        """Add a node, which Ray treats as another machine."""
        return self._cluster.add_node(**NODE, node_ip_address=host)

    def kill(self, node: Any) -> None:
        """Kill all processes of a node at once."""
        self._cluster.remove_node(node, allow_graceful=False)

    def shutdown(self) -> None:
        """End the cluster."""
        self._cluster.shutdown()


@contextmanager
def two_nodes() -> Iterator[TwoNodes]:
    """Run a cluster of two nodes with one core each. None of its processes outlives the block."""
    # paths of Unix sockets have at most 107 characters
    mark, folder = uuid4().hex, tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    # Ray writes there until this process ends
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:
        # RAY_TMPDIR: where Ray notes the address of a cluster, in a folder that it expects to be there
        (Path(folder) / "ray").mkdir()
        for name, value in {**VARIABLES, "RAY_TMPDIR": folder, MARK: mark}.items():
            patch.setenv(name, value)
        cluster = TwoNodes(folder)
        try:
            yield cluster
        finally:
            cluster.shutdown()
            end = time.monotonic() + PATIENCE
            while (left := processes(mark)) and time.monotonic() < end:
                time.sleep(0.1)
            assert left == []


def processes(mark: str) -> list[str]:
    """Return the processes of a cluster, except this one."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes() and int(entry.name) != os.getpid():
                found.append(f"{entry.name} {(entry / 'cmdline').read_text()}")
        except OSError:
            continue
    return found
