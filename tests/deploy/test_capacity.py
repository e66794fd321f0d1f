"""The capacity model: the points it was made of, and the laws of any such model."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from deploy.capacity import (
    BYTES_PER_BODY_BYTE,
    BYTES_PER_ELEMENT,
    MESSAGE_BYTES,
    OVERHEAD_SECONDS,
    PROCESS_BYTES,
    SECONDS_PER_ELEMENT,
    UTILISATION,
    Load,
    Node,
    cpu_seconds,
    memory_bytes,
    plan,
)
from service.settings import Settings

ROOT = Path(__file__).parents[2]
FACTOR = 2
"""How far from a measured point the model may be."""
IN_FLIGHT = 128 * 2**20


def measured() -> dict[str, list[dict[str, Any]]]:
    """The measurements of this service, by their point: one for each round."""
    points = defaultdict(list)
    for each in json.loads((ROOT / "bench/results.json").read_text("utf-8"))["measurements"]:
        if each["service"] == "service":
            points[json.dumps(each["point"])].append(each)
    return points


POINTS = measured()


@pytest.mark.parametrize("point", POINTS)
def test_the_cpu_time_of_a_request_is_what_was_measured(point: str) -> None:
    seconds = median(each["cpu_seconds"] / each["requests"] for each in POINTS[point])
    shape = json.loads(point)
    elements = shape["rows"] * shape["classes"]
    ratio = cpu_seconds(elements, "json") / seconds
    assert 1 / FACTOR < ratio < FACTOR, f"measured {seconds * 1e3:.3f} ms for {elements} numbers"


def test_memory_is_never_more_than_the_model_has_and_not_half_of_it_at_the_worst() -> None:
    used = []
    for point, rounds in POINTS.items():
        in_flight = json.loads(point)["connections"] * rounds[0]["request_bytes"]
        used.append(max(each["peak_bytes"] for each in rounds) / memory_bytes(in_flight))
    assert 1 / FACTOR < max(used) <= 1, max(used)


def test_the_size_of_a_message_is_what_was_measured() -> None:
    for point, rounds in POINTS.items():
        shape = json.loads(point)
        elements = shape["rows"] * shape["classes"]
        load = Load(1, elements)
        planned = plan(load, Node(), IN_FLIGHT).network_bytes_per_second
        longer = max(rounds[0]["request_bytes"], rounds[0]["reply_bytes"])
        assert abs(planned - longer) < 0.2 * longer + MESSAGE_BYTES, point


LOADS = [Load(1, 10), Load(20_000, 10), Load(500, 10_000), Load(50, 1_000_000), Load(50, 1_000_000, "binary")]


@pytest.mark.parametrize("load", LOADS, ids=str)
def test_more_requests_never_take_less_of_anything(load: Load) -> None:
    more = replace(load, requests_per_second=10 * load.requests_per_second)
    few, many = plan(load, Node(), IN_FLIGHT), plan(more, Node(), IN_FLIGHT)
    assert few.replicas <= many.replicas <= 10 * few.replicas
    assert few.nodes <= many.nodes
    assert many.network_bytes_per_second == pytest.approx(10 * few.network_bytes_per_second)


@pytest.mark.parametrize("load", LOADS, ids=str)
def test_a_node_is_full_of_what_it_saturates_first(load: Load) -> None:
    thousands = replace(load, requests_per_second=1e6)
    planned = plan(thousands, Node(), IN_FLIGHT)
    larger = {
        "cores": Node(cores=2 * Node.cores),
        "memory": Node(memory_bytes=2 * Node.memory_bytes),
        "network": Node(network_bytes_per_second=2 * Node.network_bytes_per_second),
    }
    for resource, node in larger.items():
        assert (plan(thousands, node, IN_FLIGHT).nodes < planned.nodes) == (resource == planned.saturates)


def test_small_requests_fill_the_cores_and_large_binary_ones_the_network() -> None:
    assert plan(Load(1e6, 10), Node(), IN_FLIGHT).saturates == "cores"
    assert plan(Load(1e4, 1_000_000, "binary"), Node(), IN_FLIGHT).saturates == "network"


def test_the_rules_of_the_documentation_are_those_of_the_model() -> None:
    page = " ".join((ROOT / "docs/sizing.md").read_text("utf-8").split())
    small, large = 10, 1024 * 1000
    for said in (
        f"{OVERHEAD_SECONDS * 1e3:.2f} ms",
        f"{SECONDS_PER_ELEMENT['json'] * 1e9:.0f} ns for each number",
        f"{SECONDS_PER_ELEMENT['binary'] * 1e9:.0f} ns in a binary",
        f"{round(1 / cpu_seconds(small, 'json'), -2):,.0f} requests/s of 1 x 10",
        f"{1 / cpu_seconds(large, 'json'):.0f} of 1024 x 1000 as JSON or {1 / cpu_seconds(large, 'binary'):.0f} as binary",
        f"{UTILISATION:.0%}".replace("%", " %"),
        f"{PROCESS_BYTES // 10**6} MB + {BYTES_PER_BODY_BYTE} x `max_bytes_in_flight`",
        f"{memory_bytes(Settings.model_fields['max_bytes_in_flight'].default) / 1e6:.0f} MB.",
        f"{BYTES_PER_ELEMENT['json']:.0f} bytes of JSON or {BYTES_PER_ELEMENT['binary']:.0f} of binary",
    ):
        assert said in page, said
