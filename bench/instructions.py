"""Count the instructions of a request of 1 x 10 logits with Valgrind's cachegrind: `python -m bench.instructions`.

The counts do not depend on the load of the machine. They do depend on the build of Python.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.api.app import create_app
from service.api.context import SERVER
from service.formats import json_decode, json_encode
from service.operations import OPERATIONS, execute
from service.schemas.requests import request_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message

BODY = b'{"logits": [[0.1, 0.2, 0.3, 1, 2, 3, 4, 5, 6, 7]]}'

HEADERS = [(b"host", b"x"), (b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]

COUNTS = (200, 1_200)
"""Repetitions of a step in two runs; the difference of the runs counts."""

CACHES = ("--I1=32768,8,64", "--D1=32768,8,64", "--LL=1048576,16,64")
"""Caches of a core: bytes, ways, bytes of a line."""

REPEATABLE = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "SOFTMAX_LOG_LEVEL": "warning"}

HEAD = """\
| step | instructions | lines of code fetched anew |
| :-- | --: | --: |
"""


ALL = "all, from headers to reply"


def steps() -> dict[str, Callable[[], object]]:
    """Return the steps of a request by name, without ALL."""
    operation = OPERATIONS[0]
    model = request_model(operation)
    sent = json_decode.decode(BODY, operation)
    request = model.read(sent)
    outputs = execute(operation, request.arguments, request.output_names)
    return {
        "text to arrays": partial(json_decode.decode, BODY, operation),
        "arrays to a validated request": partial(model.read, sent),
        "softmax": partial(execute, operation, request.arguments, request.output_names),
        "arrays to text": partial(json_encode.encode, outputs),
    }


class Server:
    """A server that has the whole body of every request, and drops the responses."""

    def __init__(self) -> None:
        self.known: dict[Any, Any] = {}

    def take_body(self) -> bytes:
        """Return the body."""
        return BODY

    def gather(self) -> None:
        """Leave the body as it is."""

    async def receive(self) -> Message:
        """Return a message with the body."""
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(self, message: Message) -> None:
        """Drop a message."""


async def ask(count: int) -> None:
    """Ask the application, without HTTP, for whole bodies that have arrived."""
    app, server = create_app(), Server()
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/softmax", "query_string": b""}
    for _ in range(count):
        await app({**scope, "headers": HEADERS, "extensions": {SERVER: server}}, server.receive, server.send)


def counted(step: str, count: int) -> tuple[int, int]:
    """Return the instructions and the instruction cache misses of a process that repeats a step."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        tool = ["valgrind", "--tool=cachegrind", "--cache-sim=yes", "--cachegrind-out-file=/dev/null", *CACHES]
        command = [*tool, f"--log-file={log}", sys.executable, "-m", "bench.instructions", step, str(count)]
        subprocess.run(command, check=True, env={**os.environ, **REPEATABLE})  # noqa: S603 - the command is ours
        text = log.read_text()
    found = re.findall(r"(?:I +refs|I1 +misses): +([\d,]+)", text)
    instructions, misses = (int(text.replace(",", "")) for text in found)
    return instructions, misses


def main() -> None:
    """Print the table, or repeat one step."""
    if sys.argv[1:]:
        name, count = sys.argv[1], int(sys.argv[2])
        if name == ALL:
            asyncio.run(ask(count))
            return
        step = steps()[name]
        for _ in range(count):
            step()
        return
    sys.stdout.write(HEAD)
    for name in (*steps(), ALL):
        few, many = (counted(name, count) for count in COUNTS)
        done = COUNTS[1] - COUNTS[0]
        instructions, misses = ((more - less) // done for less, more in zip(few, many, strict=True))
        sys.stdout.write(f"| {name} | {instructions:,} | {misses:,} |\n")


if __name__ == "__main__":
    main()
