"""A server in a thread of this process."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import uvicorn

from service.server.flow import FlowControl
from service.server.protocol import HttpProtocol
from tests.bodies import BODY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

    from tests.certificates import Certificate

CLIENT_TIMEOUT = 0.2
"""Seconds that an impatient server waits for a client."""

HEAD = b"POST /softmax HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)


@contextmanager
def serving(
    app: ASGIApp,
    loop: Literal["uvloop", "asyncio"] = "uvloop",
    *,
    client_timeout: float = 10,
    flow: FlowControl | None = None,
    certificate: Certificate | None = None,
) -> Iterator[int]:
    """Yield the port of a server in a thread of this process."""
    http: Any = partial(HttpProtocol, flow=flow or FlowControl())
    config = uvicorn.Config(app, port=0, loop=loop, http=http, ws="none", log_config=None)
    if certificate is not None:
        config.ssl_certfile, config.ssl_keyfile = map(str, certificate)
    config.timeout_keep_alive = client_timeout  # type: ignore[assignment]  # tests need a fraction of a second
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


def unsent_bytes(port: int, client_port: int) -> int:
    """Return the bytes that the kernel keeps for a client on this machine."""
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, *ends, _, queues = line.split()[:5]
        if [int(end.rpartition(":")[2], 16) for end in ends] == [port, client_port]:
            return int(queues.partition(":")[0], 16)
    return 0


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true, for at most 10 seconds."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError
