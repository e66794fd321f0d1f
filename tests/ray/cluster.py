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
"""A variable that every process of a cluster inherits, by which those that are left over are found."""

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
"""A dead node is noticed in two seconds."""

PATIENCE = 20
"""Seconds that the processes of a cluster have to end."""


class TwoNodes:
    """A cluster, to which nodes are added and in which they are killed."""

    def __init__(self, folder: str) -> None:
        self._cluster = Cluster()
        self._cluster.add_node(**NODE, node_ip_address="127.0.0.2", temp_dir=folder, _system_config=SYSTEM)
        self.head = self._cluster.head_node
        self.second = self.add("127.0.0.3")

    @property
    def address(self) -> str:
        """Where a driver finds it."""
        return str(self._cluster.address)

    def add(self, host: str) -> Any:
        """Another node, of which Ray believes that it is another machine."""
        return self._cluster.add_node(**NODE, node_ip_address=host)

    def kill(self, node: Any) -> None:
        """Ends all processes of a node at once."""
        self._cluster.remove_node(node, allow_graceful=False)

    def shutdown(self) -> None:
        """Ends the cluster."""
        self._cluster.shutdown()


@contextmanager
def two_nodes() -> Iterator[TwoNodes]:
    """A cluster of two nodes with one core each; no process of it outlives the block."""
    mark, folder = uuid4().hex, tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    # Ray writes there until this process ends
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**VARIABLES, MARK: mark}.items():
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
    """The processes of a cluster, this one not among them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes() and int(entry.name) != os.getpid():
                found.append(f"{entry.name} {(entry / 'cmdline').read_text()}")
        except OSError:
            continue
    return found
