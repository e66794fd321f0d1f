"""Clients made of the OpenAPI document by others' generators get the numbers of the article."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.contract.document import COMMITTED

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parents[1] / ".venv-clients" / "bin"
PROBABILITIES = np.exp([2.0, 3.0, 4.0]) / np.exp([2.0, 3.0, 4.0]).sum()
GRADIENT = PROBABILITIES - [0, 1, 0]


def run(*command: str | Path, **variables: str) -> str:
    """What a command prints; it must end well."""
    ended = subprocess.run(
        command, cwd=HERE, env={**os.environ, **variables}, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def check(printed: str) -> None:
    """Are these the article's numbers, the layer of logits [2, 3, 4] included?"""
    results: dict[str, Any] = json.loads(printed)
    np.testing.assert_allclose(results["probabilities"], [PROBABILITIES], rtol=1e-14)
    assert results["top_k_classes"] == [[2]]
    np.testing.assert_allclose(results["loss"], -np.log(PROBABILITIES[1]), rtol=1e-14)
    assert results["infinite"] == "Infinity"
    np.testing.assert_allclose(results["logits_gradient"], [GRADIENT], rtol=1e-14)
    weights = np.array([[0, 1], [1, 1], [2, 1]]) - np.outer(GRADIENT, [1, 2])
    np.testing.assert_allclose(results["updated_weights"], weights, rtol=1e-14)
    assert results["refusal"] == "top_k must be at most the 3 classes."


@pytest.fixture(scope="session")
def python_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the Python client, made without a warning."""
    folder = tmp_path_factory.mktemp("python")
    paths = ["--path", str(COMMITTED), "--output-path", str(folder / "softmax_client")]
    run(
        *[str(ENVIRONMENT / "openapi-python-client"), "generate", "--meta", "none", "--fail-on-warning", *paths],
        *["--config", "openapi-python-client.yaml"],
        # with this the generator finds the ruff that formats what it writes
        PATH=f"{ENVIRONMENT}{os.pathsep}{os.environ['PATH']}",
    )
    return folder


@pytest.fixture(scope="session")
def typescript_program() -> Path:
    """The TypeScript program, compiled strictly."""
    schema = ["--default-non-nullable", "false", "--output", "build/schema.ts"]
    run("node_modules/.bin/openapi-typescript", COMMITTED, *schema)
    run("node_modules/.bin/tsc", "--project", ".")
    return HERE / "build" / "program.js"


def test_the_python_client_has_every_operation_and_every_message(python_client: Path) -> None:
    document = json.loads(COMMITTED.read_text(encoding="utf-8"))
    names = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    assert {path.stem for path in python_client.glob("*/api/*/[!_]*.py")} == names
    exported = run(
        ENVIRONMENT / "python",
        "-c",
        "import softmax_client.models as m; print(*m.__all__)",
        PYTHONPATH=str(python_client),
    ).split()
    assert {name for name in document["components"]["schemas"] if name.endswith(("Request", "Reply"))} <= set(exported)


def test_the_python_client_gets_the_numbers(python_client: Path, server: str) -> None:
    check(run(ENVIRONMENT / "python", "program.py", server, PYTHONPATH=str(python_client)))


def test_a_program_with_the_python_client_has_strict_types(python_client: Path) -> None:
    strict = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--config-file="]
    run(*strict, "--python-executable", str(ENVIRONMENT / "python"), "program.py", MYPYPATH=str(python_client))


def test_the_typescript_program_gets_the_numbers(typescript_program: Path, server: str) -> None:
    check(run("node", typescript_program, server))
