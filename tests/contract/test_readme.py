from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import scipy.special

from examples import compare
from service.operations import OPERATIONS
from service.settings import Settings
from tests.contract.document import same

if TYPE_CHECKING:
    import httpx

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROSE = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
LINKS = re.findall(r"\]\(([^)\s]+)\)", PROSE)
LARGEST_PICTURE = 150_000
"""Bytes of a picture that a reader need not wait for."""

BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str]]:
    """Every curl command of the README with the answer it shows."""
    shown = []
    for language, block in BLOCKS:
        if language == "console":
            pieces = re.split(r"^\$ ", block.replace("\\\n", " "), flags=re.MULTILINE)[1:]
            # an answer is one line, the last
            shown += [tuple(piece.rstrip().rsplit("\n", 1)) for piece in pieces if piece.startswith("curl")]
    return shown


@pytest.mark.parametrize(("command", "answer"), commands())
def test_every_curl_command_answers_what_is_shown(http: httpx.Client, command: str, answer: str) -> None:
    _, *words = shlex.split(command)
    headers, body, url = {}, "", ""
    while words:
        word = words.pop(0)
        if word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = words.pop(0)
        elif word != "-s":
            url = word
    assert url.startswith("localhost:8000/")
    response = http.post(url.removeprefix("localhost:8000"), content=body, headers=headers)
    assert same(response.json(), json.loads(answer))


@pytest.mark.parametrize("code", [block for language, block in BLOCKS if language == "python"])
def test_every_python_example_runs(server: str, code: str) -> None:
    assert "localhost:8000" in code
    address = server.removeprefix("http://")
    with contextlib.redirect_stdout(io.StringIO()):
        exec(code.replace("localhost:8000", address), {})  # noqa: S102 - the code is ours


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.parametrize("command", [block for language, block in BLOCKS if language == "sh"])
def test_every_command_on_files_writes_the_answer(server: str, command: str, tmp_path: Path) -> None:
    logits = np.random.default_rng(0).normal(size=(5, 3))
    np.save(tmp_path / "logits.npy", logits)
    address = server.removeprefix("http://")
    subprocess.run(shlex.split(command.replace("localhost:8000", address)), cwd=tmp_path, check=True)
    probabilities = np.load(tmp_path / "probabilities.npy")
    np.testing.assert_allclose(probabilities, scipy.special.softmax(logits, axis=-1), rtol=1e-14)


def test_the_javascript_shown_is_the_example_that_is_run() -> None:
    example = ROOT / "examples" / "javascript" / "learn.mjs"
    assert [block for language, block in BLOCKS if language == "js"] == [example.read_text(encoding="utf-8")]


def test_every_setting_has_its_row() -> None:
    for name, field in Settings.model_fields.items():
        flag = "--" + name.replace("_", "-")
        value = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        default = "" if value in {"", None} else f"`{str(value).lower() if value is False else value}`"
        row = f"| `{name}` | `{flag}` | `SOFTMAX_{name.upper()}` | {default} |".replace("  ", " ")
        assert row in README, row


def test_every_input_parameter_and_output_is_named() -> None:
    for operation in OPERATIONS:
        for name in (*operation.names, *operation.named_outputs, operation.name):
            assert name in README, name
        for parameter in operation.parameters:
            assert f"| `{parameter.name}` |" in README, parameter.name


def test_every_path_is_named() -> None:
    for path in ("/livez", "/readyz", "/info", "/docs", "/openapi.json", "/metrics"):
        assert path in README


def anchors() -> set[str]:
    """What the headings are called in links to them."""
    titles = re.findall(r"^##+ (.+)$", PROSE, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_link_within_the_readme_leads_to_a_heading() -> None:
    within = {link.removeprefix("#") for link in LINKS if link.startswith("#")}
    assert within
    assert within <= anchors()


def test_every_link_to_a_file_leads_to_one() -> None:
    files = [link for link in LINKS if not link.startswith(("#", "http"))]
    assert files
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_every_picture_is_shown_and_small() -> None:
    for picture in (ROOT / "docs").iterdir():
        assert f"](docs/{picture.name})" in README
        assert picture.stat().st_size < LARGEST_PICTURE


def test_the_times_are_those_of_every_way_that_the_example_compares() -> None:
    columns = "three lines of NumPy | SciPy | this service, .npy | this service, JSON"
    assert f"| logits, ms | {columns} |" in README
    for rows, classes in compare.SIZES:
        assert re.search(rf"^\| {rows} x {classes} \| [\d.]+ \| [\d.]+ \| [\d.]+ \| [\d.]+ \|$", README, re.MULTILINE)
