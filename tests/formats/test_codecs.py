"""Test the choice of the JSON codec."""

from __future__ import annotations

import platform
import sys

import pytest

from service.__main__ import warn_of_unknown_variables
from service.formats import codecs
from tests.wheels import needs_wheel

needs_glibc = pytest.mark.skipif(
    sys.platform == "linux" and platform.libc_ver() not in {("glibc", f"2.{minor}") for minor in range(34, 100)},
    reason="ssrjson has no wheel for musl, nor for glibc before 2.34",
)

MODULES = {"simdjson": "simdjson_reader", "ssrjson": "ssrjson_writer"}


def hide(monkeypatch: pytest.MonkeyPatch, *libraries: str) -> None:
    """Make the import of some accelerators fail."""
    for library in libraries:
        monkeypatch.delattr(codecs, MODULES[library], raising=False)
        monkeypatch.setitem(sys.modules, f"{codecs.__name__}.{MODULES[library]}", None)


def test_portable_codec_is_chosen_on_demand() -> None:
    assert codecs.choose("portable") == codecs.PORTABLE


def test_portable_codec_is_chosen_without_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, *MODULES)
    assert codecs.choose("auto") == codecs.PORTABLE


@pytest.mark.parametrize(
    "library", [pytest.param("simdjson", marks=needs_wheel("pysimdjson")), pytest.param("ssrjson", marks=needs_glibc)]
)
def test_each_accelerator_is_independent(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, *(set(MODULES) - {library}))
    chosen = codecs.choose("auto")
    assert {chosen.reader_name, chosen.writer_name} == {library, "pydantic_core"}


def test_variable_of_the_codec_is_known(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(codecs.VARIABLE, "portable")
    warn_of_unknown_variables()
    assert codecs.VARIABLE not in capsys.readouterr().err
