"""Test that the example of CONTRIBUTING works, and that its pages name every part of the service."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from service.operations import OPERATIONS
from service.operations.execute import execute
from service.schemas.requests import request_model
from tests.docs.pages import ROOT, blocks, read


def test_output_that_is_added_works() -> None:
    (code,) = (block.text for block in blocks(read(ROOT / "CONTRIBUTING.md")) if block.language == "python")
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - the code is ours
    softmax = OPERATIONS[0]
    added = replace(softmax, outputs=(*softmax.outputs, names["margin"]))
    message = request_model(added).read(
        {"logits": np.array([[2.0, 3.0, 4.0], [3.0, 1.0, -3.0]]), "outputs": ["margin"]}
    )
    answer = execute(added, message.arguments, message.output_names)
    np.testing.assert_allclose(answer["margin"], [0.66524096 - 0.24472847, 0.87887824 - 0.11894324], rtol=1e-7)


def test_every_part_of_the_service_has_its_row() -> None:
    architecture = read(ROOT / "docs/architecture.md")
    parts = {path.name + "/" * path.is_dir() for path in (ROOT / "service").iterdir()}
    for part in parts - {"__init__.py", "__main__.py", "__pycache__/"}:
        assert f"| `service/{part}` |" in architecture, part
