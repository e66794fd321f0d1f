"""Find out on which platforms the locked packages install without a compiler: `python -m deploy.platforms`.

The result is requirements/platforms.json. Needs uv, and the package index.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

REQUIREMENTS = Path(__file__).parents[1] / "requirements"
FILE = REQUIREMENTS / "platforms.json"
BASE = "run.txt"
FAST = "fast.txt"
"""Lock of the optional accelerators, each of which is installed alone."""

PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")

PLATFORMS = {
    "Linux x86-64, glibc 2.34 and newer": "x86_64-manylinux_2_34",
    "Linux x86-64, glibc 2.28 to 2.33": "x86_64-manylinux_2_28",
    "Linux arm64, glibc 2.34 and newer": "aarch64-manylinux_2_34",
    "Linux arm64, glibc 2.28 to 2.33": "aarch64-manylinux_2_28",
    "Linux x86-64, musl": "x86_64-unknown-linux-musl",
    "Linux arm64, musl": "aarch64-unknown-linux-musl",
    "macOS arm64": "aarch64-apple-darwin",
    "macOS x86-64": "x86_64-apple-darwin",
    "Windows amd64": "x86_64-pc-windows-msvc",
    "Windows arm64": "aarch64-pc-windows-msvc",
}
"""Names of platforms, and the names that uv has for them."""

PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)", re.MULTILINE)


def pins(lock: str) -> dict[str, str]:
    """Return the pinned version of each package of a lock file."""
    return dict(PIN.findall((REQUIREMENTS / lock).read_text(encoding="utf-8")))


def locked() -> dict[str, str]:
    """Return the pinned version of each package that an installation may use."""
    return pins(BASE) | pins(FAST)


def installs(requirements: str, platform: str, python: str) -> bool:
    """Return whether every package of a list of requirements has a wheel for a platform and a Python version."""
    options = f"--quiet --no-deps --only-binary :all: --python-platform {platform} --python-version {python}"
    command = [sys.executable, "-m", "uv", "pip", "compile", "-", *options.split()]
    done = subprocess.run(command, input=requirements, text=True, capture_output=True, check=False)  # noqa: S603  ours
    return done.returncode == 0


def installed(platform: str, python: str) -> list[str] | None:
    """Return the accelerators that install on a platform, or None where the service itself does not install."""
    if not installs((REQUIREMENTS / BASE).read_text(encoding="utf-8"), platform, python):
        return None
    return [name for name, version in pins(FAST).items() if installs(f"{name}=={version}", platform, python)]


def main() -> None:
    """Write the file."""
    cases = list(product(PLATFORMS, PYTHONS))
    with ThreadPoolExecutor() as threads:
        found = threads.map(lambda case: installed(PLATFORMS[case[0]], case[1]), cases)
        results = dict(zip(cases, found, strict=True))
    table = {name: {python: results[name, python] for python in PYTHONS} for name in PLATFORMS}
    FILE.write_text(json.dumps({"pins": locked(), "platforms": table}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
