"""Test the batch command without its packages, as in the environment of the service."""

from __future__ import annotations

import subprocess
import sys

from tests.docs.pages import ROOT


def test_batch_without_its_packages_names_the_mend() -> None:
    # -S: without the installed packages
    ended = subprocess.run(
        [sys.executable, "-S", "-m", "deploy.batch"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert " has no package " in line
    assert "run make .venv-ray/ray" in line
