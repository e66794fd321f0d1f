"""Sockets that the service listens on, and one line if it cannot."""

from __future__ import annotations

import errno
import logging
import os
import socket
import stat
import sys
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from service.schemas.service import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.settings import Settings

log = logging.getLogger("service")

BACKLOG = 2048
"""Connections that the kernel keeps until a process accepts them."""

SOCKET_UMASK = 0o117
"""Permissions that the file of a Unix socket lacks: its owner and its group may connect."""

MAX_TIMEOUT = 2**31 - 1
"""Longest TCP_USER_TIMEOUT, in milliseconds."""

PORT_MISTAKES = {
    errno.EADDRINUSE: "port {port} is in use by another program; choose another with {mend}",
    errno.EACCES: "this user may not listen on port {port}; choose one from 1024 with {mend}",
}


class Listeners(NamedTuple):
    """Listening sockets, which all worker processes share.

    service: for every endpoint. metrics: for /metrics and probes, empty without `metrics_port`.
    """

    service: list[socket.socket]
    metrics: list[socket.socket]

    @property
    def all(self) -> list[socket.socket]:
        """The sockets of both."""
        return [*self.service, *self.metrics]

    def log(self, settings: Settings) -> None:
        """Log the addresses."""
        scheme = "https" if settings.tls_certificate_file else "http"
        for each in self.service:
            log.info("Listening on %s", _address(scheme, each))
        for each in self.metrics:
            log.info("Metrics and probes are on %s", _address("http", each))


@contextmanager
def listening(settings: Settings) -> Iterator[Listeners]:
    """Yield the sockets of the settings. Close them at the end, and remove the file of a Unix socket.

    End the process with one line if it cannot listen.
    """
    with ExitStack() as stack:
        metrics = []
        if settings.metrics_port is not None:
            metrics = _listen_on_port(stack, settings, settings.metrics_port, "metrics_port")
        if settings.uds is None:
            service = _listen_on_port(stack, settings, settings.port, "port")
        else:
            service = [_listen_on_path(stack, settings.uds)]
        yield Listeners(service, metrics)


def _listen_on_port(stack: ExitStack, settings: Settings, port: int, name: str) -> list[socket.socket]:
    """Return a socket for each address of the host. Port 0 selects a free port.

    name: the setting of the port.
    """
    mend = f"--{name.replace('_', '-')} or SOFTMAX_{name.upper()}"
    try:
        found = socket.getaddrinfo(settings.host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        sys.exit(f"{NAME}: host: no such host or address; change --host or SOFTMAX_HOST")
    sockets: list[socket.socket] = []
    for family, kind, protocol, _, address in found:
        # a name such as localhost may have an address of a family that this machine lacks
        with suppress(OSError):
            each = stack.enter_context(socket.socket(family, kind, protocol))
            if os.name == "posix":
                # elsewhere it lets two programs listen on one port
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                # the kernel would keep a response as long as its client neither reads it nor leaves
                milliseconds = min(1000 * settings.keep_alive_seconds, MAX_TIMEOUT)
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
            if family == socket.AF_INET6:
                each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                each.bind((address[0], port, *address[2:]))
                each.listen(BACKLOG)
            except OSError as error:
                if error.errno in PORT_MISTAKES:
                    sys.exit(f"{NAME}: {name}: {PORT_MISTAKES[error.errno].format(port=port, mend=mend)}")
                raise
            sockets.append(each)
            port = each.getsockname()[1]
    if not sockets:
        sys.exit(f"{NAME}: host: not an address of this machine; change --host or SOFTMAX_HOST")
    return sockets


def _listen_on_path(stack: ExitStack, path: Path) -> socket.socket:
    """Return a Unix socket. Replace the file of a socket on which no process listens any more."""
    if not hasattr(socket, "AF_UNIX"):
        sys.exit(f"{NAME}: uds: this system has no Unix sockets; choose a port with --port or SOFTMAX_PORT")
    unix_socket = stack.enter_context(socket.socket(socket.AF_UNIX))
    try:
        if _is_left_over(path):
            path.unlink()
        umask = os.umask(SOCKET_UMASK)
        try:
            unix_socket.bind(str(path))
        finally:
            os.umask(umask)
        stack.callback(_remove, path, path.stat().st_ino)
        unix_socket.listen(BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else error
        sys.exit(f"{NAME}: uds: cannot listen on that path: {reason}; choose another with --uds or SOFTMAX_UDS")
    return unix_socket


def _remove(path: Path, inode: int) -> None:
    """Remove the file of a Unix socket, unless another program has replaced it."""
    with suppress(OSError):
        if path.stat().st_ino == inode:
            path.unlink()


def _is_left_over(path: Path) -> bool:
    """Return whether the path is a socket without a process. End the process if it is something else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(mode):
        sys.exit(f"{NAME}: uds: that path exists and is not a socket; choose another with --uds or SOFTMAX_UDS")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
    sys.exit(f"{NAME}: uds: another program listens on that path; choose another with --uds or SOFTMAX_UDS")


def _address(scheme: str, listener: socket.socket) -> str:
    """Return the address of a socket, as a URL or as unix: and its path."""
    name = listener.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    return f"{scheme}://[{name[0]}]:{name[1]}" if ":" in name[0] else f"{scheme}://{name[0]}:{name[1]}"
