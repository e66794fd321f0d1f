"""Read the fenced blocks of the documentation pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md")))
"""Every page whose blocks are run."""

FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
"""Pattern of a fenced block, with the comment before it that gives the reason not to run it."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page.

    reason: why the tests do not run it, None if they do.
    start, end: the place of its text in the page.
    """

    language: str
    text: str
    reason: str | None
    start: int
    end: int
    line: int


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a console block, and the output that the page shows for it."""

    text: str
    output: str


def read(page: Path) -> str:
    """Return the text of a page."""
    return page.read_text(encoding="utf-8")


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page in order."""
    return [
        Block(
            found["language"],
            found["text"],
            found["reason"],
            found.start("text"),
            found.end("text"),
            text.count("\n", 0, found.start("text")),
        )
        for found in FENCE.finditer(text)
    ]


def commands(block: Block) -> list[Command]:
    """Return the commands of a block; a backslash continues one on the next line.

    In a console block a command stands behind "$ ", and other lines are output. In an sh block every line is a command.
    """
    if block.language == "sh":
        return [Command(line, "") for line in re.findall(r"^((?:.*\\\n)*.+)$", block.text, re.MULTILINE)]
    found = re.findall(r"^\$ ((?:.*\\\n)*.+)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE)
    return [Command(*each) for each in found]


def name(page: Path) -> str:
    """Return the path of a page below the root of the repository."""
    return page.relative_to(ROOT).as_posix()
