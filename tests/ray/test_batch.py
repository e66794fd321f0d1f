"""Two million rows on two nodes, of which a worker dies, and then a node."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.ray.cluster import TwoNodes, two_nodes
from tests.ray.files import added, close, inputs, labels, layer, plain, write

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES, ROWS = 20, 100_000
COLUMNS = ["id", "probabilities", "predictions", "row_losses"]
PATIENCE = 120
"""Seconds that a run may take."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    """Two nodes with one core each."""
    with two_nodes() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files and the layer."""
    folder: Path = tmp_path_factory.mktemp("batch")
    for n in range(FILES):
        rows = {"id": n * ROWS + np.arange(ROWS), "inputs": inputs(n, ROWS), "targets": labels(n, ROWS)}
        write(folder / f"in/part-{n:02}.parquet", **rows, row_group_size=25_000)
    np.savez(folder / "layer.npz", allow_pickle=False, **layer())
    return folder


def command(folder: Path, cluster: TwoNodes) -> list[str]:
    """Scores the folder."""
    flags = ["--tensors", str(folder / "layer.npz"), "--keep", "id"]
    places = [str(folder / "in"), str(folder / "out"), "--address", cluster.address]
    return [sys.executable, "-m", "deploy.ray.batch", *places, *flags]


def wait_for_file(folder: Path) -> None:
    """Waits until a file is finished."""
    end = time.monotonic() + PATIENCE
    while not list((folder / "out/_sums").glob("*.npz")):
        assert time.monotonic() < end
        time.sleep(0.005)


def worker(raylet: int) -> int:
    """The process of a worker of a node that scores a file, as soon as there is one."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == raylet and (entry / "cmdline").read_text().startswith("ray::attempt"):
                    return int(entry.name)
            except OSError:
                continue
    pytest.fail("no worker was at work")


@pytest.fixture(scope="module")
def done(folder: Path, cluster: TwoNodes) -> subprocess.CompletedProcess[str]:
    """A run in which a worker dies at work, and then its node, as soon as another worker there is at work."""
    raylet = cluster.second.all_processes["raylet"][0].process.pid
    with subprocess.Popen(command(folder, cluster), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        wait_for_file(folder)
        first = worker(raylet)
        os.kill(first, signal.SIGKILL)
        while worker(raylet) == first:
            time.sleep(0.01)
        cluster.kill(cluster.second)
        assert run.poll() is None
        output, errors = run.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(run.args, run.returncode, output, errors)


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """What one process finds with plain NumPy: losses and predictions by the row, sums over all."""
    weights, bias = layer().values()
    losses, predictions, weights_gradients, bias_gradients = [], [], [], []
    for n in range(FILES):
        scores = inputs(n, ROWS) @ weights.T + bias
        loss, gradient = plain(scores, labels(n, ROWS))
        losses.append(loss)
        predictions.append(scores.argmax(axis=1))
        weights_gradients.append(gradient.T @ inputs(n, ROWS))
        bias_gradients.append(gradient.sum(axis=0))
    return {
        "row_losses": np.concatenate(losses),
        "predictions": np.concatenate(predictions),
        "loss": added([each.sum() for each in losses]),
        "weights_gradient": added(weights_gradients),
        "bias_gradient": added(bias_gradients),
    }


def test_the_run_ends_well_though_a_worker_and_a_node_died(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    assert f"{FILES}/{FILES}" in done.stderr


@pytest.mark.usefixtures("done")
def test_every_row_is_there_once_with_its_own_outputs(folder: Path, expected: dict[str, Any]) -> None:
    table = pq.read_table(folder / "out")
    assert table.column_names == COLUMNS
    found = {name: table[name].to_numpy() for name in ("id", "predictions", "row_losses")}
    order = found["id"].argsort()
    np.testing.assert_array_equal(found["id"][order], np.arange(FILES * ROWS))
    np.testing.assert_array_equal(found["predictions"][order], expected["predictions"])
    assert close(found["row_losses"][order], expected["row_losses"])


@pytest.mark.usefixtures("done")
def test_the_sums_are_those_of_one_process(folder: Path, expected: dict[str, Any]) -> None:
    summary = json.loads((folder / "out/_summary.json").read_text())
    assert (summary["files"], summary["rows"], summary["counted"]) == (FILES, FILES * ROWS, FILES * ROWS)
    assert summary["denominator"] == FILES * ROWS
    assert close(summary["loss"] * summary["denominator"], expected["loss"])
    with np.load(folder / "out/_gradient.npz") as gradient:
        for name in ("weights_gradient", "bias_gradient"):
            assert close(gradient[name] * summary["denominator"], expected[name])


@pytest.mark.usefixtures("done")
def test_nothing_is_left_of_what_was_not_finished(folder: Path) -> None:
    assert list((folder / "out").rglob(".*")) == []


@pytest.mark.usefixtures("done")
def test_a_run_after_that_does_what_is_new_or_was_bad_and_nothing_else(folder: Path, cluster: TwoNodes) -> None:
    (folder / "in/part-20.parquet").write_text("not yet")
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").glob("*.parquet")}
    broken = subprocess.run(command(folder, cluster), capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert broken.returncode == 1
    assert "part-20.parquet: ArrowInvalid" in broken.stderr
    assert "1 of 21 files could not be scored." in broken.stderr
    write(folder / "in/part-20.parquet", id=[-1], inputs=inputs(20, 1), targets=[3])
    mended = subprocess.run(command(folder, cluster), capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert mended.returncode == 0, mended.stderr
    assert json.loads((folder / "out/_summary.json").read_text())["rows"] == FILES * ROWS + 1
    assert {path: path.stat().st_mtime_ns for path in before} == before
