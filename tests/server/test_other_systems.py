"""Start the service without what other systems lack. A sitecustomize module hides it from every process."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from tests.bodies import BODY, JSON
from tests.processes import refused, running

# the standard library of this system imports these modules before they are hidden
PRELUDE = """
import asyncio, ctypes, multiprocessing.popen_spawn_posix, os, signal, socket, subprocess, sys, tempfile

def hide(module, *names):
    for name in names:
        vars(module).pop(name, None)

def hide_modules(*names):
    for name in names:
        package, _, own = name.rpartition(".")
        if package in sys.modules:
            # `from package import own` reads the attribute first
            hide(sys.modules[package], own)
        sys.modules[name] = None
"""

SYSTEMS = {
    "macOS": """
class Library:
    def __init__(self, name): assert name is None
ctypes.CDLL = Library
hide(os, "sched_getaffinity")
""",
    "Windows": """
def refuse(name):
    raise TypeError("CDLL(None) is not possible")
ctypes.CDLL = refuse
hide(os, "sched_getaffinity", "fork", "forkpty", "register_at_fork", "getuid", "geteuid")
hide(signal, "SIGHUP", "SIGUSR1", "SIGUSR2", "pthread_sigmask", "setitimer")
pair, family = socket.socketpair, socket.AF_UNIX
socket.socketpair = lambda: pair(family)
hide(socket, "SO_REUSEPORT", "AF_UNIX")
hide_modules("uvloop", "fcntl", "termios", "resource", "pwd", "grp")
""",
    "no zstd": """
hide_modules("backports.zstd", "compression.zstd")
""",
}


def search_path(tmp_path: Path, system: str) -> str:
    """Return a search path for modules with which each process lacks the parts that a system does not have."""
    (tmp_path / "sitecustomize.py").write_text(PRELUDE + SYSTEMS[system], encoding="utf-8")
    return os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("system", ["macOS", "Windows"])
def test_service_answers_on_other_systems(system: str, workers: str, tmp_path: Path) -> None:
    with running("--workers", workers, PYTHONPATH=search_path(tmp_path, system)) as (address, process):
        reply = httpx.post(f"{address}/softmax", json={"logits": [2, 3, 4]})
        assert reply.json()["predictions"] == 2
    assert process.returncode == 0


def test_zstd_is_refused_where_it_is_not_installed(tmp_path: Path) -> None:
    with running(PYTHONPATH=search_path(tmp_path, "no zstd")) as (address, _):
        reply = httpx.post(f"{address}/softmax", content=BODY, headers={**JSON, "Content-Encoding": "zstd"})
        assert (reply.status_code, reply.headers["Accept-Encoding"]) == (415, "gzip, x-gzip, deflate")


def test_unix_socket_on_windows_is_refused_in_one_line(tmp_path: Path) -> None:
    ended = refused("--uds", str(tmp_path / "socket"), PYTHONPATH=search_path(tmp_path, "Windows"))
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "uds: this system has no Unix sockets" in ended.stderr
