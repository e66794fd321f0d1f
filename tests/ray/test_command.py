"""The command line of the batch, without a cluster."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from deploy.ray.batch import DECIDED, parse
from service.operations import OPERATIONS

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.ray.job import Job


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in which there is a source, and a layer."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    np.savez("layer.npz", allow_pickle=False, weights=np.ones((3, 2)), bias=np.zeros(3))
    np.savez("logits.npz", allow_pickle=False, logits=np.ones((3, 2)))


def parsed(monkeypatch: pytest.MonkeyPatch, *words: str) -> Job:
    """The job of a command."""
    monkeypatch.setattr(sys, "argv", ["batch", *words])
    return parse()[0]


def test_flags_become_parameters_of_their_types(monkeypatch: pytest.MonkeyPatch) -> None:
    job = parsed(monkeypatch, "in", "out", "--temperature", "2", "--ignore-index", "-100", "--top-k", "3")
    assert job.parameters == {"temperature": 2.0, "ignore_index": -100, "top_k": 3}


def test_what_is_left_out_is_left_to_the_operation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    job = parsed(monkeypatch, "in", "out")
    assert job.parameters == {}
    assert job.tensors == {}
    assert job.outputs == ("probabilities", "predictions", "row_losses")
    assert (job.source, job.destination) == (tmp_path / "in", tmp_path / "out")


def test_every_parameter_is_a_flag_or_decided_otherwise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed(monkeypatch, "--help")
    shown = capsys.readouterr().out
    for parameter in OPERATIONS[-1].parameters:
        assert (f"--{parameter.name.replace('_', '-')} " in shown) is (parameter.name not in DECIDED), parameter.name


def test_tensors_come_from_their_file(monkeypatch: pytest.MonkeyPatch) -> None:
    job = parsed(monkeypatch, "in", "out", "--tensors", "layer.npz")
    assert {name: values.shape for name, values in job.tensors.items()} == {"weights": (3, 2), "bias": (3,)}


WRONG = {
    "nowhere out": "is no folder",
    "in in/out": "outside of the source",
    "in in": "outside of the source",
    "in out --outputs loss": "--outputs may name probabilities",
    "in out --keep id,predictions": "--keep may not name an output",
    "in out --tensors nowhere.npz": "No such file",
    "in out --tensors logits.npz": "it may hold weights, bias, class_weights",
    "in out --temperature warm": "invalid float value",
    "in out --reduction mean": "unrecognized arguments",
}


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_command_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(monkeypatch, *words.split())
    assert ended.value.code == 2
    assert WRONG[words] in capsys.readouterr().err
