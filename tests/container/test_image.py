"""The content of the image, without starting the service."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from service import __version__
from tests.container.containers import IMAGE, LIMITS, run

ROOT = Path(__file__).parents[2]
MOST_MEGABYTES = 85
"""Largest size that the image adds to its base."""


def said(*command: str) -> str:
    """Return the output of a command in a new container."""
    return run("run", "--rm", "--network", "none", *LIMITS, IMAGE, *command).stdout


def test_the_dockerfile_has_no_lint() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    linted = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert linted.stdout == ""
    assert linted.returncode == 0


def test_image_is_as_small_as_the_documentation_says() -> None:
    megabytes = int(said("du", "--summarize", "--block-size=1000000", "/opt/softmax").split()[0])
    (claimed,) = re.findall(r"The image adds (\d+) MB", (ROOT / "docs/deployment.md").read_text("utf-8"))
    assert megabytes <= MOST_MEGABYTES
    assert abs(megabytes - int(claimed)) <= 3


def test_nothing_in_it_builds_or_installs() -> None:
    tools = "cc gcc g++ make ld strip apt-get pip"
    found = said("sh", "-c", f"for tool in {tools}; do command -v $tool; done; true").split()
    # the base image has no layer without apt-get
    assert set(found) <= {"/usr/bin/apt-get"}
    assert "No module named" in said("sh", "-c", "python -m pip --version 2>&1; true")


def test_no_variable_contradicts_the_settings_of_the_allocator() -> None:
    # server/memory.py sets them in the process
    assert "MALLOC" not in said("env")


def test_the_list_beside_it_names_what_is_in_it() -> None:
    listing = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions(path=[PATH])]"
    path = said("python", "-c", "import numpy, os; print(os.path.dirname(os.path.dirname(numpy.__file__)))").strip()
    inside = said("python", "-c", listing.replace("PATH", repr(path))).splitlines()
    bill = json.loads((ROOT / "build/image.cdx.json").read_text("utf-8"))
    beside = [f"{each['name']} {each['version']}" for each in bill["components"]]
    assert sorted(map(normal, inside)) == sorted(map(normal, beside))


def normal(line: str) -> str:
    """Return a name and a version in one spelling."""
    return re.sub(r"[-_.]+(?=.* )", "-", line.lower())


def test_its_labels_name_version_and_revision() -> None:
    (image,) = json.loads(run("image", "inspect", IMAGE).stdout)
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in image["Config"]["Labels"].items()}
    assert labels["version"] == __version__
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels["revision"])
    assert {"title", "description", "licenses"} <= labels.keys()


def test_its_user_is_a_number_that_is_not_root() -> None:
    (image,) = json.loads(run("image", "inspect", IMAGE).stdout)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", image["Config"]["User"])
