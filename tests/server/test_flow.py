"""Test what the kernel says of a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from service.server import flow

if TYPE_CHECKING:
    import asyncio

    import pytest


def test_unsent_bytes_are_0_where_the_kernel_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "ioctl", None)
    assert flow.bytes_in_kernel(cast("asyncio.Transport", None)) == 0
