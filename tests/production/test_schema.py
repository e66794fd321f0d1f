"""Test the service against its OpenAPI document with generated bodies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import running

pytestmark = pytest.mark.side_by_side

EXAMPLES = 100
PATIENCE = 600
"""Longest time of a run on a busy machine, in seconds."""

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")

UNSAID = "positive_data_acceptance"
"""Check that is left out: JSON Schema cannot express that shapes must fit or that a label is a class index."""


def test_the_service_keeps_to_its_openapi_document(tmp_path: Path) -> None:
    with running() as (address, _):
        run = subprocess.run(
            [
                *(SCHEMATHESIS, "run", f"{address}/openapi.json", "--checks", "all", "--exclude-checks", UNSAID),
                *("--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES)),
                *("--suppress-health-check", "all", "--request-timeout", "10"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert run.returncode == 0, run.stdout
    assert "Tested: 24" in run.stdout
