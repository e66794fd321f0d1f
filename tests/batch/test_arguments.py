"""The command line of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from deploy.batch.arguments import DECIDED, parse
from deploy.batch.measures import MEASURES
from deploy.batch.scoring import ROW_OUTPUTS
from service.operations import OPERATIONS

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.batch.job import Job


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enter a folder in which there is a source, and a layer."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    np.savez("layer.npz", allow_pickle=False, weights=np.ones((3, 2)), bias=np.zeros(3))
    np.savez("logits.npz", allow_pickle=False, logits=np.ones((3, 2)))
    (tmp_path / "text.npz").write_text("not an archive")


def parsed(*words: str) -> Job:
    """Return the job of a command."""
    return parse(words).job


def test_flags_become_parameters_of_their_types() -> None:
    job = parsed("in", "out", "--temperature", "2", "--ignore-index", "-100", "--top-k", "3")
    assert job.parameters == {"temperature": 2.0, "ignore_index": -100, "top_k": 3}


def test_what_is_left_out_is_left_to_the_operation(tmp_path: Path) -> None:
    job = parsed("in", "out")
    assert job.parameters == {}
    assert job.tensors == {}
    assert job.outputs == ("probabilities", "predictions", "row_losses")
    assert (job.source.uri, job.destination.uri) == (f"{tmp_path}/in", f"{tmp_path}/out")


def test_every_parameter_and_output_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--help")
    shown = capsys.readouterr().out
    for parameter in OPERATIONS[2].parameters:
        assert (f"--{parameter.name.replace('_', '-')} " in shown) is (parameter.name not in DECIDED), parameter.name
    for name in (*ROW_OUTPUTS, *MEASURES, "--calibrate"):
        assert name in shown


def test_tensors_come_from_their_file() -> None:
    job = parsed("in", "out", "--tensors", "layer.npz")
    assert {name: values.shape for name, values in job.tensors.items()} == {"weights": (3, 2), "bias": (3,)}


def test_a_mask_of_booleans_becomes_bytes() -> None:
    np.savez("mask.npz", allow_pickle=False, mask=np.array([True, False]))
    mask = parsed("in", "out", "--tensors", "mask.npz").tensors["mask"]
    assert mask.dtype == np.uint8
    assert mask.tolist() == [1, 0]


def test_outputs_of_all_rows_go_to_the_summary() -> None:
    job = parsed("in", "out", "--outputs", "predictions,brier_score,bin_counts", "--calibrate")
    assert (job.outputs, job.measures, job.calibrate) == (("predictions",), ("brier_score", "bin_counts"), True)


def test_addresses_are_kept_as_they_are() -> None:
    job = parsed("s3://key:secret@bucket/in/?region=x", "s3://key:secret@bucket/out?region=x")
    assert job.source.uri == "s3://key:secret@bucket/in/?region=x"
    assert str(job.source) == "s3://bucket/in/"


WRONG = {
    "in out --outputs loss": "--outputs has 'loss'; it may name probabilities",
    "in out --keep id,predictions": "--keep may not name an output: predictions.",
    "in out --tensors nowhere.npz": "nowhere.npz does not exist.",
    "in out --tensors logits.npz": "logits.npz has 'logits'; it may hold weights, bias, class_weights, mask.",
    "in out --tensors text.npz": "text.npz is not a .npz file of numbers",
    "in out --temperature warm": "invalid float value",
    "in out --calibrate --temperature 2": "--calibrate finds the temperature; leave --temperature out.",
    "in out --reduction mean": "unrecognized arguments",
    "in out --local --address auto": "--local runs without a Ray cluster",
}


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_command_is_refused_in_one_line(capsys: pytest.CaptureFixture[str], words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(*words.split())
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert WRONG[words] in errors
    assert errors.count("\n") == 1
