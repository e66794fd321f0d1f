"""Test the checks before the start, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from service.server import flow
from service.server.config import check_address, check_certificate
from service.settings import Settings

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path


def test_file_without_a_certificate_ends_the_start(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not PEM")
    settings = Settings(tls_certificate_file=file, tls_key_file=file)
    with pytest.raises(SystemExit, match="tls_certificate_file"):
        check_certificate(settings)


def test_free_addresses_are_accepted() -> None:
    for host in ("127.0.0.1", "localhost"):
        check_address(Settings(host=host, port=0))


def test_unsent_bytes_are_0_where_the_kernel_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "ioctl", None)
    assert flow.bytes_in_kernel(cast("asyncio.Transport", None)) == 0
