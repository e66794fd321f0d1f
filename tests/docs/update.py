"""python -m tests.docs.update: rewrite the generated tables and the shown outputs of every page of the documentation."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.docs.pages import PAGES, ROOT, name, read
from tests.docs.reader import Reader
from tests.docs.tables import filled
from tests.processes import running


def main() -> None:
    """Rewrite the pages that the arguments name, or all of them."""
    pages = [ROOT / argument for argument in sys.argv[1:]] or PAGES
    with running() as (server, _):
        for page in pages:
            before = filled(read(page))
            after = with_outputs(before, server)
            if after != read(page):
                page.write_text(after, encoding="utf-8")
                sys.stdout.write(f"{name(page)} rewritten\n")


def with_outputs(text: str, server: str) -> str:
    """Return the text of a page with the current output of every command."""
    with TemporaryDirectory() as folder:
        reader = Reader(Path(folder), server)
        with reader.servers:
            shown = list(reader.outputs(text))
    for block, output in reversed(shown):
        text = text[: block.start] + output + text[block.end :]
    return text


if __name__ == "__main__":
    main()
