"""Test the style that no linter checks: summaries of docstrings, names of tests, length of modules."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.wheels import needs_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGES = ("service", "deploy", "bench", "examples")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
GENERATED = {"build", "node_modules"}
TESTS = [path for path in sorted((ROOT / "tests").rglob("*.py")) if not GENERATED & set(path.parts)]

OPENINGS = re.compile(r"(What|Where|Which|Whose|Who|Whoever|How|Why|When|Whether|It|They|That|Those|Is|Are|Does)\b")
"""Openings of questions, relative clauses and bare pronouns."""

MAX_LINES = 300
MAX_NAME = 60


def relative(path: Path) -> str:
    """Return the path of a module below the project, as the id of its test."""
    return str(path.relative_to(ROOT))


def summaries(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and first line of every docstring of a module, those of attributes included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for statement in node.body:
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.lineno, text.strip().partition("\n")[0]


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=relative)
def test_summaries_are_sentences_or_noun_phrases(path: Path) -> None:
    wrong = [(line, text) for line, text in summaries(path) if OPENINGS.match(text) or "?" in text]
    assert wrong == []


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_modules_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_names_of_tests_are_short(path: Path) -> None:
    names = re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
    assert [name for name in names if len(name) > MAX_NAME] == []


IMPORTED = [
    pytest.param(path, marks=needs_wheel("pysimdjson")) if path.stem == "simdjson_reader" else path
    for path in MODULES
    if "service" in path.relative_to(ROOT).parts[:1]
]


@pytest.mark.parametrize("path", IMPORTED, ids=relative)
def test_modules_of_the_service_can_be_imported(path: Path) -> None:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    assert importlib.import_module(name).__name__ == name
