"""Test coroutines that begin outside of a task."""

from __future__ import annotations

import asyncio

import pytest

from service.server.begin import begin


async def test_a_coroutine_that_never_waits_needs_no_task() -> None:
    tasks: set[asyncio.Task[None]] = set()
    done = []

    async def run() -> None:
        done.append(asyncio.current_task() is caller)

    caller = asyncio.current_task()
    begin(run(), tasks)
    assert (done, tasks) == ([True], set())


@pytest.mark.parametrize("error", [None, OSError("unplugged")])
async def test_a_coroutine_that_waits_goes_on_in_a_task(error: Exception | None) -> None:
    tasks: set[asyncio.Task[None]] = set()
    future = asyncio.get_running_loop().create_future()
    seen: list[object] = []

    async def run() -> None:
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())
        try:
            seen.append(await future)
        except OSError as raised:
            seen.append(raised)
        async with asyncio.timeout(9):
            seen.append(await asyncio.sleep(0.001, "slept"))

    begin(run(), tasks)
    (task,) = tasks
    await asyncio.sleep(0)
    if error is None:
        future.set_result("result")
    else:
        future.set_exception(error)
    await task
    await asyncio.sleep(0)
    assert seen == [task, error or "result", "slept"]
    assert tasks == set()


@pytest.mark.parametrize("waits", [0, 9], ids=["for a turn", "for a future"])
async def test_a_coroutine_is_cancelled_with_its_task(waits: float) -> None:
    tasks: set[asyncio.Task[None]] = set()
    ends = []

    async def run() -> None:
        try:
            await asyncio.sleep(waits)
        except asyncio.CancelledError:
            ends.append("cancelled")
            await asyncio.sleep(0)
            ends.append("cleaned up")
            raise

    begin(run(), tasks)
    (task,) = tasks
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ends == ["cancelled", "cleaned up"]
