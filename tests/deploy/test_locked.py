"""Test the list of packages of the image, taken from a lock for every Python and system."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.container.locked import environment, locked

ROOT = Path(__file__).parents[2]
IMAGE = environment((ROOT / "Dockerfile").read_text("utf-8"))

LOCK = """\
everywhere==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via somebody
old==1.0 ; python_full_version < '3.12' \\
    --hash=sha256:cc
windows==1.0 ; sys_platform == 'win32' \\
    --hash=sha256:dd
linux==1.0 ; sys_platform != 'win32' and implementation_name == 'cpython' \\
    --hash=sha256:ee
"""


def test_requirements_of_the_image_keep_their_hashes() -> None:
    assert locked(LOCK, IMAGE) == [
        "everywhere==1.0 --hash=sha256:aa --hash=sha256:bb",
        "linux==1.0 --hash=sha256:ee",
    ]


@pytest.mark.parametrize("name", ["run", "tracing"])
def test_no_package_of_the_image_has_two_versions_or_no_hash(name: str) -> None:
    lines = locked((ROOT / f"requirements/{name}.txt").read_text("utf-8"), IMAGE)
    names = [line.partition("==")[0] for line in lines]
    assert len(names) == len(set(names))
    assert {"numpy", "fastapi", "uvicorn"} <= set(names)
    assert all("--hash=sha256:" in line for line in lines)


def test_the_image_with_tracing_has_an_exporter_more() -> None:
    run, tracing = (
        set(locked((ROOT / f"requirements/{name}.txt").read_text("utf-8"), IMAGE)) for name in ("run", "tracing")
    )
    assert run < tracing
    assert any(line.startswith("opentelemetry-exporter-otlp-proto-http==") for line in tracing)


def test_an_image_that_is_not_python_is_an_error() -> None:
    with pytest.raises(ValueError, match="Python"):
        environment("FROM debian:trixie-slim")
