"""Files one by one, without a cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from deploy.ray.scoring import GRADIENT, ROW_OUTPUTS, TOTALS, attempt
from deploy.ray.whole import add_up, write_whole
from tests.operations.support import answer
from tests.ray.files import Array, added, close, inputs, job, labels, layer, logits, plain, write

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.ray.job import Job


def scored(job: Job) -> dict[str, str]:
    """Scores every file and sums up; the files that could not be scored, with the reasons."""
    reasons = {name: attempt(job, name) for name in job.names()}
    failures = {name: reason for name, reason in reasons.items() if reason is not None}
    write_whole(job, [name for name in reasons if name not in failures], failures)
    return failures


def summary(job: Job) -> dict[str, Any]:
    """What was found of all files together."""
    found: dict[str, Any] = json.loads((job.destination / "_summary.json").read_text())
    return found


def read(job: Job, name: str) -> dict[str, Array]:
    """The outputs of a file by name."""
    table = pq.read_table(job.destination / name)
    return {column: np.array(table[column].to_pylist()) for column in table.column_names}


def test_every_output_of_a_row_is_what_the_operation_answers(tmp_path: Path) -> None:
    rows: dict[str, Any] = {
        "logits": logits(0, 50),
        "targets": np.full((50, 10), 0.1),
        "sample_weights": np.arange(50.0),
    }
    write(tmp_path / "in/a.parquet", **rows)
    outputs = tuple(name for name in ROW_OUTPUTS if not {"weights", "softcap"} & {*GRADIENT.named_outputs[name].needs})
    asked = job(tmp_path, outputs=outputs, parameters={"temperature": 2.0, "top_k": 3, "z_loss": 0.1})
    assert scored(asked) == {}
    expected = answer("gradient", **rows, temperature=2.0, top_k=3, z_loss=0.1, reduction="sum", outputs=list(outputs))
    found = read(asked, "a.parquet")
    assert list(found) == list(outputs)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, name)


def test_the_whole_is_what_one_request_with_all_rows_answers(tmp_path: Path) -> None:
    files: list[dict[str, Any]] = [{"inputs": inputs(n, 30 + n), "targets": labels(n, 30 + n)} for n in range(3)]
    for n, rows in enumerate(files):
        rows["targets"][: 5 * n] = -100
        write(tmp_path / f"in/{n}/part.parquet", **rows)
    tensors = layer() | {"class_weights": np.linspace(0.5, 2.0, 10)}
    parameters = {"ignore_index": -100, "label_smoothing": 0.1, "temperature": 0.5}
    asked = job(tmp_path, tensors=tensors, parameters=parameters)
    assert scored(asked) == {}
    together = {name: np.concatenate([rows[name] for rows in files]) for name in ("inputs", "targets")}
    outputs = ["loss", "denominator", "accuracy", "weights_gradient", "bias_gradient"]
    expected = answer("gradient", **together, **tensors, **parameters, outputs=outputs)
    found = summary(asked)
    assert found["files"] == 3
    assert found["rows"] == 93
    assert found["counted"] == 78
    assert found["accuracy"] == expected["accuracy"]
    with np.load(asked.destination / "_gradient.npz") as gradient:
        for name in ("loss", "denominator"):
            assert close(found[name], expected[name])
        for name in ("weights_gradient", "bias_gradient"):
            np.testing.assert_allclose(gradient[name], expected[name], rtol=1e-12, atol=1e-15)


def test_many_blocks_and_row_groups_give_what_plain_numpy_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.ray.scoring.GROUP_ELEMENTS", 2_500)
    monkeypatch.setattr("deploy.ray.scoring.BLOCK_ELEMENTS", 700)
    files = [(logits(n, 1_111), labels(n, 1_111)) for n in range(3)]
    for n, (scores, targets) in enumerate(files):
        write(tmp_path / f"in/{n}.parquet", logits=scores, targets=targets, row_group_size=333)
    asked = job(tmp_path)
    assert scored(asked) == {}
    losses = np.stack([plain(*file)[0] for file in files])
    for n, expected in enumerate(losses):
        assert close(read(asked, f"{n}.parquet")["row_losses"], expected)
    assert close(summary(asked)["loss"], losses.mean())


def test_the_order_of_files_changes_no_bit_of_the_whole(tmp_path: Path) -> None:
    for n in range(9):
        write(tmp_path / f"in/{n}.parquet", inputs=inputs(n, 20), targets=labels(n, 20))
    asked = job(tmp_path, tensors=layer())
    scored(asked)
    one, other = add_up(asked, asked.names()), add_up(asked, reversed(asked.names()))
    assert set(TOTALS) < set(one)
    assert {name: each.tobytes() for name, each in one.items()} == {
        name: each.tobytes() for name, each in other.items()
    }
    with np.load(asked.receipt("0.parquet")) as receipt:
        assert receipt["weights_gradient"].shape == (10, 4)
    receipts = [dict(np.load(asked.receipt(name))) for name in asked.names()]
    assert one["weights_gradient"].tolist() == added([each["weights_gradient"] for each in receipts]).tolist()


def test_without_targets_there_are_probabilities_and_no_loss(tmp_path: Path) -> None:
    write(tmp_path / "in/a.parquet", logits=logits(0, 5))
    asked = job(tmp_path, outputs=("probabilities",))
    assert scored(asked) == {}
    assert summary(asked) == {"files": 1, "failed": {}, "rows": 5}


def test_logits_of_32_bits_are_answered_in_32_bits_and_summed_in_64(tmp_path: Path) -> None:
    scores, targets = logits(0, 500).astype(np.float32), labels(0, 500)
    write(tmp_path / "in/a.parquet", logits=scores, targets=targets)
    asked = job(tmp_path)
    scored(asked)
    assert pq.read_schema(asked.destination / "a.parquet").field("row_losses").type == "float"
    expected = answer("softmax", logits=scores, dtype="float32")["probabilities"]
    np.testing.assert_array_equal(read(asked, "a.parquet")["probabilities"].astype(np.float32), expected)
    assert close(summary(asked)["loss"], plain(scores.astype(np.float64), targets)[0].mean())


def test_columns_that_are_kept_stay_beside_their_rows(tmp_path: Path) -> None:
    write(tmp_path / "in/a.parquet", logits=logits(0, 2_000), id=np.arange(2_000)[::-1])
    asked = job(tmp_path, outputs=("predictions",), keep=("id",))
    assert scored(asked) == {}
    found = read(asked, "a.parquet")
    assert list(found) == ["id", "predictions"]
    np.testing.assert_array_equal(found["id"], np.arange(2_000)[::-1])
    np.testing.assert_array_equal(found["predictions"], logits(0, 2_000).argmax(axis=1))


def test_a_file_without_rows_has_outputs_without_rows(tmp_path: Path) -> None:
    write(tmp_path / "in/a.parquet", logits=np.empty((0, 3)), targets=np.empty(0, np.int64))
    write(tmp_path / "in/b.parquet", logits=logits(0, 4), targets=labels(0, 4))
    asked = job(tmp_path)
    assert scored(asked) == {}
    assert pq.read_schema(asked.destination / "a.parquet") == pq.read_schema(asked.destination / "b.parquet")
    assert summary(asked)["rows"] == 4


def test_rows_that_are_all_ignored_have_loss_0_over_denominator_0(tmp_path: Path) -> None:
    write(tmp_path / "in/a.parquet", inputs=inputs(0, 5), targets=np.full(5, -100))
    asked = job(tmp_path, tensors=layer(), parameters={"ignore_index": -100})
    assert scored(asked) == {}
    found = summary(asked)
    assert (found["loss"], found["denominator"], found["counted"], found["accuracy"]) == (0.0, 0.0, 0, 0.0)
    assert not np.load(asked.destination / "_gradient.npz")["weights_gradient"].any()


def test_an_excluded_target_makes_the_loss_infinite_and_the_summary_stays_json(tmp_path: Path) -> None:
    write(tmp_path / "in/a.parquet", logits=[[0.0, -np.inf], [0.0, 0.0]], targets=[1, 0])
    asked = job(tmp_path)
    assert scored(asked) == {}
    assert summary(asked)["loss"] == "Infinity"


BROKEN: dict[str, tuple[Any, str]] = {
    "no Parquet": (b"PAR1 not quite", "Parquet"),
    "no logits": ({"scores": [[1.0, 2.0]]}, "The file has no column logits."),
    "no targets": ({"logits": [[1.0, 2.0]]}, "The file has no column targets, which row_losses needs."),
    "a label too large": (
        {"logits": logits(0, 3_000), "targets": np.arange(3_000) // 250},
        "from row 2499: targets[1] is 10,",
    ),
    "a NaN": ({"logits": [[1.0, np.nan]], "targets": [0]}, "Counting from row 0: logits[0, 1] is NaN or infinite"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_bad_file_is_reported_with_its_reason_and_the_rest_is_done(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.ray.scoring.BLOCK_ELEMENTS", 8_330)
    content, reason = BROKEN[name]
    write(tmp_path / "in/good.parquet", logits=logits(1, 40), targets=labels(1, 40))
    if isinstance(content, bytes):
        (tmp_path / "in/bad.parquet").write_bytes(content)
    else:
        write(tmp_path / "in/bad.parquet", **content)
    asked = job(tmp_path)
    failures = scored(asked)
    assert list(failures) == ["bad.parquet"]
    assert reason in failures["bad.parquet"]
    assert summary(asked)["failed"] == failures
    assert summary(asked)["rows"] == 40
    left = {str(path.relative_to(asked.destination)) for path in asked.destination.rglob("*") if path.is_file()}
    assert left == {"good.parquet", "_sums/good.parquet.npz", "_summary.json"}


def test_a_file_is_finished_until_it_or_the_job_changes(tmp_path: Path) -> None:
    source = tmp_path / "in/a.parquet"
    write(source, logits=logits(0, 5), targets=labels(0, 5))
    asked = job(tmp_path)
    assert not asked.finished("a.parquet")
    scored(asked)
    assert asked.finished("a.parquet")
    assert job(tmp_path).finished("a.parquet")
    assert not job(tmp_path, parameters={"temperature": 2.0}).finished("a.parquet")
    assert not job(tmp_path, outputs=("predictions",)).finished("a.parquet")
    assert not job(tmp_path, tensors={"class_weights": np.ones(10)}).finished("a.parquet")
    write(source, logits=logits(1, 5), targets=labels(1, 5))
    assert not asked.finished("a.parquet")


def test_what_is_forgotten_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "in/a.parquet", logits=logits(0, 5), targets=labels(0, 5))
    asked = job(tmp_path)
    scored(asked)
    asked.forget("a.parquet")
    asked.forget("a.parquet")
    assert not asked.finished("a.parquet")
    assert not (asked.destination / "a.parquet").exists()


def test_a_folder_of_outputs_is_read_as_one_table(tmp_path: Path) -> None:
    for n in range(3):
        write(tmp_path / f"in/{n}.parquet", logits=logits(n, 7), targets=labels(n, 7))
    asked = job(tmp_path)
    scored(asked)
    assert pq.read_table(asked.destination).num_rows == 21


def test_files_that_begin_with_a_dot_or_an_underscore_are_passed_over(tmp_path: Path) -> None:
    for name in ("a.parquet", ".b.parquet", "_c/d.parquet", "e/f.parquet"):
        write(tmp_path / "in" / name, logits=logits(0, 1))
    assert job(tmp_path).names() == ["a.parquet", "e/f.parquet"]


MEMORY = """
import re, sys
from pathlib import Path
from deploy.ray.scoring import attempt
from tests.ray.files import job
assert attempt(job(Path(sys.argv[1])), sys.argv[2]) is None
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1))
"""


def peak(folder: Path, name: str) -> float:
    """The most megabytes that a process takes which scores a file."""
    command = [sys.executable, "-c", MEMORY, str(folder), name]
    return int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout) / 1024


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    for rows in (640_000, 1_920_000):
        write(tmp_path / f"in/{rows}.parquet", logits=logits(0, rows), targets=labels(0, rows), row_group_size=100_000)
    # there are 102 MB more to read, and as many to write
    assert peak(tmp_path, "1920000.parquet") < peak(tmp_path, "640000.parquet") + 60
