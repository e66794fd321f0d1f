"""Test that no client loses a request when replicas stop and start under load."""

from __future__ import annotations

import itertools
import json
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import numpy as np

from tests.nginx.proxy import Replica, nginx, two_replicas

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHAPES = [(1, 10), (32, 10), (64, 500)]
"""Shapes of the requests: the service answers some on the event loop, others in a thread."""
BODIES = [(json.dumps({"logits": np.zeros(shape).tolist()}), np.full(shape, 1 / shape[1])) for shape in SHAPES]
"""Requests, and the probabilities of their answers."""


class Traffic:
    """Requests of several clients, and the ones with a wrong response."""

    def __init__(self) -> None:
        self.answered = 0
        self.lost: list[str] = []
        self.over = threading.Event()

    def send(self, address: str) -> None:
        """Send requests one after another until stopped."""
        headers = {"Content-Type": "application/json"}
        with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
            for body, probabilities in itertools.cycle(BODIES):
                if self.over.is_set():
                    return
                try:
                    answer = client.post("/softmax", content=body)
                    right = answer.is_success and np.allclose(answer.json()["probabilities"], probabilities)
                    problem = "" if right else f"{answer.status_code} {answer.text[:200]}"
                except httpx.HTTPError as error:
                    problem = repr(error)
                if problem:
                    self.lost.append(problem)
                else:
                    self.answered += 1


@contextmanager
def traffic(address: str, clients: int = 4) -> Iterator[Traffic]:
    """Send requests of several clients during the block."""
    sent = Traffic()
    threads = [threading.Thread(target=sent.send, args=(address,)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield sent
    finally:
        sent.over.set()
        for thread in threads:
            thread.join()


def let_some_through(sent: Traffic, requests: int = 50) -> None:
    """Wait until more requests are answered."""
    enough = sent.answered + requests
    deadline = time.monotonic() + 30
    while sent.answered < enough:
        assert time.monotonic() < deadline, sent.lost
        time.sleep(0.01)


def test_a_rolling_restart_loses_no_request(tmp_path: Path) -> None:
    with two_replicas() as replicas, nginx(tmp_path, *ports(replicas)) as address, traffic(address) as sent:
        for replica in replicas:
            let_some_through(sent)
            assert replica.stop() == 0
            let_some_through(sent)
            replica.start()
        let_some_through(sent)
    assert sent.lost == []


def test_a_killed_replica_loses_no_request(tmp_path: Path) -> None:
    with two_replicas() as replicas, nginx(tmp_path, *ports(replicas)) as address, traffic(address) as sent:
        for replica in replicas:
            let_some_through(sent)
            replica.kill()
            let_some_through(sent)
            replica.start()
    assert sent.lost == []


def ports(replicas: tuple[Replica, Replica]) -> tuple[int, int]:
    """Return the ports of the replicas."""
    return replicas[0].port, replicas[1].port
