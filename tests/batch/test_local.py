"""The command with --local, as a person runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from deploy.batch import processes
from deploy.batch.run import Result, run
from deploy.batch.storage import Folder
from tests.batch.files import command, ended, inputs, job, labels, layer, logits, scored, visible, write
from tests.batch.store import BUCKET

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 60
"""Seconds that a run may take to get somewhere."""


def fill(folder: Path, files: int, rows: int) -> None:
    """Write files of features and labels, and a layer."""
    for n in range(files):
        write(folder / f"in/{n:03}.parquet", id=np.arange(rows), inputs=inputs(n, rows), targets=labels(n, rows))
    np.savez(folder / "layer.npz", allow_pickle=False, **layer())


def words(folder: Path) -> list[str]:
    """Return the arguments of a run on these files."""
    return [f"{folder}/in", f"{folder}/out", "--local", "--tensors", f"{folder}/layer.npz", "--keep", "id"]


def content(folder: Path) -> dict[str, bytes]:
    """Return the files of a destination that are not receipts."""
    return {name: (folder / name).read_bytes() for name in visible(folder)}


def test_processes_write_the_bits_of_one_process(tmp_path: Path) -> None:
    fill(tmp_path / "a", 5, 300)
    run = ended(*words(tmp_path / "a"))
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "All 5 files are finished.\n")
    fill(tmp_path / "b", 5, 300)
    assert scored(job(tmp_path / "b", tensors=layer(), keep=("id",))) == {}
    assert content(tmp_path / "a/out") == content(tmp_path / "b/out")
    assert visible(tmp_path / "a/out") == {*(f"{n:03}.parquet" for n in range(5)), "_summary.json", "_gradient.npz"}


def test_spawned_workers_write_the_bits_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are forked on Linux alone."""
    monkeypatch.setattr(processes, "FIRST", processes.SPAWN)
    for folder in ("a", "b"):
        fill(tmp_path / folder, 5, 300)
    asked = job(tmp_path / "a", tensors=layer(), calibrate=True, measures=("brier_score",))
    result = Result()
    run(asked, processes.Processes(), result)
    assert result.failures == {}
    assert scored(replace(asked, source=Folder(f"{tmp_path}/b/in"), destination=Folder(f"{tmp_path}/b/out"))) == {}
    assert content(tmp_path / "a/out") == content(tmp_path / "b/out")


@pytest.mark.parametrize("scheme", ["s3", "fsspec+s3"])
def test_a_bucket_gets_the_files_of_a_folder(tmp_path: Path, store: dict[str, str], scheme: str) -> None:
    fill(tmp_path, 5, 300)
    bucket = f"{scheme}://{BUCKET}/{scheme}"
    for entry in Folder(f"{tmp_path}/in").entries():
        with Folder(f"{bucket}/in").write(entry.name) as file:
            file.write((tmp_path / "in" / entry.name).read_bytes())
    assert ended(*words(tmp_path)).returncode == 0
    flags = words(tmp_path)[2:]
    run = ended(f"{bucket}/in", f"{bucket}/out", *flags, **store)
    assert (run.returncode, run.stderr) == (0, "All 5 files are finished.\n")
    found = Folder(f"{bucket}/out")
    expected = content(tmp_path / "out")
    names = {entry.name for entry in found.entries() if entry.size and not entry.name.startswith("_receipts/")}
    assert names == expected.keys()
    assert {name: found.read(name) for name in names} == expected
    versions = found.entries()
    Folder(f"{bucket}/in").remove("002.parquet")
    run = ended(f"{bucket}/in", f"{bucket}/out", *flags, **store)
    assert run.stderr == "Removed 1 output whose source does not exist any more.\nAll 4 files are finished.\n"
    assert json.loads(found.read("_summary.json"))["rows"] == 1200
    kept = {entry for entry in found.entries() if entry.name[0] != "_"}
    assert kept == {entry for entry in versions if entry.name[0] != "_" and entry.name != "002.parquet"}
    assert not Path("s3:").exists()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a run of some seconds, and wait until its first file is finished."""
    fill(tmp_path, 60, 40_000)
    with subprocess.Popen(command(*words(tmp_path)), stderr=subprocess.PIPE, text=True) as run:
        end = time.monotonic() + PATIENCE
        while not list((tmp_path / "out/_receipts").rglob("*.parquet")):
            assert time.monotonic() < end
            assert run.poll() is None
            time.sleep(0.005)
        yield run
        run.kill()


def children(process: int) -> list[int]:
    """Return the processes that a process started, and those that they started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == process:
            found += [int(entry.name), *children(int(entry.name))]
    return found


def alive(processes: list[int]) -> list[int]:
    """Return the processes that have not ended."""
    found = []
    for process in processes:
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(process)
        except OSError:
            continue
    return found


def wait_for_end(processes: list[int]) -> None:
    """Wait until none of the processes is left."""
    end = time.monotonic() + PATIENCE
    while left := alive(processes):
        assert time.monotonic() < end, left
        time.sleep(0.02)


