"""Test the commands, code, answers, tables and names of the documentation."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import yaml

from bench import report, results
from service import __version__
from service.api.problems import INTERNAL, PROBLEM_TYPES
from service.formats.codecs import VARIABLE
from service.operations import OPERATIONS
from service.settings import Settings
from tests.docs.pages import PAGES, ROOT, blocks, commands, name, read
from tests.docs.reader import Reader
from tests.docs.tables import MARKED, TABLES, filled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

README_LINES = 150
PICTURE_BYTES = {".png": 150_000, ".svg": 150_000, ".gif": 500_000}
UPDATE = "run: .venv/bin/python -m tests.docs.update"
LANGUAGES = {"console", "js", "json", "python", "sh", "text", "toctree", "yaml"}

every_page = pytest.mark.parametrize("page", PAGES, ids=name)


@every_page
def test_page_shows_what_the_service_answers(page: Path, server: str, tmp_path: Path) -> None:
    text = read(page)
    reader = Reader(tmp_path, server)
    with reader.servers:
        for block, output in reader.outputs(text):
            assert block.text == output, f"{name(page)}, line {block.line}; {UPDATE} {name(page)}"


@every_page
def test_page_has_the_tables_of_the_code(page: Path) -> None:
    assert read(page) == filled(read(page)), f"{UPDATE} {name(page)}"


def test_reference_describes_each_field_of_each_operation() -> None:
    reference = read(ROOT / "docs/api.md")
    for operation in OPERATIONS:
        described = [
            (each.name, each.doc) for kind in ("inputs", "parameters", "outputs") for each in getattr(operation, kind)
        ]
        missing = [field for field, meaning in described if f"| {meaning} |" not in reference]
        assert missing == [], operation.name


def test_every_table_is_on_one_page() -> None:
    assert sorted(found["name"] for page in PAGES for found in MARKED.finditer(read(page))) == sorted(TABLES)


@every_page
def test_every_fence_of_a_page_is_read(page: Path) -> None:
    text = read(page)
    found = blocks(text.replace("```{toctree}", "```toctree"))
    assert text.count("```") == 2 * len(found)
    assert {block.language for block in found} <= LANGUAGES
    assert text.count("<!-- not run:") == sum(block.reason is not None for block in found) + text.count(
        "`<!-- not run:"
    )


@every_page
def test_every_json_and_yaml_block_can_be_read(page: Path) -> None:
    for block in blocks(read(page)):
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "yaml":
            list(yaml.safe_load_all(block.text))


def words() -> Iterator[tuple[str, str]]:
    """Yield every word of the code on every page: in fenced blocks and between backticks."""
    for page in PAGES:
        text = read(page)
        code = [block.text for block in blocks(text)] + re.findall(r"`([^`\n]+)`", text)
        yield from ((name(page), word) for each in code for word in re.findall(r"[^\s\"'\[\](),;]+", each))


def test_every_file_that_is_named_exists() -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"build", "logits", "scored"}
    for page, word in words():
        path = word.removeprefix("$PWD/").removeprefix("softmax-service/").removeprefix("../")
        if path.split("/")[0] in folders - {".venv", ".git"} and "/" in path and "*" not in path:
            assert (ROOT / path).exists(), f"{page}: {word}"


def test_every_module_that_is_named_exists() -> None:
    for page in PAGES:
        for module in re.findall(r"python -m ((?:bench|deploy|tests|service)[\w.]*\w)", read(page)):
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), f"{name(page)}: {module}"


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {target for page in PAGES for target in re.findall(r"(?:`|^\$ |^)make ([a-z-]+)", read(page), re.MULTILINE)}
    assert {"run", "check", "docs"} <= named <= targets


def test_every_variable_of_the_service_exists() -> None:
    variables = {f"SOFTMAX_{name.upper()}" for name in Settings.model_fields} | {"SOFTMAX_", VARIABLE}
    assert {word for page in PAGES for word in re.findall(r"\bSOFTMAX_\w*", read(page))} <= variables


def test_every_flag_of_the_service_exists() -> None:
    flags = {"--" + name.replace("_", "-") for name in Settings.model_fields} | {"--help"}
    started = [
        command.text
        for page in PAGES
        for block in blocks(read(page))
        if block.language in {"console", "sh"}
        for command in commands(block)
        if "python -m service" in command.text
    ]
    assert started
    assert {flag for command in started for flag in re.findall(r"--[a-z-]+", command)} <= flags


def test_every_flag_of_the_other_programs_exists() -> None:
    flags = {"--" + each.name.replace("_", "-") for operation in OPERATIONS for each in operation.parameters}
    found = re.compile(r"python (?:-m )?((?:bench|deploy|examples)[\w./]*)( [^`\n]*)")
    named = [program for page in PAGES for program in found.findall(read(page))]
    assert named
    for program, rest in named:
        path = ROOT / program.removesuffix(".py").replace(".", "/")
        files = [path.with_suffix(".py")] if path.with_suffix(".py").is_file() else [*path.glob("*.py")]
        source = "".join(read(file) for file in files)
        for flag in re.findall(r"--[a-z-]+", rest):
            assert f'"{flag}"' in source or flag in flags | {"--help"}, f"{program} {flag}"


@every_page
def test_code_has_no_html_entity(page: Path) -> None:
    # Markdown shows &#124; inside of code as it is
    assert not re.findall(r"`[^`\n]*&#?\w+;[^`\n]*`", read(page))


def test_every_problem_type_has_an_entry() -> None:
    entries = re.findall(r"^### (\S+)$", read(ROOT / "docs/errors.md"), re.MULTILINE)
    assert sorted(entries) == sorted(kind.slug for kind in [INTERNAL, *PROBLEM_TYPES.values()])


def test_every_alert_has_an_entry_in_the_runbook() -> None:
    groups = yaml.safe_load(read(ROOT / "deploy/prometheus/alerts.yaml"))["groups"]
    alerts = [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]
    assert re.findall(r"^## (\S+)$", read(ROOT / "docs/runbook.md"), re.MULTILINE) == alerts


def test_every_picture_is_shown_and_small() -> None:
    shown = {picture for page in PAGES for picture in re.findall(r"!\[[^\]]+\]\((?:docs/)?([^)/]+)\)", read(page))}
    pictures = [path for path in (ROOT / "docs").iterdir() if path.suffix in PICTURE_BYTES]
    assert {picture.name for picture in pictures} == shown
    assert all(picture.stat().st_size < PICTURE_BYTES[picture.suffix] for picture in pictures)


def test_readme_is_short() -> None:
    assert len(read(ROOT / "README.md").splitlines()) <= README_LINES


def test_readme_links_to_every_page() -> None:
    readme = read(ROOT / "README.md")
    for page in PAGES:
        assert name(page) in {"README.md", "docs/index.md"} or f"({name(page)}" in readme, name(page)


def test_benchmarks_are_those_of_the_results() -> None:
    assert read(ROOT / "bench/README.md") == report.page(results.load(results.FILE))


def test_javascript_shown_is_the_example() -> None:
    (shown,) = (block.text for page in PAGES for block in blocks(read(page)) if block.language == "js")
    assert shown == (ROOT / "examples/javascript/learn.mjs").read_text(encoding="utf-8")


def test_kustomizations_name_folders_of_the_repository() -> None:
    shown = [block.text for block in blocks(read(ROOT / "docs/deployment.md")) if block.language == "yaml"]
    documents = [document for text in shown for document in yaml.safe_load_all(text)]
    names = [name for each in documents for name in [*each.get("resources", ()), *each.get("components", ())]]
    folders = [name for name in names if name.startswith("softmax-service/")]
    assert folders
    for folder in folders:
        assert (ROOT / folder.removeprefix("softmax-service/") / "kustomization.yaml").is_file(), folder


def test_the_changelog_has_a_date_for_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(.+)\](?: - (\d{4}-\d\d-\d\d))?$", changelog, re.MULTILINE)
    assert versions[0] == ("Unreleased", "")
    assert versions[1][0] == __version__
    assert all(date for _, date in versions[1:])
