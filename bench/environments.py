"""Virtual environments of the peers, installed anew when their requirements change."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from bench.services import Service

INSTALL_SECONDS = 900


class InstallError(Exception):
    """The environment of a peer cannot be created."""


def install(service: Service) -> None:
    """Install the environment of a service unless it is there. Raises InstallError."""
    if service.environment is not None:
        create(service.environment, service.folder / "requirements.txt")


def create(environment: Path, requirements: Path) -> None:
    """Install an environment unless it is there. Raises InstallError."""
    installed = environment / requirements.name
    if installed.exists() and installed.read_bytes() == requirements.read_bytes():
        return
    sys.stderr.write(f"{environment.name}: installing\n")
    shutil.rmtree(environment, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(environment)])
    _run([f"{environment}/bin/python", "-m", "pip", "install", "--quiet", "--requirement", str(requirements)])
    shutil.copy(requirements, installed)


def _run(command: list[str]) -> None:
    try:
        # the commands are those above
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)  # noqa: S603
    except subprocess.CalledProcessError as error:
        raise InstallError(error.stderr.strip().rpartition("\n")[2]) from error
    except subprocess.TimeoutExpired:
        raise InstallError(f"not installed in {INSTALL_SECONDS} s") from None
