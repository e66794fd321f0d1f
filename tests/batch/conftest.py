"""The S3-compatible server of these tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.batch.store import s3

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def store() -> Iterator[dict[str, str]]:
    """Yield the variables of a server with an empty bucket, set in this process."""
    with s3() as variables, pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield variables
