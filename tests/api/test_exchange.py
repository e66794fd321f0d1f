"""Work that is begun at once: what is left of it when it has to wait, and what becomes of that."""

from __future__ import annotations

import asyncio

import pytest

from service.api.exchange import begin


async def test_work_that_never_waits_is_done_at_once() -> None:
    done = []

    async def work() -> None:
        done.append("all")

    assert begin(work()) is None
    assert done == ["all"]


async def test_work_that_waits_is_done_as_far_as_that_and_the_rest_when_it_is_awaited() -> None:
    done, go_on = [], asyncio.Event()

    async def work() -> None:
        done.append("first")
        await go_on.wait()
        done.append("second")
        await asyncio.sleep(0.01)
        done.append("third")

    rest = begin(work())
    assert rest is not None
    assert done == ["first"]
    asyncio.get_running_loop().call_soon(go_on.set)
    await rest
    assert done == ["first", "second", "third"]


async def test_what_work_raises_comes_out_at_once_or_with_the_rest() -> None:
    async def work(*, waits: bool) -> None:
        if waits:
            await asyncio.sleep(0)
        raise ValueError(waits)

    with pytest.raises(ValueError, match="False"):
        begin(work(waits=False))
    rest = begin(work(waits=True))
    assert rest is not None
    with pytest.raises(ValueError, match="True"):
        await rest


async def test_a_cancellation_reaches_the_work_where_it_waits_and_lets_it_end_in_order() -> None:
    done = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            done.append("in order")

    rest = begin(work())
    assert rest is not None
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await rest
    assert done == ["in order"]
