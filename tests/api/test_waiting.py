"""Test more large requests than fit in the default memory: all wait, and all are answered."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

from service.formats import json_encode, npy
from tests.bodies import JSON, compress
from tests.processes import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLIENTS = 8
REQUESTS = 2
"""Number of requests of each client."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Yield the address of a server whose clients wait longer, since a busy machine may need more than the default."""
    with running("--max-wait-seconds", "60") as (address, _):
        yield address


def json_body(random: np.random.Generator) -> bytes:
    """Return 20 MB of JSON."""
    return b"".join(json_encode.encode({"logits": random.normal(size=(1024, 1000))}))


def npy_body(random: np.random.Generator) -> bytes:
    """Return 8 MB of .npy, 16 MB with the outputs."""
    return b"".join(npy.encode_npy(random.normal(size=(1024, 1000))))


def single_npy_body(random: np.random.Generator) -> bytes:
    """Return 8 MB of .npy in single precision."""
    return b"".join(npy.encode_npy(random.normal(size=(2048, 1000)).astype(np.float32)))


def members(random: np.random.Generator) -> bytes:
    """Return 20 MB of JSON as 10 MB of gzip, in members as bgzip has them."""
    text = json_body(random)
    return b"".join(gzip.compress(text[start : start + 2**16], 1) for start in range(0, len(text), 2**16))


def zstd_body(random: np.random.Generator) -> bytes:
    """Return 20 MB of JSON as 10 MB of zstd."""
    return compress(json_body(random), "zstd", 1)


@pytest.mark.parametrize(
    ("make", "media_type", "encoding"),
    [
        (json_body, "application/json", "identity"),
        (npy_body, npy.NPY, "identity"),
        (single_npy_body, npy.NPY, "identity"),
        (members, "application/json", "gzip"),
        (zstd_body, "application/json", "zstd"),
    ],
    ids=["JSON", "npy float64", "npy float32", "gzip", "zstd"],
)
async def test_eight_large_clients_are_all_answered(
    address: str, make: Callable[[np.random.Generator], bytes], media_type: str, encoding: str
) -> None:
    body = make(np.random.default_rng(0))

    async def ask() -> list[int]:
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            headers = {"Content-Type": media_type, "Content-Encoding": encoding}
            query = "" if media_type == "application/json" else "?outputs=probabilities"
            return [
                (await client.post(f"/softmax{query}", content=body, headers=headers)).status_code
                for _ in range(REQUESTS)
            ]

    async def ask_a_little(done: asyncio.Event) -> list[int]:
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            statuses = []
            while not done.is_set():
                reply = await client.post("/softmax", content=b'{"logits": [0, 0]}', headers=JSON)
                statuses.append(reply.status_code)
                await asyncio.sleep(0.01)
            return statuses

    done = asyncio.Event()
    small = asyncio.create_task(ask_a_little(done))
    large = await asyncio.gather(*(ask() for _ in range(CLIENTS)))
    done.set()
    assert large == [[200] * REQUESTS] * CLIENTS
    assert set(await small) == {200}
