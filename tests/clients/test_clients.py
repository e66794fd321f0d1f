"""Test clients generated from typed.json with default commands: they compile, and get exact numbers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from platform import machine
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.connections import ask
from tests.contract.document import TYPED

if TYPE_CHECKING:
    import httpx

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
BUILD = HERE / "build"
PYTHON = HERE.parents[1] / ".venv-clients" / "bin"
NODE = HERE / "node_modules" / ".bin"

PROBABILITIES = np.exp([2.0, 3.0, 4.0]) / np.exp([2.0, 3.0, 4.0]).sum()
FIRST = 1 / (1 + np.exp(-2.0) + np.exp(-6.0))
GRADIENT = PROBABILITIES - [0, 1, 0]

OPENAPI_GENERATOR = (PYTHON / "openapi-generator-cli", "generate", "-i", TYPED, "-g")

GENERATORS: dict[str, tuple[str | Path, ...]] = {
    "openapi-typescript": (NODE / "openapi-typescript", TYPED, "-o", BUILD / "openapi-typescript" / "schema.ts"),
    "hey-api": (NODE / "openapi-ts", "-i", TYPED, "-o", BUILD / "hey-api"),
    "orval": (NODE / "orval", "--input", TYPED, "--output", BUILD / "orval" / "client.ts"),
    "typescript-fetch": (*OPENAPI_GENERATOR, "typescript-fetch", "-o", BUILD / "typescript-fetch"),
    "python": (*OPENAPI_GENERATOR, "python", "-o", BUILD / "python"),
    "go": (*OPENAPI_GENERATOR, "go", "-o", BUILD / "go"),
    "java": (*OPENAPI_GENERATOR, "java", "-o", BUILD / "java"),
    "csharp": (*OPENAPI_GENERATOR, "csharp", "-o", BUILD / "csharp"),
    "openapi-python-client": (
        *(PYTHON / "openapi-python-client", "generate", "--path", TYPED),
        *("--output-path", BUILD / "openapi-python-client", "--overwrite", "--fail-on-warning"),
    ),
    "datamodel-code-generator": (
        *(PYTHON / "datamodel-codegen", "--input", TYPED, "--input-file-type", "openapi"),
        *("--output", BUILD / "datamodel-code-generator" / "models.py"),
    ),
}
"""Default command of each generator."""

TYPESCRIPT = {
    "openapi-typescript": "openapi-fetch.ts",
    "hey-api": "hey-api.ts",
    "orval": "orval.ts",
    "typescript-fetch": "typescript-fetch.ts",
}
"""Program for each generator of TypeScript."""

PYTHON_PROGRAMS = {
    "python": "openapi_generator.py",
    "openapi-python-client": "openapi_python_client.py",
    "datamodel-code-generator": "datamodel.py",
}
"""Program for each generator of Python."""

GO_MODULE = """\
module article

go 1.19

require github.com/GIT_USER_ID/GIT_REPO_ID v0.0.0

