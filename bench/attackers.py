"""Hostile clients for the soak: none may keep an honest client waiting, or exhaust the memory of the server."""

from __future__ import annotations

import asyncio
import gzip
import random
from contextlib import suppress

from bench.load import HOST

CHANCE = random.Random(1)  # noqa: S311  no secret

SECONDS = 3.0
"""Longest time of one attack."""

LIVE = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /softmax HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"


def post(body: bytes, headers: bytes = b"") -> bytes:
    """Return the bytes of a request for POST /softmax."""
    return POST + headers + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


LONG_REPLY = post(b'{"logits": [%b0], "outputs": ["jacobian"]}' % (b"0," * 499))

SENT = {
    "trailers": [CHUNKED + b"0\r\n", *[b"a:b\r\n" * 10_000] * 20],
    "half a head": [LIVE[:20] + b" HTTP/1.1\r\nX: " + b"a" * 60_000],
    "half a body": [POST + b"Content-Length: 20000000\r\n\r\n" + b" " * 400_000],
    "many headers": [LIVE[:-2] + b"X: a\r\n" * 9_000 + b"\r\n"] * 3,
    "requests ahead": [LIVE * 1_000] * 20,
    "small chunks": [CHUNKED, *[b"1\r\n \r\n" * 10_000] * 10],
    "garbage during a reply": [LONG_REPLY, b"garbage \0\r\n\r\n" * 100],
    "a smuggled request": [post(b"x" * 100 + b"\r\n" + LIVE, UPGRADE), LIVE],
    "replies not read": [LONG_REPLY] * 5,
    "slow refusals": [post(b'{"logits": [{}%b]}' % (b",{}" * 70_000))] * 5,
    "brackets": [post(gzip.compress(b'{"logits":[[1' + b"]" * 30_000_000, 1), b"Content-Encoding: gzip\r\n")],
    "empty arrays": [
        post(gzip.compress(b'{"logits":[[]%b]}' % (b",[]" * 10_000_000), 1), b"Content-Encoding: gzip\r\n")
    ],
}
"""The pieces that each attacker sends. It reads nothing, slowly, or all of the answer."""


async def attack(port: int) -> None:
    """Run one random attack, and close the connection."""
    pieces = CHANCE.choice(list(SENT.values()))
    read = CHANCE.choice((_read_nothing, _read_slowly, _read_all))
    reader, writer = await asyncio.open_connection(HOST, port)
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(CHANCE.random() * SECONDS):
            await asyncio.gather(_send(writer, pieces), read(reader))
    writer.transport.abort()


async def _send(writer: asyncio.StreamWriter, pieces: list[bytes]) -> None:
    for piece in pieces:
        writer.write(piece)
        await writer.drain()


async def _read_nothing(_: asyncio.StreamReader) -> None:
    await asyncio.sleep(SECONDS)


async def _read_slowly(reader: asyncio.StreamReader) -> None:
    while await reader.read(1_000):  # noqa: ASYNC110  a pause between two reads
        await asyncio.sleep(0.05)


async def _read_all(reader: asyncio.StreamReader) -> None:
    while await reader.read(2**18):
        pass
