"""Packages that some tests need and that have no wheel for every supported Python. docs/installation.md lists them."""

from __future__ import annotations

import sys
from typing import NamedTuple

import pytest


class Gap(NamedTuple):
    """Versions of Python for which a package cannot be installed without a compiler.

    first: the first of these versions. reason: the reason, for a reader. tests: the tests that are left out there.
    """

    first: tuple[int, int]
    reason: str
    tests: str


GAPS = {
    "pysimdjson": Gap((3, 14), "its last release, 7.0.2, has no wheel", "the fast JSON reader"),
    "ml-dtypes": Gap((3, 15), "its last release, 0.5.4, has no wheel", "bfloat16 beside that of ml-dtypes"),
    "tritonclient": Gap((3, 15), "greenlet and ml-dtypes, which it needs, have no wheel", "the client of Triton"),
}


def missing(package: str) -> str | None:
    """Return why a package cannot be installed on this Python, or None if it can."""
    gap = GAPS[package]
    return f"{package} for this Python: {gap.reason}" if sys.version_info >= gap.first else None


def needs_wheel(package: str) -> pytest.MarkDecorator:
    """Return the marker of a test that needs a package."""
    return pytest.mark.skipif(missing(package) is not None, reason=missing(package) or "")
