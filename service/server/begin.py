"""Begin a coroutine outside of a task: a task costs 15,000 instructions, and most requests need none."""

from __future__ import annotations

import asyncio
from functools import partial
from types import coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator


def begin(running: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
    """Run a coroutine until it waits, and the rest of it in a task, which is one of `tasks` until it ends."""
    try:
        awaited = running.send(None)
    except StopIteration:
        return
    rest = _rest(running, [None, awaited])
    # it has begun too, so that a task that is cancelled at once passes the cancellation on
    rest.send(None)
    task = asyncio.create_task(rest)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def _rest(running: Coroutine[Any, Any, None], awaited: list[Any]) -> None:
    await _resumed(running, awaited)


@coroutine
def _resumed(running: Coroutine[Any, Any, None], awaited: list[Any]) -> Generator[Any, Any, None]:
    """Yield what a coroutine waits for: first what is in the list."""
    while True:
        try:
            yield from awaited
            proceed = partial(running.send, None)
        except BaseException as error:  # noqa: BLE001  it belongs to the coroutine
            proceed = partial(running.throw, error)
        try:
            awaited = [proceed()]
        except StopIteration:
            return
