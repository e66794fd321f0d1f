"""Follow a page as a reader does: run its commands and its Python code in order, against a real server."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.docs.pages import ROOT, Block, Command, blocks, commands
from tests.processes import free_port, running
from tests.wheels import GAPS, missing

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT = "localhost:8000"
"""The address that the pages show for a server without settings."""

AFTER_CODE = "```\n\n```text\n"
"""Text between a block of Python code and the block that shows its output."""

TIMEOUT_SECONDS = 60


class Reader:
    """Runs the blocks of one page in a folder of its own, which links to every file of the repository.

    A command that starts the service starts it on a free port; the commands after it ask that server.
    """

    def __init__(self, folder: Path, server: str) -> None:
        self.folder = folder
        self.addresses = {DEFAULT: _local(server)}
        self.namespace: dict[str, Any] = {}
        self.servers = contextlib.ExitStack()
        for path in ROOT.iterdir():
            (folder / path.name).symlink_to(path)

    def outputs(self, text: str) -> Iterator[tuple[Block, str]]:
        """Yield every block that shows an output, with the text it must have."""
        printed: str | None = ""
        end = 0
        for block in blocks(text):
            shows = block.language == "text" and text[end : block.start] == AFTER_CODE
            assert shows or not printed, f"line {block.line}: show what the Python code before prints in a text block"
            if shows and printed is not None:
                yield block, printed
            printed, end = "", block.end
            if block.reason is None and block.language == "console":
                yield block, "".join(self.shown(command) for command in commands(block))
            elif block.reason is None and block.language == "sh":
                for command in commands(block):
                    self.run(command.text)
            elif block.reason is None and block.language == "python":
                is_left_out = any(missing(package) for package in GAPS if f"import {package}" in block.text)
                printed = None if is_left_out else self.execute(block)

    def shown(self, command: Command) -> str:
        """Run a command and return it with its output, as a console block shows them."""
        output = self.run(command.text)
        return f"$ {command.text}\n{output}" + ("" if output.endswith("\n") or not output else "\n")

    def run(self, command: str) -> str:
        """Run a command and return what it prints; start the server if that is what it does."""
        if (started := _started(command)) is not None:
            self._start(*started)
            return ""
        finished = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._real(command)],  # noqa: S607 - any bash will do
            cwd=self.folder,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert finished.returncode == 0, f"{command}\nended with {finished.returncode}: {finished.stderr}"
        return self._told(finished.stdout)

    def execute(self, block: Block) -> str:
        """Run Python code and return what it prints. The blocks of a page share their variables."""
        output = io.StringIO()
        code = compile(self._real(block.text), f"line {block.line}", "exec")
        with contextlib.redirect_stdout(output), contextlib.chdir(self.folder):
            exec(code, self.namespace)  # noqa: S102 - the code is ours
        return self._told(output.getvalue())

    def _start(self, flags: list[str], variables: dict[str, str]) -> None:
        port = "8000"
        if "--port" in flags:
            place = flags.index("--port")
            port = flags.pop(place + 1)
            del flags[place]
        if "--metrics-port" in flags:
            place = flags.index("--metrics-port") + 1
            shown, flags[place] = flags[place], str(free_port())
            self.addresses[f"localhost:{shown}"] = f"localhost:{flags[place]}"
        if "--uds" in flags:
            place = flags.index("--uds") + 1
            flags[place] = str(self.folder / flags[place])
        variables = {name: self._path(value) for name, value in variables.items()}
        port = variables.pop("SOFTMAX_PORT", port)
        address, _ = self.servers.enter_context(running(*map(self._path, flags), **variables))
        if "--uds" not in flags:
            self.addresses[f"localhost:{port}"] = _local(address)

    def _path(self, value: str) -> str:
        """Return a value, as an absolute path if it names a file of the folder."""
        file = self.folder / value
        return str(file) if value and file.is_file() else value

    def _real(self, text: str) -> str:
        for shown, real in self.addresses.items():
            text = text.replace(shown, real)
        return text

    def _told(self, text: str) -> str:
        for shown, real in self.addresses.items():
            text = text.replace(real, shown)
        return text


def _local(address: str) -> str:
    """Return the address of a server by the name of this machine, which certificates bear."""
    return "localhost:" + address.rpartition(":")[2]


def _started(command: str) -> tuple[list[str], dict[str, str]] | None:
    """Return the flags and the variables of a command that starts the service, None for any other command."""
    words = shlex.split(command.removesuffix("&"))
    variables = {}
    while words and (found := re.fullmatch(r"([A-Z_]+)=(.*)", words[0])):
        variables[found[1]] = found[2]
        del words[0]
    for start in (["make", "run"], [".venv/bin/python", "-m", "service"]):
        if words[: len(start)] == start and "--help" not in words:
            return words[len(start) :], variables
    return None
