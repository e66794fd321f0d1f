"""Compare the table of platforms with the lock files."""

from __future__ import annotations

import json

from deploy.platforms import FILE, PLATFORMS, PYTHONS, locked

FOUND = json.loads(FILE.read_text(encoding="utf-8"))


def test_table_belongs_to_the_locked_versions() -> None:
    assert FOUND["pins"] == locked(), "run: make platforms"


def test_table_has_every_platform_and_python() -> None:
    assert list(FOUND["platforms"]) == list(PLATFORMS)
    assert all(list(pythons) == list(PYTHONS) for pythons in FOUND["platforms"].values())


def test_service_installs_on_every_platform() -> None:
    assert None not in [fast for pythons in FOUND["platforms"].values() for fast in pythons.values()]