replace github.com/GIT_USER_ID/GIT_REPO_ID => {client}
"""
"""The module of the Go program; the generated client needs the standard library alone."""

DEBIAN_JARS = ("gson", "jsr305", "geronimo-annotation-1.3-spec")
"""Libraries of the Java client that Debian has."""

NPM_JARS = ("okhttp-jvm", "okio-jvm", "kotlin-stdlib")
"""Libraries of the Java client that the package allure-commandline has."""


def run(*command: str | Path, cwd: Path = HERE, **variables: str) -> str:
    """Return what a command prints. It must succeed."""
    quiet = {"DO_NOT_TRACK": "1", "OPENAPI_GENERATOR_TELEMETRY": "off"}
    # openapi-python-client formats with the ruff on the path
    path = f"{PYTHON}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PATH": path, **quiet, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module", params=GENERATORS)
def generated(request: pytest.FixtureRequest) -> str:
    """Run one generator, and return its name."""
    name: str = request.param
    target = next(part for part in reversed(GENERATORS[name]) if isinstance(part, Path) and BUILD in part.parents)
    target.parent.mkdir(parents=True, exist_ok=True)
    run(*GENERATORS[name])
    return name


def expected(http: httpx.Client) -> dict[str, Any]:
    """Return the results that every program must print, digit by digit."""
    softmax = ask(http, "softmax", logits=[[2, 3, 4]], top_k=1)
    loss = ask(http, "loss", logits=[[2, 3, 4]], targets=[1])
    layer = {"inputs": [[1, 2]], "weights": [[0, 1], [1, 1], [2, 1]], "bias": [0, 0, 0]}
    gradient = ask(http, "gradient", **layer, targets=[1], learning_rate=1)
    calibrated = ask(http, "calibrate", logits=[[2, 3, 4], [3, 1, -3], [2, 3, 4]], targets=[1, 0, 2])
    np.testing.assert_allclose(softmax["probabilities"], [PROBABILITIES], rtol=1e-14)
    np.testing.assert_allclose(loss["loss"], -np.log(PROBABILITIES[1]), rtol=1e-14)
    np.testing.assert_allclose(gradient["logits_gradient"], [GRADIENT], rtol=1e-14)
    np.testing.assert_allclose(
        gradient["updated_weights"], np.array([[0, 1], [1, 1], [2, 1]]) - np.outer(GRADIENT, [1, 2]), rtol=1e-14
    )
    np.testing.assert_allclose(calibrated["loss_before"], np.mean(-np.log([*PROBABILITIES[1:], FIRST])), rtol=1e-14)
    return {
        **{name: softmax[name] for name in ("probabilities", "predictions", "top_k_classes")},
        "loss": loss["loss"],
        **{name: gradient[name] for name in ("logits_gradient", "updated_weights")},
        **{name: calibrated[name] for name in ("temperature", "at_bound", "loss_before")},
        "refusal": http.post("/softmax", json={"logits": [[2, 3, 4]], "top_k": 4}).json()["detail"],
    }


def test_client_compiles_strictly_and_gets_exact_numbers(
    generated: str, server: str, http: httpx.Client, tmp_path: Path
) -> None:
    if generated == "go":
        (tmp_path / "go.mod").write_text(GO_MODULE.format(client=BUILD / "go"))
        shutil.copy(PROGRAMS / "article.go", tmp_path)
        offline = {"GOPROXY": "off", "GOFLAGS": "-mod=mod", "GOCACHE": str(BUILD / "go-cache")}
        run("go", "vet", ".", cwd=tmp_path, **offline)
        assert json.loads(run("go", "run", ".", server, cwd=tmp_path, **offline)) == expected(http)
    elif generated == "java":
        assert json.loads(run_java(server, tmp_path)) == expected(http)
    elif generated == "csharp":
        roslyn = NODE.parent / "@autorest" / "csharp"
        client = BUILD / "csharp" / "src" / "Org.OpenAPITools"
        if sys.platform != "linux" or machine() != "x86_64":
            pytest.skip("the package of .NET is for Linux on x86-64")
        # a warning of the compiler is an error, too
        program = PROGRAMS / "csharp" / "article.py"
        printed = run(PYTHON / "python", program, client, roslyn, server, DOTNET_SYSTEM_GLOBALIZATION_INVARIANT="1")
        assert json.loads(printed) == expected(http)
    elif generated in TYPESCRIPT:
        program = PROGRAMS / TYPESCRIPT[generated]
        config = {"extends": str(HERE / "tsconfig.json"), "files": [str(program)], "include": []}
        own = HERE / "build" / f"tsconfig.{generated}.json"
        own.write_text(json.dumps(config))
        run(NODE / "tsc", "--project", own)
        bundle = tmp_path / "program.mjs"
        # axios is a CommonJS package and needs `require`
        banner = "--banner:js=import{createRequire}from'node:module';const require=createRequire(import.meta.url);"
        run(NODE / "esbuild", program, "--bundle", "--platform=node", "--format=esm", banner, f"--outfile={bundle}")
        assert json.loads(run("node", bundle, server)) == expected(http)
    else:
        program, folder = PROGRAMS / PYTHON_PROGRAMS[generated], str(BUILD / generated)
        run(PYTHON / "mypy", "--strict", "--follow-imports=silent", "--config-file=", program, MYPYPATH=folder)
        assert json.loads(run(PYTHON / "python", program, server, PYTHONPATH=folder)) == expected(http)


def run_java(server: str, classes: Path) -> str:
    """Compile the Java client and its program, and return what the program prints."""
    folder = HERE / "node_modules" / "allure-commandline" / "dist" / "plugins" / "jira-plugin" / "lib"
    jars = [Path("/usr/share/java") / f"{name}.jar" for name in DEBIAN_JARS]
    jars += [jar for name in NPM_JARS for jar in folder.glob(f"{name}-*.jar")]
    path = os.pathsep.join(map(str, [classes, *jars]))
    program = PROGRAMS / "java" / "Article.java"
    # beside the program are two libraries, as far as the client uses them
    sources = [*(BUILD / "java" / "src" / "main").rglob("*.java"), *(PROGRAMS / "java").glob("*/**/*.java")]
    run("javac", "-nowarn", "-d", classes, "-cp", path, *sources)
    run("javac", "-Xlint:all", "-Werror", "-d", classes, "-cp", path, program)
    return run("java", "-cp", path, "Article", server)


def test_every_generator_has_a_program() -> None:
    assert set(GENERATORS) == {*TYPESCRIPT, *PYTHON_PROGRAMS, "csharp", "go", "java"}
