"""Files one by one, in this process."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deploy.batch import columns
from deploy.batch.scoring import ROW_OUTPUTS
from tests.batch.files import close, inputs, job, labels, layer, logits, plain, read, scored, summary, visible, write
from tests.operations.support import answer, available

if TYPE_CHECKING:
    from pathlib import Path


def test_every_row_output_is_what_the_operation_answers(tmp_path: Path) -> None:
    rows: dict[str, Any] = {
        "logits": logits(0, 50),
        "targets": np.full((50, 10), 0.1),
        "sample_weights": np.arange(50.0),
    }
    write(tmp_path / "in/a.parquet", **rows)
    parameters = {"temperature": 2.0, "top_k": 3, "z_loss": 0.1}
    can = available("gradient", **rows, **parameters, reduction="sum", outputs=["loss", "top_k_classes"])
    outputs = tuple(name for name in ROW_OUTPUTS if name in can)
    assert len(outputs) > 10
    asked = job(tmp_path, outputs=outputs, parameters=parameters)
    assert scored(asked) == {}
    expected = answer("gradient", **rows, **parameters, reduction="sum", outputs=list(outputs))
    found = read(asked, "a.parquet")
    assert list(found) == list(outputs)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, name)


def test_the_whole_is_what_one_request_answers(tmp_path: Path) -> None:
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
    with np.load(tmp_path / "out/_gradient.npz") as gradient:
        for name in ("loss", "denominator"):
            assert close(found[name], expected[name])
        for name in ("weights_gradient", "bias_gradient"):
            np.testing.assert_allclose(gradient[name], expected[name], rtol=1e-12, atol=1e-15)


def test_blocks_and_row_groups_give_what_numpy_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.batch.scoring.GROUP_ELEMENTS", 2_500)
    monkeypatch.setattr("deploy.batch.scoring.BLOCK_ELEMENTS", 700)
    files = [(logits(n, 1_111), labels(n, 1_111)) for n in range(3)]
    for n, (scores, targets) in enumerate(files):
        write(tmp_path / f"in/{n}.parquet", logits=scores, targets=targets, row_group_size=333)
    asked = job(tmp_path)
    assert scored(asked) == {}
    losses = np.stack([plain(*file)[0] for file in files])
    for n, expected in enumerate(losses):
        assert close(read(asked, f"{n}.parquet")["row_losses"], expected)
    assert close(summary(asked)["loss"], losses.mean())


def test_without_targets_there_is_no_loss(tmp_path: Path) -> None:
    write(tmp_path / "in/a.parquet", logits=logits(0, 5))
    asked = job(tmp_path, outputs=("probabilities",))
    assert scored(asked) == {}
    assert summary(asked) == {"files": 1, "failed": {}, "skipped": {}, "rows": 5}


def test_float32_logits_give_float32_and_float64_sums(tmp_path: Path) -> None:
    scores, targets = logits(0, 500).astype(np.float32), labels(0, 500)
    write(tmp_path / "in/a.parquet", logits=scores, targets=targets)
    asked = job(tmp_path)
    scored(asked)
    assert pq.read_schema(tmp_path / "out/a.parquet").field("row_losses").type == "float"
    expected = answer("softmax", logits=scores, dtype="float32")["probabilities"]
    np.testing.assert_array_equal(read(asked, "a.parquet")["probabilities"].astype(np.float32), expected)
    assert close(summary(asked)["loss"], plain(scores.astype(np.float64), targets)[0].mean())


def test_kept_columns_stay_beside_their_rows(tmp_path: Path) -> None:
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
    assert pq.read_schema(tmp_path / "out/a.parquet") == pq.read_schema(tmp_path / "out/b.parquet")
    assert summary(asked)["rows"] == 4


def test_ignored_rows_have_loss_0_over_denominator_0(tmp_path: Path) -> None:
    write(tmp_path / "in/a.parquet", inputs=inputs(0, 5), targets=np.full(5, -100))
    asked = job(tmp_path, tensors=layer(), parameters={"ignore_index": -100})
    assert scored(asked) == {}
    found = summary(asked)
    assert (found["loss"], found["denominator"], found["counted"], found["accuracy"]) == (0.0, 0.0, 0, 0.0)
    assert not np.load(tmp_path / "out/_gradient.npz")["weights_gradient"].any()


def test_an_infinite_loss_is_valid_json(tmp_path: Path) -> None:
    write(tmp_path / "in/a.parquet", logits=[[0.0, -np.inf], [0.0, 0.0]], targets=[1, 0])
    asked = job(tmp_path)
    assert scored(asked) == {}
    assert summary(asked)["loss"] == "Infinity"


def table(path: Path, **named: pa.Array) -> None:
    """Write a Parquet file of columns as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(named), path)


TWO = pa.array([[1.0, 2.0], [3.0, 4.0]])

