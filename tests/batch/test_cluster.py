"""A million rows on two nodes, of which a worker dies, and then a node."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pyarrow.parquet as pq
import pytest
import ray

from deploy.batch.claim import Claim
from deploy.batch.cluster import Ray, connect
from deploy.batch.errors import BatchError
from deploy.batch.storage import Entry, Folder
from tests.batch.files import (
    added,
    close,
    command,
    ended,
    inputs,
    job,
    labels,
    layer,
    logits,
    plain,
    scored,
    visible,
    write,
)
from tests.batch.store import BUCKET
from tests.processes import free_port
from tests.ray.cluster import TwoNodes, two_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES, ROWS = 20, 60_000
COLUMNS = ["id", "probabilities", "predictions", "row_losses"]
PATIENCE = 120
"""Seconds that a run may take."""


@pytest.fixture(scope="module")
def cluster(store: dict[str, str]) -> Iterator[TwoNodes]:  # noqa: ARG001 - the server is no process of the cluster
    """Run two nodes with one core each."""
    with two_nodes() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files and the layer."""
    folder: Path = tmp_path_factory.mktemp("batch")
    for n in range(FILES):
        rows = {"id": n * ROWS + np.arange(ROWS), "inputs": inputs(n, ROWS), "targets": labels(n, ROWS)}
        write(folder / f"in/part-{n:02}.parquet", **rows, row_group_size=15_000)
    np.savez(folder / "layer.npz", allow_pickle=False, **layer())
    return folder


def words(folder: Path, cluster: TwoNodes) -> list[str]:
    """Return the arguments of a run on these files."""
    flags = ["--tensors", f"{folder}/layer.npz", "--keep", "id", "--address", cluster.address]
    return [f"{folder}/in", f"{folder}/out", *flags]


def wait_for_file(folder: Path) -> None:
    """Wait until a file is finished."""
    end = time.monotonic() + PATIENCE
    while not list((folder / "out/_receipts").rglob("*.parquet")):
        assert time.monotonic() < end
        time.sleep(0.005)


