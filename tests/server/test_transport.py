"""What is written to a connection comes out whole, in order, and in as few pieces as can be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.server.transport import CORKED_BYTES, Corked
from tests.api.clients import BODY, application
from tests.server.sockets import HEAD, LENGTH, answer, serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.formats import Piece


class Wire:
    """A connection that remembers what was done to it."""

    def __init__(self) -> None:
        self.done: list[bytes | str] = []

    def writelines(self, pieces: Sequence[Piece]) -> None:
        self.done.append(b"".join(pieces))

    def write_eof(self) -> None:
        self.done.append("eof")

    def close(self) -> None:
        self.done.append("close")

    def is_closing(self) -> bool:
        return "close" in self.done

    def get_extra_info(self, name: str) -> str:
        return name


def corked() -> tuple[Wire, Corked]:
    """A connection, and what is written to in its place."""
    wire: Any = Wire()
    return wire, Corked(wire, asyncio.get_running_loop())


async def turn() -> None:
    """The rest of this turn of the loop."""
    await asyncio.sleep(0)


async def test_what_is_written_in_one_turn_is_sent_together_at_its_end() -> None:
    wire, transport = corked()
    transport.write(b"head ")
    transport.write(memoryview(b"body"))
    assert wire.done == []
    await turn()
    transport.write(b"next")
    await turn()
    await turn()
    assert wire.done == [b"head body", b"next"]


async def test_what_is_long_is_sent_at_once_behind_what_was_kept() -> None:
    wire, transport = corked()
    transport.write(b"head ")
    transport.write(b"a" * CORKED_BYTES)
    assert wire.done == [b"head " + b"a" * CORKED_BYTES]
    transport.write(b"tail")
    await turn()
    assert wire.done[1:] == [b"tail"]


@pytest.mark.parametrize("end", ["close", "write_eof"])
async def test_what_was_written_goes_out_before_the_end(end: str) -> None:
    wire, transport = corked()
    transport.write(b"last words")
    getattr(transport, end)()
    await turn()
    assert wire.done == [b"last words", end.removeprefix("write_")]


async def test_nothing_is_sent_to_who_is_gone() -> None:
    wire, transport = corked()
    transport.write(b"too late")
    wire.close()
    await turn()
    transport.write(b"a" * 2 * CORKED_BYTES)
    assert wire.done == ["close"]


async def test_whatever_else_a_transport_does_it_does() -> None:
    assert corked()[1].get_extra_info("sockname") == "sockname"


@given(st.lists(st.integers(0, 2 * CORKED_BYTES) | st.none(), max_size=20))
def test_nothing_is_lost_or_out_of_order(sizes: list[int | None]) -> None:
    pieces = [None if size is None else bytes([number]) * size for number, size in enumerate(sizes)]

    async def write() -> list[bytes | str]:
        wire, transport = corked()
        for piece in pieces:
            await turn() if piece is None else transport.write(piece)
        transport.close()
        return wire.done

    *sent, end = asyncio.run(write())
    assert end == "close"
    assert b"".join(each for each in sent if isinstance(each, bytes)) == b"".join(each or b"" for each in pieces)


async def test_requests_behind_each_other_are_answered_in_order() -> None:
    first = HEAD + LENGTH + b"\r\n" + BODY
    last = b"GET /livez HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
    with serving(application()) as port:
        reply = await answer(port, first + first + last)
    assert [part.partition(b"content-type: ")[2].split()[0] for part in reply.split(b"HTTP/1.1 200 OK")[1:]] == [
        b"application/json"
    ] * 3
    assert reply.count(b'{"probabilities"') == 2
    assert b"probabilities" not in reply.rpartition(b"\r\n\r\n")[2]
