"""CONTRIBUTING is true to the tree: what it names is there, and what it says works."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.operations import OPERATIONS, catalogue, execute, spec
from service.schemas.requests import request_model

ROOT = Path(__file__).parents[2]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([a-z_]+/[\w./]*)`", CONTRIBUTING)))


@pytest.mark.parametrize("name", NAMED)
def test_every_file_and_folder_that_is_named_is_there(name: str) -> None:
    assert (ROOT / name).is_dir() if name.endswith("/") else (ROOT / name).is_file()


def test_every_part_of_the_service_has_its_row() -> None:
    parts = {path.name + "/" * path.is_dir() for path in (ROOT / "service").iterdir()}
    for part in parts - {"__init__.py", "__pycache__/"}:
        assert f"| `service/{part}` |" in CONTRIBUTING, part


def test_every_target_that_is_named_is_one_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", CONTRIBUTING + README)) | set(
        re.findall(r"^\$ make (\S+)", README, re.MULTILINE)
    )
    assert {"run", "test", "check", "openapi"} <= named <= targets


def test_the_import_rule_is_the_one_that_is_enforced() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = config["tool"]["importlinter"]["contracts"][0]["layers"]
    short = [layer.replace("service.", "") for layer in layers]
    assert f"`{' > '.join(f'({layer})' if '|' in layer else layer for layer in short)}`" in CONTRIBUTING


def test_the_output_that_is_added_works() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", CONTRIBUTING, re.DOTALL)
    names = {"Output": spec.Output, "ROWS": catalogue.ROWS, "np": np}
    softmax = OPERATIONS[0]
    added = replace(softmax, outputs=(*softmax.outputs, eval(code, names)))  # noqa: S307 - the code is ours
    message = request_model(added).read({"logits": [[2.0, 3.0, 4.0], [3.0, 1.0, -3.0]], "outputs": ["margin"]})
    answer = execute(added, message.fields, message.output_names)
    np.testing.assert_allclose(answer["margin"], [0.66524096 - 0.24472847, 0.87887824 - 0.11894324], rtol=1e-7)