def worker(raylet: int) -> int:
    """Return the process of a worker of a node that scores a file, as soon as there is one."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == raylet and (entry / "cmdline").read_text().startswith("ray::score_chunk"):
                    return int(entry.name)
            except OSError:
                continue
    pytest.fail("no worker was at work")


@pytest.fixture(scope="module")
def done(folder: Path, cluster: TwoNodes) -> subprocess.CompletedProcess[str]:
    """Return a run in which a worker dies at work, and then its node, as soon as another worker there is at work."""
    raylet = cluster.second.all_processes["raylet"][0].process.pid
    with subprocess.Popen(
        command(*words(folder, cluster)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
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
    """Return losses and predictions by the row, and sums over all, by plain NumPy."""
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


def test_a_run_survives_a_dead_worker_and_a_dead_node(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"All {FILES} files are finished.\n"


@pytest.mark.usefixtures("done")
def test_every_row_is_there_once_with_its_outputs(folder: Path, expected: dict[str, Any]) -> None:
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
def test_a_later_run_does_what_is_new_or_was_bad(folder: Path, cluster: TwoNodes) -> None:
    (folder / "in/part-20.parquet").write_text("not yet")
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").glob("*.parquet")}
    broken = ended(*words(folder, cluster))
    assert broken.returncode == 1
    first, last = broken.stderr.splitlines()
    assert first.startswith("part-20.parquet: The file is not a valid Parquet file")
    assert last == "1 of 21 files could not be scored; _summary.json names them."
    write(folder / "in/part-20.parquet", id=[-1], inputs=inputs(20, 1), targets=[3])
    mended = ended(*words(folder, cluster))
    assert (mended.returncode, mended.stderr) == (0, "All 21 files are finished.\n")
    assert json.loads((folder / "out/_summary.json").read_text())["rows"] == FILES * ROWS + 1
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_ray_writes_the_bits_of_one_process(tmp_path: Path, cluster: TwoNodes) -> None:
    for n in range(5):
        write(tmp_path / f"in/{n}.parquet", inputs=inputs(n, 300), targets=labels(n, 300), id=np.arange(300))
    np.savez(tmp_path / "layer.npz", allow_pickle=False, **layer())
    assert ended(*words(tmp_path, cluster)).returncode == 0
    written = {name: (tmp_path / "out" / name).read_bytes() for name in visible(tmp_path / "out")}
    assert len(written) == 7
    shutil.rmtree(tmp_path / "out")
    assert scored(job(tmp_path, tensors=layer(), keep=("id",))) == {}
    assert {name: (tmp_path / "out" / name).read_bytes() for name in visible(tmp_path / "out")} == written


def test_ray_fits_the_temperature_of_one_process(tmp_path: Path, cluster: TwoNodes) -> None:
    for n in range(5):
        write(tmp_path / f"in/{n}.parquet", inputs=inputs(n, 300), targets=labels(n, 300))
    np.savez(tmp_path / "layer.npz", allow_pickle=False, **layer())
    flags = [word for word in words(tmp_path, cluster) if word not in ("--keep", "id")]
    assert ended(*flags, "--calibrate").returncode == 0
    found = (tmp_path / "out/_summary.json").read_bytes()
    shutil.rmtree(tmp_path / "out")
    assert scored(job(tmp_path, tensors=layer(), calibrate=True)) == {}
    assert (tmp_path / "out/_summary.json").read_bytes() == found


def test_workers_read_and_write_a_bucket(tmp_path: Path, cluster: TwoNodes, store: dict[str, str]) -> None:
    write(tmp_path / "a.parquet", inputs=inputs(0, 300), targets=labels(0, 300), id=np.arange(300))
    np.savez(tmp_path / "layer.npz", allow_pickle=False, **layer())
    host = store["AWS_ENDPOINT_URL"].removeprefix("http://")
    options = f"?endpoint_override={host}&scheme=http&region=us-east-1"
    source, out = (f"s3://key:secret@{BUCKET}/ray/{name}{options}" for name in ("in", "out"))
    with Folder(source).write("a.parquet") as file:
        file.write((tmp_path / "a.parquet").read_bytes())
    run = ended(source, out, *words(tmp_path, cluster)[2:])
    assert (run.returncode, run.stderr) == (0, "All 1 files are finished.\n")
    assert json.loads(Folder(out).read("_summary.json"))["rows"] == 300


def lose_job(_job: object, _claim: object, _chunk: object) -> None:
    """Fail as Ray does where the node that held the job died."""
    raise ray.exceptions.ObjectLostError("00ff", None, "")


def test_chunk_is_lost_where_ray_loses_its_job(tmp_path: Path, cluster: TwoNodes) -> None:
    chunk = (Entry("a.parquet", 1, "1"),)
    with Ray(cluster.address) as executor:
        executor.start(lose_job, job(tmp_path), Claim(""))
        executor.submit(chunk)
        assert executor.collect() == (chunk, None)


def test_an_interrupted_run_names_the_command_to_continue(tmp_path: Path, folder: Path, cluster: TwoNodes) -> None:
    out = tmp_path / "out"
    arguments = [words(folder, cluster)[0], str(out), *words(folder, cluster)[2:]]
    with subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, text=True) as run:
        wait_for_file(tmp_path)
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=PATIENCE)
    assert run.returncode == 130
    assert errors.startswith("Interrupted with ")
    assert errors.count("\n") == 1
    assert list((out / "_claims").iterdir()) == []
    assert not (out / "_summary.json").exists()


def test_an_address_without_a_cluster_is_one_sentence(tmp_path: Path) -> None:
    write(tmp_path / "in/a.parquet", inputs=inputs(0, 3), targets=labels(0, 3))
    port = free_port()
    run = ended(f"{tmp_path}/in", f"{tmp_path}/out", "--address", f"127.0.0.1:{port}")
    assert run.returncode == 2
    assert run.stderr.startswith(f"No Ray cluster answers at 127.0.0.1:{port} (Connection refused); start one")
    assert run.stderr.count("\n") == 1


def test_an_address_of_another_server_is_one_sentence(tmp_path: Path, store: dict[str, str]) -> None:
    write(tmp_path / "in/a.parquet", inputs=inputs(0, 3), targets=labels(0, 3))
    address = store["AWS_ENDPOINT_URL"].removeprefix("http://")
    run = ended(f"{tmp_path}/in", f"{tmp_path}/out", "--address", address)
    assert run.returncode == 2
    assert run.stderr.startswith(f"No Ray cluster answers at {address} (it is another server); ")
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (ConnectionError("Could not find any running Ray instance."), "No Ray cluster runs on this machine; start one"),
        (
            RuntimeError("Version mismatch"),
            "The Ray cluster at auto cannot be used (Version mismatch); it must run Ray",
        ),
    ],
)
def test_auto_without_a_cluster_says_so(monkeypatch: pytest.MonkeyPatch, failure: Exception, sentence: str) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise failure

    # on this machine the cluster of another test may run
    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(BatchError, match=f"^{re.escape(sentence)}"):
        connect("auto")


@pytest.mark.usefixtures("cluster")
def test_auto_finds_the_cluster_of_this_machine(tmp_path: Path) -> None:
    write(tmp_path / "in/a.parquet", logits=logits(0, 3), targets=labels(0, 3))
    run = ended(f"{tmp_path}/in", f"{tmp_path}/out", "--address", "auto")
    assert (run.returncode, run.stderr) == (0, "All 1 files are finished.\n")