def assert_continues(folder: Path) -> None:
    """Run the command again: it scores what is missing and nothing else."""
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").glob("[!_]*.parquet")}
    assert 0 < len(before) < 60
    assert not (folder / "out/_summary.json").exists()
    run = ended(*words(folder))
    assert (run.returncode, run.stderr) == (0, "All 60 files are finished.\n")
    assert json.loads((folder / "out/_summary.json").read_text())["rows"] == 60 * 40_000
    kept = [path for path, time in before.items() if path.stat().st_mtime_ns == time]
    assert len(kept) >= len(before) - 2 * 7  # the chunks at work
    assert visible(folder / "out") == {*(f"{n:03}.parquet" for n in range(60)), "_summary.json", "_gradient.npz"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_names_the_command_to_continue(
    tmp_path: Path, running: subprocess.Popen[str], number: signal.Signals
) -> None:
    workers = children(running.pid)
    running.send_signal(number)
    _, errors = running.communicate(timeout=PATIENCE)
    assert running.returncode == 130
    assert errors.startswith("Interrupted with ")
    assert errors.endswith(" files finished; the same command goes on from there.\n")
    assert errors.count("\n") == 1
    wait_for_end(workers)
    assert list((tmp_path / "out/_claims").iterdir()) == []
    assert_continues(tmp_path)


def test_ctrl_c_during_the_imports_ends_without_a_traceback(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", *command(*words(tmp_path))[1:]], stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr is not None
        # the modules of NumPy are among the first of several hundred
        next(line for line in run.stderr if "numpy" in line)
        run.send_signal(signal.SIGINT)
        rest = run.stderr.read()
    assert run.returncode == -signal.SIGINT
    assert "Traceback" not in rest


def test_a_killed_run_leaves_no_worker_and_can_go_on(tmp_path: Path, running: subprocess.Popen[str]) -> None:
    workers = children(running.pid)
    assert workers
    running.kill()
    running.wait()
    wait_for_end(workers)
    assert_continues(tmp_path)


def test_a_killed_worker_costs_no_file(tmp_path: Path, running: subprocess.Popen[str]) -> None:
    scoring = [process for process in children(running.pid) if not children(process)]
    os.kill(max(scoring), signal.SIGKILL)
    _, errors = running.communicate(timeout=PATIENCE)
    assert (running.returncode, errors) == (0, "All 60 files are finished.\n")
    assert json.loads((tmp_path / "out/_summary.json").read_text())["rows"] == 60 * 40_000


def test_a_second_run_is_refused(tmp_path: Path, running: subprocess.Popen[str]) -> None:
    running.send_signal(signal.SIGSTOP)  # it must not end before the second run begins
    second = ended(*words(tmp_path))
    running.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert f"is in use: process {running.pid} on " in second.stderr
    assert running.wait(PATIENCE) == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 2 MB, which takes root."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a disk")
    yield place
    subprocess.run(["/bin/umount", place], check=True)


def test_a_full_disk_fails_the_files_that_do_not_fit(tmp_path: Path, small_disk: Path) -> None:
    for n in range(4):
        write(tmp_path / f"in/{n}.parquet", logits=logits(n, 8_000), targets=labels(n, 8_000))
    run = ended(f"{tmp_path}/in", f"{small_disk}/out", "--local")
    assert run.returncode == 1
    assert ".parquet: No space left on device.\n" in run.stderr
    assert "Traceback" not in run.stderr
    found = json.loads((small_disk / "out/_summary.json").read_text())
    assert found["files"] + len(found["failed"]) == 4
    assert found["rows"] == 8_000 * found["files"]
    assert (
        visible(small_disk / "out") == {*(f"{n}.parquet" for n in range(4)), "_summary.json"} - found["failed"].keys()
    )


def test_a_failed_file_is_named_and_ends_with_1(tmp_path: Path) -> None:
    write(tmp_path / "in/a.parquet", logits=logits(0, 3), targets=labels(0, 3))
    (tmp_path / "in/b.parquet").write_text("not yet")
    run = ended(f"{tmp_path}/in", f"{tmp_path}/out", "--local")
    assert run.returncode == 1
    first, last = run.stderr.splitlines()
    assert first.startswith("b.parquet: The file is not a valid Parquet file")
    assert last == "1 of 2 files could not be scored; _summary.json names them."


UNWRITABLE = {
    "/proc/out": "cannot be written: No such file or directory.\n",
    "file/out": "cannot be written: Not a directory.\n",
    "s3://elsewhere/out": "cannot be written: AWS Error NO_SUCH_BUCKET",
}


@pytest.mark.parametrize("destination", UNWRITABLE)
def test_an_unwritable_destination_is_one_sentence(tmp_path: Path, destination: str, store: dict[str, str]) -> None:
    write(tmp_path / "in/a.parquet", logits=logits(0, 3))
    (tmp_path / "file").write_text("")
    place = destination if "//" in destination or destination[0] == "/" else f"{tmp_path}/{destination}"
    run = ended(f"{tmp_path}/in", place, "--local", **store)
    assert run.returncode == 2
    assert run.stderr.startswith(f"{place} {UNWRITABLE[destination]}")
    assert run.stderr.count("\n") == 1