BROKEN: dict[str, tuple[bytes | dict[str, Any], str]] = {
    "no Parquet": (b"PAR1 not quite", "The file is not a valid Parquet file"),
    "nothing": (b"", "The file is not a valid Parquet file"),
    "no logits": ({"scores": TWO}, "The file has no column logits; it has scores."),
    "no targets": ({"logits": TWO}, "The file has no column targets, which row_losses needs"),
    "a label too large": (
        {"logits": columns.column(logits(0, 3_000)), "targets": pa.array(np.arange(3_000) // 250)},
        "Row 2500: targets[2500] is 10, which is not a class index",
    ),
    "a NaN": ({"logits": pa.array([[1.0, np.nan]]), "targets": pa.array([0])}, "Row 0: logits[0, 1] is NaN"),
    "a null row": ({"logits": pa.array([[1.0], None]), "targets": pa.array([0, 0])}, "Row 1: logits is null;"),
    "a null in a row": (
        {"logits": pa.array([[1.0, 2.0], [3.0, None]]), "targets": pa.array([0, 0])},
        "Row 1: logits has a null among its numbers;",
    ),
    "a null label": ({"logits": TWO, "targets": pa.array([0, None])}, "Row 1: targets is null;"),
    "rows of different length": (
        {"logits": pa.array([[1.0, 2.0], [3.0]]), "targets": pa.array([0, 0])},
        "Row 1: logits holds 1 numbers, and row 0 holds 2;",
    ),
    "a number a row": (
        {"logits": pa.array([1.0, 2.0]), "targets": pa.array([0, 0])},
        "Column logits has the type double; each of its rows must be a list of numbers.",
    ),
    "structs": (
        {"logits": pa.array([{"a": 1.0}]), "targets": pa.array([0])},
        "Column logits has the type struct<a: double>; each of its rows must be a list of numbers.",
    ),
    "nested lists": (
        {"logits": pa.array([[[1.0, 2.0]]]), "targets": pa.array([0])},
        "each of its rows must be a list of numbers.",
    ),
    "text": ({"logits": TWO, "targets": pa.array(["a", "b"])}, "must be a number or a list of numbers."),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_bad_file_fails_with_one_sentence_and_alone(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.batch.scoring.BLOCK_ELEMENTS", 8_330)
    content, reason = BROKEN[name]
    write(tmp_path / "in/good.parquet", logits=logits(1, 40), targets=labels(1, 40))
    if isinstance(content, bytes):
        (tmp_path / "in/bad.parquet").write_bytes(content)
    else:
        table(tmp_path / "in/bad.parquet", **content)
    asked = job(tmp_path)
    failures = scored(asked)
    assert list(failures) == ["bad.parquet"]
    assert reason in failures["bad.parquet"]
    assert "\n" not in failures["bad.parquet"]
    assert (summary(asked)["failed"], summary(asked)["rows"]) == (failures, 40)
    assert visible(tmp_path / "out") == {"good.parquet", "_summary.json"}


def test_an_error_of_a_shared_tensor_names_no_row(tmp_path: Path) -> None:
    write(tmp_path / "in/a.parquet", logits=logits(0, 4), targets=labels(0, 4))
    failures = scored(job(tmp_path, tensors={"class_weights": -np.ones(10)}))
    assert failures["a.parquet"].startswith("class_weights[0] is negative;")


def test_a_partition_folder_is_a_column(tmp_path: Path) -> None:
    for label in range(3):
        write(tmp_path / f"in/targets={label}/part.parquet", logits=logits(label, 20))
    asked = job(tmp_path, outputs=("row_losses",), keep=("targets",))
    assert scored(asked) == {}
    for label in range(3):
        expected = plain(logits(label, 20), np.full(20, label))[0]
        assert close(read(asked, f"targets={label}/part.parquet")["row_losses"], expected)
    table = pq.read_table(tmp_path / "out")
    assert table["targets"].to_pylist() == [label for label in range(3) for _ in range(20)]


def test_a_partition_folder_that_is_text_is_no_target(tmp_path: Path) -> None:
    write(tmp_path / "in/targets=cat/part.parquet", logits=logits(0, 2))
    assert "targets=cat does not name a number" in scored(job(tmp_path))["targets=cat/part.parquet"]


def test_a_fixed_shape_tensor_is_a_list_of_numbers(tmp_path: Path) -> None:
    values = logits(0, 6)
    column = pa.FixedShapeTensorArray.from_numpy_ndarray(values)
    table(tmp_path / "in/a.parquet", logits=column, targets=pa.array(labels(0, 6)))
    asked = job(tmp_path)
    assert scored(asked) == {}
    assert close(read(asked, "a.parquet")["row_losses"], plain(values, labels(0, 6))[0])


MEMORY = """
import re, sys
from pathlib import Path
from deploy.batch.claim import Claim
from deploy.batch.scoring import score_chunk
from tests.batch.files import job
asked, claim = job(Path(sys.argv[1])), Claim("")
claim.write(asked.destination)
(entry,) = (entry for entry in asked.source.entries() if entry.name == sys.argv[2])
assert score_chunk(asked, claim, (entry,)) == {}
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1))
"""


def peak(folder: Path, name: str) -> float:
    """Return the peak memory of a process that scores a file, in megabytes."""
    command = [sys.executable, "-c", MEMORY, str(folder), name]
    return int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout) / 1024


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    for rows in (640_000, 1_920_000):
        write(tmp_path / f"in/{rows}.parquet", logits=logits(0, rows), targets=labels(0, rows), row_group_size=100_000)
    # the larger file has 102 MB more to read, and as much to write
    assert peak(tmp_path, "1920000.parquet") < peak(tmp_path, "640000.parquet") + 60
