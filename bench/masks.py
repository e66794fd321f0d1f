"""Time requests with excluded classes beside requests without: `python -m bench.masks`.

Whole requests to the application in this process, JSON in and out; CPU time, the least of many repeats in turns.
"""

from __future__ import annotations

import asyncio
import json
import sys
from time import process_time
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.tables import markdown
from service.api.app import create_app
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message

SHAPES = ((1, 10), (64, 1_000), (1_024, 1_000))

EXCLUDED = "-Infinity"

REPEATS, REPEAT_ELEMENTS = 9, 10_000
"""Measurements, and the logits of all requests in one of them, at least."""


def bodies(rows: int, classes: int) -> dict[str, bytes]:
    """Return requests for the same logits, as they are and with excluded classes."""
    random = np.random.default_rng(0)
    logits = random.normal(scale=3.0, size=(rows, classes)).tolist()
    mask = (np.arange(classes) % 3 > 0).astype(int).tolist()
    one_each = [[EXCLUDED, *row[1:]] for row in logits]
    third = [[number if kept else EXCLUDED for number, kept in zip(row, mask, strict=True)] for row in logits]
    requests: dict[str, dict[str, Any]] = {
        "none": {"logits": logits},
        '"-Infinity" in one row': {"logits": [one_each[0], *logits[1:]]},
        '"-Infinity" in every row': {"logits": one_each},
        '"-Infinity" for a third of the classes': {"logits": third},
        "`mask` (K) of a third of the classes": {"logits": logits, "mask": mask},
        "`mask` (N, K) of a third of the classes": {"logits": logits, "mask": [mask] * rows},
    }
    return {name: json.dumps(request).encode() for name, request in requests.items()}


def asker() -> Callable[[bytes], None]:
    """Return a function that sends a body to the application, without a server."""
    app, loop = create_app(Settings(log_level="warning")), asyncio.new_event_loop()

    def ask(body: bytes) -> None:
        received = iter([body])

        async def receive() -> Message:
            part = next(received, None)
            if part is None:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": part, "more_body": False}

        async def send(message: Message) -> None:
            assert message.get("status", 200) == 200, message  # noqa: PLR2004

        headers = [(b"host", b"x"), (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        scope = {"type": "http", "method": "POST", "path": "/softmax", "query_string": b"", "headers": headers}
        loop.run_until_complete(app(scope, receive, send))

    return ask


def seconds(ask: Callable[[bytes], None], body: bytes, count: int) -> float:
    """Return the mean CPU seconds of a request."""
    start = process_time()
    for _ in range(count):
        ask(body)
    return (process_time() - start) / count


def measured() -> str:
    """Return the table: CPU time of a request over that of one without excluded classes."""
    ask = asker()
    columns = []
    for rows, classes in SHAPES:
        requests, count = bodies(rows, classes), max(1, REPEAT_ELEMENTS // (rows * classes))
        turns = [[seconds(ask, body, count) for body in requests.values()] for _ in range(REPEATS)]
        least = [min(each) for each in zip(*turns, strict=True)]
        columns.append([f"{each / least[0]:.2f}" for each in least])
    names = list(bodies(1, 1))
    lines = [[name, *cells] for name, *cells in zip(names, *columns, strict=True)]
    return markdown(["excluded", *(f"{rows} x {classes}" for rows, classes in SHAPES)], lines)


if __name__ == "__main__":
    sys.stdout.write(measured())
