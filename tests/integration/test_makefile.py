"""Test that `make` ends with one line and the mend where it cannot create a virtual environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a folder with the Makefile and lock files without packages."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    for name in ("run", "fast"):
        (tmp_path / "requirements" / f"{name}.txt").touch()
    return tmp_path


def refused(clone: Path, python: str) -> str:
    """Return the first line of `make run` with an interpreter, which must end before it installs anything."""
    # `make test` passes its own flags on
    variables = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    ended = subprocess.run(
        ["make", "--no-print-directory", "run", f"PYTHON={python}"],  # noqa: S607 - any make will do
        cwd=clone,
        capture_output=True,
        text=True,
        env=variables,
        check=False,
    )
    assert ended.returncode != 0
    assert ended.stdout == ""
    assert not (clone / ".venv").exists()
    line, rest = ended.stderr.split("\n", 1)
    assert rest.startswith("make: *** [")
    return line


def interpreter(clone: Path, *lines: str) -> str:
    """Return the path of a program that stands in for an interpreter."""
    path = clone / "python"
    path.write_text("\n".join(["#!/bin/sh", *lines]), encoding="ascii")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("lines", [None, ["exit 1"]], ids=["missing", "old"])
def test_make_with_a_wrong_python_names_the_mend(clone: Path, lines: list[str] | None) -> None:
    python = interpreter(clone, *lines) if lines else "nopython"
    expected = f"make: {python} is not Python 3.11 or newer; name one that is: make run PYTHON=python3.13"
    assert refused(clone, python) == expected


def test_make_without_the_venv_module_names_the_package(clone: Path) -> None:
    python = interpreter(clone, '[ "$1" = -m ] && mkdir .venv && exit 1', "exit 0")
    assert "install it (Debian: apt install python3-venv)" in refused(clone, python)
