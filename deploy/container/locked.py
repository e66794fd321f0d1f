"""python -m deploy.container.locked: list the packages that a file of requirements/ and fast.txt pin for the image.

The file pins packages for every Python and system, and the image has one of each. Without an argument it is run.txt.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PYTHON = re.compile(r"^FROM python:(\d+\.\d+)", re.MULTILINE)


def environment(dockerfile: str) -> dict[str, str]:
    """Return the values of environment markers in the image: CPython on Linux, in the version of the base image.

    Raises ValueError for a Dockerfile whose base image is not Python.
    """
    found = PYTHON.search(dockerfile)
    if found is None:
        raise ValueError("the Dockerfile does not start from an image of Python")
    return {
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{found.group(1)}.0",
        "python_version": found.group(1),
        "sys_platform": "linux",
    }


def locked(lock: str, environment: dict[str, str]) -> list[str]:
    """Return the requirements of a lock that apply in an environment, one in a line with its hashes."""
    kept = []
    for line in lock.replace("\\\n", " ").splitlines():
        if not line[:1].isalnum():
            continue
        requirement, *hashes = re.split(r"\s+(?=--hash)", line.strip())
        marker = Requirement(requirement).marker
        if marker is None or marker.evaluate(environment):
            kept.append(" ".join([requirement.partition(";")[0].strip(), *hashes]))
    return kept


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "run"
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    lock = "".join((ROOT / f"requirements/{each}.txt").read_text("utf-8") for each in (name, "fast"))
    sys.stdout.writelines(f"{line}\n" for line in locked(lock, environment(dockerfile)))
