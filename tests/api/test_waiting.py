"""Test more large requests than fit in the default memory: all wait, and all are answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

from service.formats import json_encode, npy
from tests.bodies import JSON
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


@pytest.mark.parametrize(
    ("make", "media_type"),
    [(json_body, "application/json"), (npy_body, npy.NPY), (single_npy_body, npy.NPY)],
    ids=["JSON", "npy float64", "npy float32"],
)
async def test_eight_large_clients_are_all_answered(
    address: str, make: Callable[[np.random.Generator], bytes], media_type: str
) -> None:
    body = make(np.random.default_rng(0))

    async def ask() -> list[int]:
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            headers = {"Content-Type": media_type}
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
