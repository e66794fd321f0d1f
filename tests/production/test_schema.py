"""The whole OpenAPI document against the service that it describes, with bodies that nobody thought of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.processes import running

EXAMPLES = 100
MOST_SECONDS = 120
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")

UNSAID = "positive_data_acceptance"
"""The one check that is left out: JSON Schema cannot say that shapes must fit, or that a label is below the number of classes."""


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
            timeout=MOST_SECONDS,
            check=False,
        )
    assert run.returncode == 0, run.stdout
    assert "Tested: 24" in run.stdout
