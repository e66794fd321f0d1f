"""A run and what it leaves in the destination, in this process."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from deploy.batch import receipts
from deploy.batch.errors import BatchError
from deploy.batch.run import DEATHS, Result, chunks, run
from deploy.batch.storage import Entry, Folder
from tests.batch.files import Here, inputs, job, labels, layer, logits, read, scored, summary, visible, write

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.batch.executor import Chunk
    from deploy.batch.job import Job


def three(folder: Path) -> Job:
    """Write three files and return a job for them."""
    for n in range(3):
        write(folder / f"in/{n}.parquet", logits=logits(n, 7), targets=labels(n, 7))
    return job(folder)


def times(folder: Path) -> dict[str, int]:
    """Return when each output was written."""
    return {
        path.name: path.stat().st_mtime_ns for path in folder.rglob("[!_]*.parquet") if "_receipts" not in path.parts
    }


def test_a_second_run_writes_nothing_new(tmp_path: Path) -> None:
    asked = three(tmp_path)
    scored(asked)
    before = times(tmp_path / "out")
    scored(asked)
    assert times(tmp_path / "out") == before
    assert summary(asked)["rows"] == 21


CHANGES: dict[str, dict[str, Any]] = {
    "parameter": {"parameters": {"temperature": 2.0}},
    "outputs": {"outputs": ("predictions",)},
    "tensors": {"tensors": {"class_weights": np.full(10, 2.0)}},
    "keep": {"keep": ("targets",)},
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_command_scores_every_file_again(tmp_path: Path, change: str) -> None:
    scored(three(tmp_path))
    before = times(tmp_path / "out")
    other = job(tmp_path, **CHANGES[change])
    scored(other)
    after = times(tmp_path / "out")
    assert after.keys() == before.keys()
    assert all(after[name] != before[name] for name in after)
    assert [path.name for path in (tmp_path / "out/_receipts").rglob("*.parquet")] != []
    assert {entry.name.split("/")[1] for entry in other.destination.entries("_receipts")} == {other.digest}


def test_a_changed_source_is_scored_again_and_no_other(tmp_path: Path) -> None:
    asked = three(tmp_path)
    scored(asked)
    before = times(tmp_path / "out")
    write(tmp_path / "in/1.parquet", logits=logits(9, 5), targets=labels(9, 5))
    scored(asked)
    after = times(tmp_path / "out")
    assert {name for name in after if after[name] != before[name]} == {"1.parquet"}
    assert summary(asked)["rows"] == 19


@pytest.mark.parametrize("damage", ["removed", "cut short"])
def test_a_damaged_output_is_written_again(tmp_path: Path, damage: str) -> None:
    asked = three(tmp_path)
    scored(asked)
    path = tmp_path / "out/1.parquet"
    whole = path.read_bytes()
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes(whole[:100])
    scored(asked)
    assert path.read_bytes() == whole


def test_a_damaged_receipt_means_scoring_again(tmp_path: Path) -> None:
    asked = three(tmp_path)
    scored(asked)
    for path in (tmp_path / "out/_receipts").rglob("*.parquet"):
        path.write_bytes(path.read_bytes()[:50])
    assert scored(asked) == {}
    assert summary(asked)["rows"] == 21


def test_an_output_without_a_source_is_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = three(tmp_path)
    scored(asked)
    (tmp_path / "in/1.parquet").unlink()
    scored(asked)
    assert "Removed 1 output" in capsys.readouterr().err
    assert visible(tmp_path / "out") == {"0.parquet", "2.parquet", "_summary.json"}
    assert summary(asked)["rows"] == pq.read_table(tmp_path / "out").num_rows == 14


def test_a_failure_leaves_no_old_output(tmp_path: Path) -> None:
    asked = three(tmp_path)
    scored(asked)
    (tmp_path / "in/1.parquet").write_text("broken")
    assert list(scored(asked)) == ["1.parquet"]
    assert visible(tmp_path / "out") == {"0.parquet", "2.parquet", "_summary.json"}
    assert summary(asked)["rows"] == 14


@pytest.mark.parametrize("name", ["other.parquet", "1.parquet"])
def test_a_file_of_another_program_is_never_touched(tmp_path: Path, name: str) -> None:
    asked = three(tmp_path)
    write(tmp_path / "out" / name, logits=logits(0, 1))
    before = (tmp_path / "out" / name).read_bytes()
    with pytest.raises(BatchError, match=rf"holds {name}, which this command did not write"):
        scored(asked)
    assert (tmp_path / "out" / name).read_bytes() == before
    assert visible(tmp_path / "out") == {name}


def test_an_output_without_a_receipt_is_known_as_ours(tmp_path: Path) -> None:
    asked = three(tmp_path)
    scored(asked)
    for path in (tmp_path / "out/_receipts").rglob("*.parquet"):
        path.unlink()
    assert scored(asked) == {}


def test_unfinished_files_are_removed(tmp_path: Path) -> None:
    asked = three(tmp_path)
    (tmp_path / "out/deep").mkdir(parents=True)
    (tmp_path / "out/deep/.x.parquet.abc.unfinished").write_text("half")
    scored(asked)
    assert visible(tmp_path / "out") == {"0.parquet", "1.parquet", "2.parquet", "_summary.json"}


NAMES = {
    "plain.parquet": True,
    "UPPER.PARQUET": True,
    "spark.parquet/part-0.snappy.parquet": True,
    "day=3/part.parquet": True,
    "a/b/c.parquet": True,
    ".hidden.parquet": False,
    "_temporary/part.parquet": False,
    "_SUCCESS": False,
    "notes.txt": False,
    "x.parquet.crc": False,
}


def test_sources_are_found_at_any_depth_and_the_rest_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES:
        write(tmp_path / "in" / name, logits=logits(0, 2), targets=labels(0, 2))
    asked = job(tmp_path)
    for _ in range(2):
        assert scored(asked) == {}
        assert visible(tmp_path / "out") == {name for name, taken in NAMES.items() if taken} | {"_summary.json"}
    hidden, other = "with a name or folder that starts with . or _", "without the ending .parquet"
    assert summary(asked)["skipped"] == {hidden: 3, other: 2}
    assert f"Skipped: 3 files {hidden}, 2 files {other}" in capsys.readouterr().err
    # a reader of the whole folder takes every output
    assert pq.read_table(tmp_path / "out", partitioning=None).num_rows == summary(asked)["rows"] == 10


def test_a_source_without_parquet_is_an_error_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/notes.txt").write_text("")
    with pytest.raises(BatchError, match=r"has no Parquet file; skipped: 1 file without the ending .parquet\."):
        scored(job(tmp_path))
    assert not (tmp_path / "out").exists()


def test_a_source_that_is_missing_or_a_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match="does not exist"):
        scored(job(tmp_path))
    (tmp_path / "in").write_text("")
    with pytest.raises(BatchError, match="is a file"):
        scored(job(tmp_path))


@pytest.mark.parametrize("place", ["in/out", "in", "."])
def test_a_source_and_a_destination_in_one_another_are_refused(tmp_path: Path, place: str) -> None:
    asked = three(tmp_path)
    with pytest.raises(BatchError, match="The destination must be outside of the source"):
        scored(replace(asked, destination=Folder(str(tmp_path / place))))
    assert visible(tmp_path / "in") == {"0.parquet", "1.parquet", "2.parquet"}


class Dying(Here):
    """An executor whose process dies with every chunk that has a bad file."""

    def collect(self) -> tuple[Chunk, Any]:
        """Lose the chunk, or score it."""
        chunk = self.chunks[0][0]
        if any(entry.name == "1.parquet" for entry in chunk):
            return self.chunks.pop(0)[0], None
        return super().collect()


def test_a_file_that_kills_its_workers_is_given_up_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.batch.run.CHUNKS_PER_CORE", 1)
    asked = three(tmp_path)
    result = Result()
    run(asked, Dying(), result)
    assert result.failures == {"1.parquet": f"{DEATHS} workers died."}
    assert result.finished == 2
    assert visible(tmp_path / "out") == {"0.parquet", "2.parquet", "_summary.json"}


def test_a_file_with_two_receipts_counts_once(tmp_path: Path) -> None:
    asked = three(tmp_path)
    scored(asked)
    for path in [*(tmp_path / "out/_receipts").rglob("*.parquet")]:
        path.with_name(f"again-{path.name}").write_bytes(path.read_bytes())
    scored(asked)
    assert summary(asked)["rows"] == 21
    assert len([*(tmp_path / "out/_receipts").rglob("*.parquet")]) == 3


@pytest.mark.parametrize("size", [1, 2, 9])
def test_no_grouping_of_files_changes_a_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr("deploy.batch.run.CHUNK_FILES", size)
    monkeypatch.setattr("deploy.batch.run.CHUNKS_PER_CORE", 1)
    for n in range(9):
        write(tmp_path / f"in/{n}.parquet", inputs=inputs(n, 20), targets=labels(n, 20))
    asked = job(tmp_path, tensors=layer())
    scored(asked)
    rows = []
    for entry in asked.destination.entries("_receipts"):
        with asked.destination.open(entry.name) as file:
            rows += pq.read_table(file).to_pylist()
    assert len(rows) == 9
    total = [math.fsum(column) for column in zip(*(row["weights_gradient"] for row in rows), strict=True)]
    gradient = np.load(tmp_path / "out/_gradient.npz")["weights_gradient"]
    assert (gradient * 180).ravel().tolist() == pytest.approx(total, rel=1e-15)
    sums, _ = receipts.total(
        asked, [f"{entry.name}" for entry in asked.destination.entries("_receipts")], versions(asked)
    )
    assert sums["weights_gradient"].ravel().tolist() == total
    assert sums["weights_gradient"].shape == (10, 4)


def versions(asked: Job) -> dict[str, str]:
    """Return the version of every source by name."""
    return {entry.name: receipts.fingerprint(entry) or "" for entry in asked.source.entries()}


def test_large_files_come_first_and_small_ones_share_a_chunk() -> None:
    entries = [Entry(f"{n}", 2**n, "v") for n in range(28)]
    groups = list(chunks(entries, 1))
    assert sorted(entry for group in groups for entry in group) == sorted(entries)
    assert groups[0] == (entries[27],)
    assert len(groups[-1]) > 1
    assert len(groups) >= 4


def test_few_files_are_shared_by_all_cores() -> None:
    assert len(list(chunks([Entry(f"{n}", 1, "v") for n in range(8)], 8))) == 8


def test_a_filesystem_without_versions_scores_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = three(tmp_path)
    listed = Folder.entries

    def unversioned(folder: Folder, below: str = "") -> list[Entry]:
        return [entry._replace(version=None) for entry in listed(folder, below)]

    monkeypatch.setattr(Folder, "entries", unversioned)
    scored(asked)
    before = times(tmp_path / "out")
    scored(asked)
    assert all(times(tmp_path / "out")[name] != before[name] for name in before)
    assert summary(asked)["rows"] == 21


def test_an_unfinished_run_has_no_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = three(tmp_path)
    scored(asked)
    write(tmp_path / "in/3.parquet", logits=logits(3, 7), targets=labels(3, 7))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Here, "collect", interrupt)
    with pytest.raises(KeyboardInterrupt):
        scored(asked)
    assert visible(tmp_path / "out") == {"0.parquet", "1.parquet", "2.parquet"}


def test_a_destination_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    asked = three(tmp_path)
    (tmp_path / "out").write_text("a file")
    with pytest.raises(BatchError, match=r"out (cannot be written|is a file)"):
        scored(asked)


def test_outputs_of_a_layer_are_read_back(tmp_path: Path) -> None:
    write(tmp_path / "in/a.parquet", inputs=inputs(0, 5), targets=labels(0, 5))
    asked = job(tmp_path, tensors=layer(), outputs=("inputs_gradient",))
    scored(asked)
    assert read(asked, "a.parquet")["inputs_gradient"].shape == (5, 4)
    assert list((tmp_path / "out/_claims").iterdir()) == []
