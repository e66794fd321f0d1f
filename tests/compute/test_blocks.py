"""Test the computation in blocks of rows."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Event, current_thread
from typing import TYPE_CHECKING

import numpy as np
import pytest

from service.compute import blocks
from service.compute.blocks import BLOCK_BYTES, each_block, evaluate, usable_cores
from service.compute.curvature import jacobian
from service.compute.softmax import Softmax
from tests.processes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from service.arrays import Array

BLOCK_ELEMENTS = BLOCK_BYTES // 8
"""Float64 logits in a block."""

QUANTITIES: dict[str, Callable[[Softmax], Array]] = {
    "probabilities": lambda rows: rows.probabilities,
    "predictions": lambda rows: rows.predictions,
    "log_normalizer": lambda rows: rows.log_normalizer,
}


@pytest.mark.parametrize(
    ("count", "classes"),
    [(1, 3), (BLOCK_ELEMENTS, 1), (BLOCK_ELEMENTS + 1, 1), (3 * BLOCK_ELEMENTS, 3), (3, BLOCK_ELEMENTS + 1)],
)
def test_blocks_cover_every_row_once_and_fit(count: int, classes: int) -> None:
    logits = np.random.default_rng(0).normal(size=(count, classes))
    covered: list[int] = []

    def block(rows: slice, _: object = None) -> Softmax:
        part = logits[rows]
        assert len(part) == 1 or part.size <= BLOCK_ELEMENTS
        covered.extend(range(*rows.indices(count)))
        return Softmax(part)

    results = evaluate(block, logits, QUANTITIES)
    assert sorted(covered) == list(range(count))
    whole = Softmax(logits)
    for name, quantity in QUANTITIES.items():
        np.testing.assert_array_equal(results[name], quantity(whole), strict=True)


@pytest.mark.parametrize("cores", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, BLOCK_ELEMENTS, 10 * BLOCK_ELEMENTS + 1])
def test_results_of_blocks_are_in_order_on_any_number_of_cores(
    count: int, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "usable_cores", lambda: cores)
    found = each_block(lambda rows: range(*rows.indices(count)), np.zeros((count, 1)))
    assert [row for rows in found for row in rows] == list(range(count))
    assert [len(rows) for rows in found[:-1]] == [BLOCK_ELEMENTS] * (len(found) - 1)
    assert len(found) >= 1


def test_a_batch_waits_for_no_thread_that_has_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = np.random.default_rng(0).normal(size=(10 * BLOCK_ELEMENTS, 1))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    busy, free = Event(), Event()

    def slow(rows: slice, _: object) -> Softmax:
        if current_thread().name.startswith("rows"):
            busy.set()
            free.wait(PATIENCE)
        return Softmax(logits[rows])

    with ThreadPoolExecutor(1) as thread:
        other = thread.submit(evaluate, slow, logits, QUANTITIES)
        assert busy.wait(PATIENCE)
        results = evaluate(lambda rows, _: Softmax(logits[rows]), logits, QUANTITIES)
        assert not other.done()
        free.set()
    for name, quantity in QUANTITIES.items():
        np.testing.assert_array_equal(results[name], quantity(Softmax(logits)))


def test_rows_that_overflow_do_so_silently_in_every_block() -> None:
    logits = np.tile([1.7e308, -1.7e308], (3 * BLOCK_ELEMENTS, 1))
    with np.errstate(over="ignore"):
        results = evaluate(
            lambda rows, _: Softmax(logits[rows]), logits, {"probabilities": QUANTITIES["probabilities"]}
        )
    assert (results["probabilities"] == [1.0, 0.0]).all()


def test_no_rows_have_quantities_of_length_0() -> None:
    logits = np.empty((0, 3))
    results = evaluate(lambda rows, _: Softmax(logits[rows]), logits, {**QUANTITIES, "jacobian": jacobian})
    assert {name: values.shape for name, values in results.items()} == {
        "probabilities": (0, 3),
        "predictions": (0,),
        "log_normalizer": (0,),
        "jacobian": (0, 3, 3),
    }
    assert results["predictions"].dtype == np.int64


def test_only_requested_outputs_are_computed() -> None:
    made: list[Softmax] = []

    def block(rows: slice, _: object = None) -> Softmax:
        made.append(Softmax(np.zeros((2, 3))[rows]))
        return made[-1]

    assert evaluate(block, np.zeros((2, 3)), {"predictions": QUANTITIES["predictions"]}).keys() == {"predictions"}
    assert vars(made[0])["_exponentials"] is None


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("max 100000", 8),
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("150000 100000", 2),
        ("900000 100000", 8),
        ("", 8),
        (None, 8),
    ],
)
def test_cores_are_limited_by_affinity_and_by_the_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str | None, cores: int
) -> None:
    file = tmp_path / "cpu.max"
    if limit is not None:
        file.write_text(f"{limit}\n", encoding="ascii")
    monkeypatch.setattr(blocks, "CPU_LIMIT", file)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert usable_cores() == cores
