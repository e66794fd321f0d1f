"""Test --calibrate, the measures of all rows, and masks and teachers as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from deploy.batch.errors import BatchError
from deploy.batch.measures import MEASURES
from tests.batch.files import ended, job, labels, layer, logits, read, scored, summary, visible, write
from tests.operations.support import answer

if TYPE_CHECKING:
    from pathlib import Path

FILES = 3


def rows(n: int, count: int = 40) -> dict[str, Any]:
    """Return logits that are too far apart for their labels, some of which are ignored, and weights."""
    generator = np.random.default_rng(n)
    targets = (logits(n, count) + generator.gumbel(size=(count, 10))).argmax(axis=1)
    targets[: 3 * n] = -100
    return {"logits": 3.0 * logits(n, count), "targets": targets, "sample_weights": generator.random(count)}


def fill(folder: Path) -> dict[str, Any]:
    """Write files of rows. Return them together."""
    files = [rows(n, 40 + n) for n in range(FILES)]
    for n, file in enumerate(files):
        write(folder / f"in/{n}.parquet", **file)
    return {name: np.concatenate([file[name] for file in files]) for name in files[0]}


def test_fitted_temperature_is_that_of_one_request(tmp_path: Path) -> None:
    together = fill(tmp_path)
    asked = job(tmp_path, parameters={"ignore_index": -100}, calibrate=True, measures=("expected_calibration_error",))
    assert scored(asked) == {}
    expected = answer("calibrate", **together, ignore_index=-100)
    found = summary(asked)
    assert found["calibration"]["files"] == FILES
    assert not found["calibration"]["at_bound"]
    np.testing.assert_allclose(found["calibration"]["temperature"], expected["temperature"], rtol=1e-12)
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-12)
    np.testing.assert_allclose(found["expected_calibration_error"], expected["expected_calibration_error"], rtol=1e-9)
    probabilities = answer("softmax", logits=rows(0)["logits"], temperature=found["calibration"]["temperature"])
    np.testing.assert_array_equal(read(asked, "0.parquet")["probabilities"], probabilities["probabilities"])


def test_weights_of_files_may_have_any_ratio(tmp_path: Path) -> None:
    files: list[dict[str, Any]] = [
        {"logits": np.array([[2.0, 0.0]]), "targets": np.array([0]), "sample_weights": np.array([1e290])},
        {"logits": np.array([[0.0, 1.0]]), "targets": np.array([0]), "sample_weights": np.array([1e-290])},
    ]
    for n, file in enumerate(files):
        write(tmp_path / f"in/{n}.parquet", **file)
    asked = job(tmp_path, calibrate=True)
    assert scored(asked) == {}
    expected = answer("calibrate", **{name: np.concatenate([file[name] for file in files]) for name in files[0]})
    found = summary(asked)["calibration"]
    assert not found["at_bound"]
    np.testing.assert_allclose(found["temperature"], expected["temperature"], rtol=1e-12)


def test_no_grouping_of_files_changes_the_temperature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    asked = job(tmp_path, parameters={"ignore_index": -100}, calibrate=True)
    scored(asked)
    first = summary(asked)["calibration"]
    monkeypatch.setattr("deploy.batch.run.CHUNK_FILES", 1)
    monkeypatch.setattr("deploy.batch.run.CHUNKS_PER_CORE", 100)
    scored(asked)
    assert summary(asked)["calibration"] == first


def test_a_second_calibrated_run_writes_nothing_new(tmp_path: Path) -> None:
    fill(tmp_path)
    asked = job(tmp_path, parameters={"ignore_index": -100}, calibrate=True)
    scored(asked)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("[!_]*.parquet")}
    scored(asked)
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("[!_]*.parquet")} == before


def test_the_command_calibrates_as_one_process_does(tmp_path: Path) -> None:
    fill(tmp_path)
    flags = ["--local", "--calibrate", "--ignore-index", "-100"]
    run = ended(f"{tmp_path}/in", f"{tmp_path}/out", *flags)
    assert (run.returncode, run.stderr) == (0, f"All {FILES} files are finished.\n")
    here = job(tmp_path, parameters={"ignore_index": -100}, calibrate=True)
    found = {name: (tmp_path / "out" / name).read_bytes() for name in visible(tmp_path / "out")}
    for name in found:
        (tmp_path / "out" / name).unlink()
    scored(here)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in visible(tmp_path / "out")} == found


def test_a_bad_file_has_no_part_in_the_temperature(tmp_path: Path) -> None:
    together = fill(tmp_path)
    write(tmp_path / "in/bad.parquet", logits=np.full((4, 10), np.nan), targets=labels(0, 4))
    write(tmp_path / "in/text.parquet", logits=logits(0, 4))
    asked = job(tmp_path, parameters={"ignore_index": -100}, calibrate=True, outputs=("row_losses",))
    assert scored(asked).keys() == {"bad.parquet", "text.parquet"}
    expected = answer("calibrate", **together, ignore_index=-100)["temperature"]
    np.testing.assert_allclose(summary(asked)["calibration"]["temperature"], expected, rtol=1e-12)


def test_a_layer_and_a_mask_for_all_rows_are_calibrated(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    file: dict[str, Any] = {"inputs": generator.normal(size=(60, 4)), "targets": generator.integers(5, size=60)}
    write(tmp_path / "in/a.parquet", **file)
    tensors = layer() | {"mask": np.array([1] * 5 + [0] * 5, np.uint8)}
    asked = job(tmp_path, tensors=tensors, calibrate=True)
    assert scored(asked) == {}
    expected = answer("calibrate", **file, **tensors)["temperature"]
    np.testing.assert_allclose(summary(asked)["calibration"]["temperature"], expected, rtol=1e-12)


def test_files_without_targets_cannot_be_calibrated(tmp_path: Path) -> None:
    write(tmp_path / "in/a.parquet", logits=logits(0, 4))
    with pytest.raises(BatchError, match="No file can be calibrated"):
        scored(job(tmp_path, outputs=("probabilities",), calibrate=True))


def test_the_measures_are_those_of_one_request(tmp_path: Path) -> None:
    together = fill(tmp_path)
    parameters: dict[str, Any] = {"ignore_index": -100, "top_k": 3, "bins": 4}
    measures = tuple(name for name in MEASURES if name != "kl_divergence")
    asked = job(tmp_path, parameters=parameters, outputs=("predictions",), measures=measures)
    assert scored(asked) == {}
    expected = answer("loss", **together, **parameters, outputs=list(measures))
    found = summary(asked)
    assert list(found)[-len(measures) :] == list(measures)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("kind", ["booleans", "numbers"])
def test_a_mask_and_a_teacher_are_columns(tmp_path: Path, kind: str) -> None:
    generator = np.random.default_rng(1)
    mask = generator.random((30, 10)) < 0.7
    mask[:, 0] = True
    teacher = np.where(mask, generator.normal(size=(30, 10)), -np.inf)
    file: dict[str, Any] = {"logits": logits(0, 30), "teacher_logits": teacher}
    write(tmp_path / "in/a.parquet", **file, mask=mask if kind == "booleans" else mask.astype(np.int8))
    outputs = ("probabilities", "row_losses", "row_kl_divergences", "logits_gradient")
    asked = job(tmp_path, outputs=outputs, measures=("kl_divergence",))
    assert scored(asked) == {}
    request: dict[str, Any] = {**file, "mask": mask.view(np.uint8)}
    expected = answer("gradient", **request, reduction="sum", outputs=list(outputs))
    found = read(asked, "a.parquet")
    for name in outputs:
        np.testing.assert_array_equal(found[name], expected[name], name)
    divergence = answer("loss", **request, outputs=["kl_divergence"])["kl_divergence"]
    np.testing.assert_allclose(summary(asked)["kl_divergence"], divergence, rtol=1e-12)
