"""Test the style that no linter checks: summaries of docstrings, names of tests, length of modules."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.wheels import missing

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
    """Return the path of a module below the project."""
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


def test_summaries_are_sentences_or_noun_phrases() -> None:
    found = ((path, line, text) for path in (*MODULES, *TESTS) for line, text in summaries(path))
    wrong = [f"{relative(path)}:{line}: {text}" for path, line, text in found if OPENINGS.match(text) or "?" in text]
    assert wrong == []


def test_modules_are_short() -> None:
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES} == {}


def test_names_of_tests_are_short() -> None:
    names = [name for path in TESTS for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))]
    assert [name for name in names if len(name) > MAX_NAME] == []


def test_modules_of_the_service_can_be_imported() -> None:
    """Import every module, so that one which no test reaches counts in the coverage."""
    without_wheel = {"simdjson_reader"} if missing("pysimdjson") else set()
    for path in MODULES:
        if path.is_relative_to(ROOT / "service") and path.stem not in without_wheel:
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
