"""python -m deploy.container.locked: the packages that requirements/run.txt pins for the image.

The lock holds for every Python and system; the image has one of each.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PYTHON = re.compile(r"^FROM python:(\d+\.\d+)", re.MULTILINE)


def environment(dockerfile: str) -> dict[str, str]:
    """What the markers of a lock are asked about: CPython on Linux, in the version that the Dockerfile starts from."""
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
    """The requirements of a lock that hold in an environment, each with its hashes, one a line."""
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
    dockerfile, lock = (ROOT / "Dockerfile").read_text("utf-8"), (ROOT / "requirements/run.txt").read_text("utf-8")
    sys.stdout.writelines(f"{line}\n" for line in locked(lock, environment(dockerfile)))
