"""Test the start of a supervisor. tests/production tests its workers."""

from __future__ import annotations

import tempfile
from typing import NoReturn

import pytest

from service.server.listen import Listeners
from service.server.supervisor import Supervisor
from service.settings import Settings


def test_without_a_writable_folder_the_start_ends_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> NoReturn:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", fail)
    with pytest.raises(SystemExit, match=r"^softmax-service: workers: .*set TMPDIR"):
        Supervisor(Settings(workers=2, port=0), Listeners([], [])).run()
