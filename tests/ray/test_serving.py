"""Test Ray Serve on two nodes, one of which dies under traffic: it does not change the contract."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import subprocess
import sys
import threading
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
import yaml

from service.api.app import create_app
from service.settings import Settings
from tests.bodies import npy
from tests.processes import free_port
from tests.ray.cluster import TwoNodes, two_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "deploy/ray/serve.yaml"
PATIENCE = 90
"""Seconds that a replica may take to answer."""

NODE = "x-ray-node"
"""Header with the node of the replica that answered."""

THREADS = 8
PAUSE = 0.1
"""Seconds between the halves of a request."""

BEFORE, AFTER = 2.0, 6.0
"""Seconds of traffic before a node dies, and after it."""

LOGITS = np.random.default_rng(0).normal(size=(64, 100))

PER_REPLY = {"date", "server", "server-timing", "x-request-id", NODE, "connection"}
"""Headers that differ between responses or name the server."""


def documented() -> Callable[..., dict[str, Any]]:
    """Return the function of the documentation that retries."""
    page = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    (code,) = [
        block for block in re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) if "attempts" in block
    ]
    names: dict[str, Any] = {}
    exec(code.partition("\nwith ")[0], names)  # noqa: S102 - the code is ours
    ask: Callable[..., dict[str, Any]] = names["ask"]
    return ask


def slowly(body: bytes) -> Iterator[bytes]:
    """Yield a body in two halves."""
    half = len(body) // 2
    yield body[:half]
    time.sleep(PAUSE)
    yield body[half:]


class SlowLine(httpx.BaseTransport):
    """Send requests in two halves, so that some are always in flight, and count those without an answer."""

    def __init__(self) -> None:
        self.sent = httpx.HTTPTransport()
        self.lost = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request once."""
        halves = httpx.Request(request.method, request.url, headers=request.headers, content=slowly(request.read()))
        halves.extensions = request.extensions
        try:
            response = self.sent.handle_request(halves)
        except httpx.TransportError:
            self.lost += 1
            raise
        self.lost += response.status_code >= 500
        return response

    def close(self) -> None:
        """Close the connections."""
        self.sent.close()


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    """Run two nodes with one core each."""
    with two_nodes() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def address(cluster: TwoNodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of the application, served as documented, except for the port."""
    port = free_port()
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["http_options"]["port"] = port
    folder = tmp_path_factory.mktemp("serve")
    (folder / "serve.yaml").write_text(yaml.safe_dump(config))
    serve = [
        str(Path(sys.executable).parent / "serve"),
        "run",
        "--address",
        cluster.address,
        str(folder / "serve.yaml"),
    ]
    with (folder / "log").open("w") as log, subprocess.Popen(serve, stdout=log, stderr=log, cwd=ROOT) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for_nodes(url, {cluster.head.node_id, cluster.second.node_id})
            wait_for_proxies(url, port, 2)
            yield url
        finally:
            process.kill()


def node(url: str) -> str | None:
    """Return the node whose replica answers a new connection, or None if none does."""
    with closing(HTTPConnection(url.removeprefix("http://"), timeout=5)) as connection:
        try:
            connection.request("GET", "/livez")
            return connection.getresponse().getheader(NODE)
        except (OSError, HTTPException):
            return None


def wait_for_nodes(url: str, nodes: set[str]) -> None:
    """Wait until each node has answered."""
    end = time.monotonic() + PATIENCE
    seen: set[str | None] = set()
    while not nodes <= seen:
        assert time.monotonic() < end, f"only {seen} answered"
        seen.add(node(url))
        time.sleep(0.05)


def listeners(port: int) -> int:
    """Return how many sockets listen on the port that the proxies of all nodes share."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(state == "0A" and int(local.partition(":")[2], 16) == port for _, local, _, state, *_ in rows)


def wait_for_proxies(url: str, port: int, count: int) -> None:
    """Wait until enough proxies listen and have a replica."""
    end = time.monotonic() + PATIENCE
    while listeners(port) < count or None in {node(url) for _ in range(10 * count)}:
        assert time.monotonic() < end, "a proxy is missing"
        time.sleep(0.1)


def inference() -> tuple[bytes, int]:
    """Return a request with raw tensors behind its JSON, and the length of the JSON."""
    inputs = [
        {"name": "logits", "shape": [64, 100], "datatype": "FP32", "parameters": {"binary_data_size": 64 * 100 * 4}},
        {"name": "targets", "shape": [64], "datatype": "INT64", "data": [3] * 64},
    ]
    header = json.dumps({"id": "7", "inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    return header + LOGITS.astype(np.float32).tobytes(), len(header)


JSON = json.dumps({"logits": LOGITS.tolist(), "targets": [3] * 64}).encode()
TYPED = {"Content-Type": "application/json"}

REQUESTS: dict[str, tuple[str, str, bytes, dict[str, str]]] = {
    "JSON": ("POST", "/gradient", JSON, TYPED),
    "compressed JSON": ("POST", "/gradient", gzip.compress(JSON), TYPED | {"Content-Encoding": "gzip"}),
    ".npy": (
        "POST",
        "/softmax?outputs=probabilities&temperature=2",
        npy(LOGITS),
        {"Content-Type": "application/x-npy"},
    ),
    "raw tensors": (
        "POST",
        "/v2/models/gradient/infer",
        inference()[0],
        {"Inference-Header-Content-Length": str(inference()[1])},
    ),
    "a refusal": ("POST", "/loss", b'{"logits": [[1, 2], [3]], "targets": [0, 0]}', TYPED),
    "an unknown media type": ("POST", "/softmax", b"<logits/>", {"Content-Type": "text/xml"}),
    "an unknown path": ("GET", "/nowhere", b"", {}),
    "an unknown method": ("DELETE", "/softmax", b"", {}),
    "a model": ("GET", "/v2/models/gradient", b"", {}),
    "the OpenAPI document": ("GET", "/openapi.json", b"", {}),
    "the documentation": ("GET", "/docs", b"", {}),
}


async def without_ray(method: str, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    """Return the response of the application without Ray."""
    transport = httpx.ASGITransport(create_app(Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.request(method, path, content=body, headers=headers)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_reply_is_the_one_without_ray(address: str, name: str) -> None:
    method, path, body, headers = REQUESTS[name]
    headers = headers | {"X-Request-ID": "demo", "Host": "127.0.0.1"}
    expected = asyncio.run(without_ray(method, path, body, headers))
    reply = httpx.request(method, address + path, content=body, headers=headers, timeout=30)
    assert reply.status_code == expected.status_code
    assert reply.content == expected.content
    kept = [
        {name: value for name, value in each.headers.items() if name not in PER_REPLY} for each in (reply, expected)
    ]
    assert kept[0] == kept[1]


def test_the_request_id_is_repeated_once(address: str) -> None:
    reply = httpx.post(f"{address}/softmax", json={"logits": [1]}, headers={"X-Request-ID": "demo"})
    assert reply.headers.get_list("x-request-id") == ["demo"]


def test_a_request_id_is_made_and_is_the_one_in_the_problem(address: str) -> None:
    reply = httpx.post(f"{address}/softmax", json={"logits": []})
    assert reply.headers.get_list("x-request-id") == [reply.json()["instance"]]


def test_one_connection_is_answered_by_both_nodes_alike(address: str, cluster: TwoNodes) -> None:
    # a connection stays with one proxy, which is on one node
    with httpx.Client(base_url=address, limits=httpx.Limits(max_connections=1)) as client:
        answered = [client.get("/livez").headers[NODE] for _ in range(200)]
    counts = {each: answered.count(each) for each in (cluster.head.node_id, cluster.second.node_id)}
    assert sum(counts.values()) == 200
    assert min(counts.values()) > 50


def traffic(url: str, stop: threading.Event, transport: SlowLine, found: list[Any], delays: list[float]) -> None:
    """Send requests until stopped, as documented, and note every wrong answer."""
    ask = documented()
    expected = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    with httpx.Client(base_url=url, transport=transport, timeout=10) as client:
        while not stop.is_set():
            start = time.monotonic()
            try:
                answer = ask(client, "/softmax", {"logits": LOGITS.tolist(), "outputs": ["probabilities"]})
            except (RuntimeError, httpx.HTTPError) as error:
                found.append(error)
            else:
                found.append(np.allclose(answer["probabilities"], expected, rtol=1e-13))
            delays.append(time.monotonic() - start)


def test_a_node_dies_under_traffic_and_no_request_is_lost(
    address: str, cluster: TwoNodes, record_property: Callable[[str, object], None]
) -> None:
    stop, transports = threading.Event(), [SlowLine() for _ in range(THREADS)]
    found: list[Any] = []
    delays: list[float] = []
    threads = [threading.Thread(target=traffic, args=(address, stop, each, found, delays)) for each in transports]
    for thread in threads:
        thread.start()
    time.sleep(BEFORE)
    before = len(found)
    cluster.kill(cluster.second)
    time.sleep(AFTER)
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)
    lost = sum(each.lost for each in transports)
    record_property("answers", len(found))
    record_property("asked again", lost)
    sys.stderr.write(f"{len(found)} answers, {lost} asked again, the longest took {max(delays):.1f} s\n")
    assert before > 0
    assert len(found) > before
    assert found == [True] * len(found)
    assert lost > 0
    assert {node(address) for _ in range(20)} == {cluster.head.node_id}


def test_a_new_node_takes_the_place_of_the_dead_one(address: str, cluster: TwoNodes) -> None:
    third = cluster.add("127.0.0.4")
    wait_for_nodes(address, {cluster.head.node_id, third.node_id})
