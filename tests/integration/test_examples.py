"""Run the programs in examples/ and check their results."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from examples import calibrate, compare, distil, train_digits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

STEPS = 60


@pytest.fixture(scope="module")
def losses(http: httpx.Client) -> Any:
    """Return the losses of a short training."""
    losses, _ = train_digits.train(http, *train_digits.digits(), STEPS)
    return losses


@pytest.fixture(scope="module")
def temperature(http: httpx.Client) -> float:
    """Return the temperature that the service finds."""
    fitted, _ = calibrate.overfitted()
    return calibrate.fit(http, *fitted)


def drawn(folder: Path) -> Iterator[str]:
    """Return the names of the SVG pictures in a folder."""
    for picture in folder.iterdir():
        assert ET.parse(picture).getroot().tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - it is ours
        yield picture.name


def test_training_starts_from_no_knowledge(losses: Any) -> None:
    assert losses["batch"][0] == pytest.approx(np.log(10), rel=1e-14)
    assert losses["held out"][0] == pytest.approx(np.log(10), rel=1e-14)


def test_training_lowers_the_loss_of_seen_and_unseen_digits(losses: Any) -> None:
    for values in losses.values():
        tenths = np.mean(np.reshape(values, (10, -1)), axis=1)
        assert all(np.diff(tenths[:5]) < 0)
        assert tenths[-1] < tenths[0] / 3


def test_training_recognises_nine_digits_of_ten_and_draws(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_digits.main(["--url", server, "--steps", str(STEPS), "--pictures", str(tmp_path)])
    (accuracy,) = re.findall(r"([\d.]+)% of 450 held-out digits", capsys.readouterr().out)
    assert float(accuracy) > 90
    assert list(drawn(tmp_path)) == ["digits.svg"]


def test_temperature_equals_that_of_a_local_optimiser(temperature: float) -> None:
    (logits, labels), _ = calibrate.overfitted()

    def loss(temperature: float) -> float:
        return float(-log_softmax(logits / temperature, axis=1)[np.arange(len(labels)), labels].mean())

    found = minimize_scalar(loss, bounds=(0.1, 20), method="bounded", options={"xatol": 1e-8})
    assert temperature > 2
    assert temperature == pytest.approx(found.x, abs=1e-3)


def test_temperature_halves_the_error_of_held_out_digits(http: httpx.Client, temperature: float) -> None:
    _, (unseen, labels) = calibrate.overfitted()
    before, after = (
        calibrate.reliability(http, unseen, labels, each)["expected_calibration_error"] for each in (1.0, temperature)
    )
    assert after < before / 2


def test_student_of_a_teacher_recognises_more_digits(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    distil.main(["--url", server, "--steps", "40"])
    few, taught, teacher = (float(line.split(": ")[1].strip("%")) for line in capsys.readouterr().out.splitlines())
    assert few < taught <= teacher
    assert taught > 90


def test_student_gets_nearer_to_its_teacher_with_each_step(http: httpx.Client) -> None:
    seen, _, _ = distil.digits()
    learned = {name: seen[name][:200] for name in ("inputs", "teacher_logits")}
    _, losses = distil.train(http, learned, 20, distil.TEMPERATURE)
    assert all(np.diff(losses) < 0)


def test_calibration_prints_its_result_and_draws(
    server: str, temperature: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate.main(["--url", server, "--pictures", str(tmp_path)])
    before, after = capsys.readouterr().out.splitlines()
    assert before.startswith("temperature 1.000, calibration error ")
    assert after.startswith(f"temperature {temperature:.3f}, calibration error ")
    assert list(drawn(tmp_path)) == ["calibration.svg"]


def test_the_comparison_times_every_way_at_every_size(
    server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # the largest size takes seconds
    monkeypatch.setattr(compare, "SIZES", compare.SIZES[:2])
    compare.main(["--url", server, "--seconds", "0.01"])
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split(" | ")[0] for row in rows] == [f"| {rows} x {classes}" for rows, classes in compare.SIZES]
    for row in rows:
        times = [float(cell) for cell in row.strip("| ").split(" | ")[1:]]
        assert len(times) == head.count(" | ") == 4
        assert all(time > 0 for time in times)


def test_the_comparison_does_not_time_a_way_that_is_wrong() -> None:
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        compare.milliseconds(lambda logits: compare.three_lines(2 * logits), np.eye(3), 0.01)


@pytest.mark.parametrize("program", [train_digits, calibrate, compare, distil])
def test_help_of_an_example_names_its_command(program: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main(["--help"])
    text = capsys.readouterr().out
    assert f"python {program.__name__.replace('.', '/')}.py" in text
    assert "--url" in text
