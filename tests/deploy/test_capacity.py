"""Test the capacity model against measured points, and against laws of such models."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from bench.plan import CONNECTION_COUNT
from deploy.capacity import (
    BYTES_PER_BODY_BYTE,
    BYTES_PER_ELEMENT,
    MESSAGE_BYTES,
    OVERHEAD_SECONDS,
    PROCESS_BYTES,
    SECONDS_PER_ELEMENT,
    UTILISATION,
    Format,
    Limits,
    Load,
    Node,
    cpu_seconds,
    main,
    memory_bytes,
    plan,
)
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]

FACTOR = 2
"""Largest ratio of the model and a measured point."""

FORMATS: dict[str, Format] = {
    "service": "json",
    "service-v2-json": "json",
    "service-v2-binary": "binary",
    "service-npy": "binary",
}
"""Format of each measured variant of the service."""

WIDE = Limits(max_elements=10**9, max_body_bytes=10**10, max_bytes_in_flight=10**10)


@dataclass(frozen=True)
class Measured:
    """A measured point, with one measurement for each round."""

    format: Format
    elements: int
    connections: int
    rounds: list[dict[str, Any]]

    def median(self, value: Callable[[dict[str, Any]], float]) -> float:
        """Return the median of a value over the rounds."""
        return median(value(each) for each in self.rounds)


def measured() -> dict[str, Measured]:
    """Return every measured point of the service."""
    points: dict[str, Measured] = {}
    for each in json.loads((ROOT / "bench/results.json").read_text("utf-8"))["measurements"]:
        if each["service"] in FORMATS:
            shape = each["point"]
            name = f"{each['service']} {shape['part']} {shape['rows']}x{shape['classes']} by {shape['connections']}"
            new = Measured(FORMATS[each["service"]], shape["rows"] * shape["classes"], shape["connections"], [])
            points.setdefault(name, new).rounds.append(each)
    return points


POINTS = measured()


def test_every_format_was_measured() -> None:
    assert {point.format for point in POINTS.values()} == set(SECONDS_PER_ELEMENT)


def measured_ratio(point: Measured) -> float:
    """Return the measured CPU time of a request, in units of that of the model."""
    seconds = point.median(lambda each: each["cpu_seconds"] / each["requests"])
    return seconds / cpu_seconds(point.elements, point.format)


@pytest.mark.parametrize("name", POINTS)
def test_the_cpu_time_is_within_a_factor_of_the_measured_one(name: str) -> None:
    assert 1 / FACTOR < measured_ratio(POINTS[name]) < FACTOR


@pytest.mark.parametrize("name", POINTS)
def test_waiting_is_within_a_factor_of_the_measured_time(name: str) -> None:
    point = POINTS[name]
    seconds = point.median(lambda each: each["p50_ms"] / 1e3)
    ratio = point.connections * cpu_seconds(point.elements, point.format) / seconds
    assert 1 / FACTOR < ratio < FACTOR, f"measured {seconds * 1e3:.3f} ms"


def test_memory_is_at_most_that_of_the_model() -> None:
    used = []
    for point in POINTS.values():
        in_flight = point.connections * point.rounds[0]["request_bytes"]
        used.append(max(each["peak_bytes"] for each in point.rounds) / memory_bytes(in_flight))
    assert 1 / FACTOR < max(used) <= 1, max(used)


@pytest.mark.parametrize("name", POINTS)
def test_the_size_of_a_message_is_that_of_the_measured_one(name: str) -> None:
    point = POINTS[name]
    planned = plan(Load(1, point.elements, point.format), Node(), WIDE).network_bytes_per_second
    longer = max(point.rounds[0]["request_bytes"], point.rounds[0]["reply_bytes"])
    assert abs(planned - longer) < 0.2 * longer + MESSAGE_BYTES


LIMITS = Limits(max_bytes_in_flight=128 * 2**20)

LOADS = [Load(1, 10), Load(20_000, 10), Load(500, 10_000), Load(50, 1_000_000), Load(50, 1_000_000, "binary")]


@pytest.mark.parametrize("load", LOADS, ids=str)
def test_more_requests_never_take_less_of_anything(load: Load) -> None:
    more = replace(load, requests_per_second=10 * load.requests_per_second)
    few, many = plan(load, Node(), LIMITS), plan(more, Node(), LIMITS)
    assert few.replicas <= many.replicas <= 10 * few.replicas
    assert few.nodes <= many.nodes
    assert many.network_bytes_per_second == pytest.approx(10 * few.network_bytes_per_second)


@pytest.mark.parametrize("load", LOADS, ids=str)
def test_a_node_is_full_of_what_it_saturates_first(load: Load) -> None:
    thousands = replace(load, requests_per_second=1e6)
    planned = plan(thousands, Node(), LIMITS)
    larger = {
        "cores": Node(cores=2 * Node.cores),
        "memory": Node(memory_bytes=2 * Node.memory_bytes),
        "network": Node(network_bytes_per_second=2 * Node.network_bytes_per_second),
    }
    for resource, node in larger.items():
        assert (plan(thousands, node, LIMITS).nodes < planned.nodes) == (resource == planned.saturates)


def test_small_requests_fill_cores_and_large_ones_the_network() -> None:
    assert plan(Load(1e6, 10), Node(), LIMITS).saturates == "cores"
    assert plan(Load(1e4, 1_000_000, "binary"), Node(), LIMITS).saturates == "network"


NONSENSE = {
    "--requests-per-second -5 --elements 10": "requests_per_second is -5.0; it must be a number above 0.",
    "--requests-per-second nan --elements 10": "requests_per_second is nan;",
    "--requests-per-second inf --elements 10": "requests_per_second is inf;",
    "--requests-per-second 1 --elements 0": "elements is 0;",
    "--requests-per-second 1 --elements 1 --cores 0": "cores is 0;",
    "--requests-per-second 1 --elements 1 --memory-bytes -1": "memory_bytes is -1;",
    "--requests-per-second 1 --elements 1 --network-bits-per-second 0": "network_bytes_per_second is 0.0;",
    "--requests-per-second 1 --elements 1 --max-bytes-in-flight 0": "max_bytes_in_flight is 0;",
    "--requests-per-second 1 --elements 5000000": "a request has 5,000,000 numbers, and max_elements is 4,194,304;",
    "--requests-per-second 1 --elements 3000000": "60,000,000 bytes in its body, and max_body_bytes is",
    "--requests-per-second 1 --elements 1600000": "44,800,000 bytes in body and outputs, and max_bytes_in_flight is",
    "--requests-per-second 1 --elements 1 --memory-bytes 1000": "a process needs 257,772,160 bytes of memory",
}


@pytest.mark.parametrize("words", NONSENSE)
def test_nonsense_is_refused_in_one_sentence(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["capacity", *words.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (2, "")
    assert NONSENSE[words] in printed.err
    assert printed.err.count("\n") == 1


def test_a_node_of_nan_cores_is_refused() -> None:
    with pytest.raises(ValueError, match="cores is nan"):
        Node(cores=math.nan)  # type: ignore[arg-type]


def test_limits_default_to_the_settings() -> None:
    for field in fields(Limits):
        assert getattr(Limits(), field.name) == Settings.model_fields[field.name].default


@pytest.mark.parametrize("load", LOADS, ids=str)
def test_a_busier_process_waits_longer(load: Load) -> None:
    idle = plan(replace(load, requests_per_second=1e-6), Node(), LIMITS)
    busy = plan(load, Node(), LIMITS)
    assert 0 <= idle.wait_seconds <= busy.wait_seconds
    # processor sharing at the planned utilisation
    seconds = cpu_seconds(load.elements, load.format)
    assert busy.wait_seconds <= seconds * UTILISATION / (1 - UTILISATION)


def test_a_burst_that_fits_is_answered_before_the_limit() -> None:
    planned = plan(Load(1, 1_000_000), Node(), Limits())
    seconds = cpu_seconds(1_000_000, "json")
    assert planned.burst * seconds <= Limits().max_wait_seconds < (planned.burst + 1) * seconds


def test_the_rules_of_the_documentation_are_those_of_the_model() -> None:
    page = " ".join((ROOT / "docs/sizing.md").read_text("utf-8").split())
    small, large = 10, 1024 * 1000
    ratios = [measured_ratio(point) for point in POINTS.values() if point.connections == CONNECTION_COUNT]
    for said in (
        f"With {CONNECTION_COUNT} connections, the measured CPU time was {min(ratios):.2f}x to {max(ratios):.1f}x",
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
