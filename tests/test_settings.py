"""Test the settings: valid values, invalid values, and that they cannot be changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service.settings import Settings

RIGHT: list[dict[str, Any]] = [
    {"port": 0},
    {"port": 65535},
    {"metrics_port": 9000},
    {"metrics_port": 0, "port": 0},
    {"metrics_port": 8000, "uds": Path("socket"), "host": "127.0.0.1"},
    {"root_path": ""},
    {"root_path": "/api/v1"},
    {"trusted_hosts": "example.org, *.example.net"},
    {"trusted_hosts": "localhost,192.0.2.7,[2001:db8::7]"},
    {"trusted_hosts": "*"},
    {"cors_origins": "*"},
    {"cors_origins": "https://page.example,http://localhost:3000"},
    {"inline_body_bytes": 0},
    {"max_body_bytes": 10, "max_bytes_in_flight": 10},
    {"drain_seconds": 0},
    {"drain_seconds": 0.9, "graceful_shutdown_seconds": 1},
]

WRONG: list[dict[str, Any]] = [
    {"port": -1},
    {"port": 65536},
    {"metrics_port": -1},
    {"metrics_port": 65536},
    {"workers": 0},
    {"root_path": "api"},
    {"root_path": "/api/"},
    {"root_path": "/a b"},
    {"trusted_hosts": "example.org:8000"},
    {"trusted_hosts": "https://example.org"},
    {"trusted_hosts": "a.*.org"},
    {"trusted_hosts": "2001:db8::7"},
    {"trusted_hosts": "[example.org]"},
    {"cors_origins": "https://page.example/"},
    {"cors_origins": "page.example"},
    {"cors_origins": "https://page.example https://other.example"},
    {"tls_certificate_file": "/nowhere"},
    {"tls_client_ca_file": "/nowhere"},
    {"api_keys_file": "/nowhere"},
    {"max_body_bytes": 0},
    {"max_elements": 0},
    {"max_elements": 2**24},
    {"max_bytes_in_flight": 0},
    {"inline_body_bytes": -1},
    {"max_wait_seconds": 0},
    {"max_wait_seconds": float("inf")},
    {"body_timeout_seconds": float("nan")},
    {"keep_alive_seconds": 0},
    {"drain_seconds": -1},
    {"graceful_shutdown_seconds": 0},
    {"log_level": "loud"},
    {"log_format": "xml"},
    {"tracing": "perhaps"},
    {"max_rows": 1},
]

CLASHING: list[tuple[dict[str, Any], str]] = [
    ({"max_body_bytes": 10, "max_bytes_in_flight": 9}, "max_bytes_in_flight must not be less than max_body_bytes"),
    ({"drain_seconds": 1, "graceful_shutdown_seconds": 1}, "drain_seconds must be less than graceful_shutdown_seconds"),
    ({"uds": "socket", "port": 8000}, "uds and port exclude each other"),
    ({"uds": "socket", "host": "127.0.0.1"}, "uds and host exclude each other"),
    ({"metrics_port": 8000}, "metrics_port must not be the same as port"),
    ({"tls_client_ca_file": __file__}, "tls_client_ca_file needs tls_certificate_file"),
    ({"tls_key_file": __file__}, "tls_certificate_file and tls_key_file need each other"),
    ({"tls_certificate_file": __file__}, "tls_certificate_file and tls_key_file need each other"),
]


@pytest.mark.parametrize("settings", RIGHT, ids=str)
def test_a_value_in_its_range_is_taken(settings: dict[str, Any]) -> None:
    taken = Settings(**settings)
    for name, value in settings.items():
        split = isinstance(getattr(taken, name), tuple)
        assert getattr(taken, name) == (tuple(value.replace(" ", "").split(",")) if split else value)


@pytest.mark.parametrize("settings", WRONG, ids=str)
def test_a_value_outside_its_range_is_refused_by_name(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refusal:
        Settings(**settings)
    (name,) = settings
    assert refusal.value.errors()[0]["loc"][0] == name


@pytest.mark.parametrize(("settings", "said"), CLASHING)
def test_values_that_do_not_fit_together_are_refused_by_name(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings(**settings)


def test_every_setting_is_described_and_ends_in_its_unit() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        if field.annotation in (int, int | None, float) and name not in {
            "port",
            "metrics_port",
            "workers",
            "max_elements",
        }:
            assert name.rpartition("_")[2] in {"bytes", "seconds", "flight"}, name


def test_settings_are_built_once_and_then_frozen() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


def test_variable_with_commas_becomes_a_tuple(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTMAX_API_KEYS", " first, second ,,")
    monkeypatch.setenv("SOFTMAX_TRACING", "true")
    settings = Settings()
    assert settings.read_keys() == ("first", "second")
    assert settings.tracing


@pytest.mark.parametrize("value", ["", " ", ",", " , "])
def test_a_variable_without_a_key_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SOFTMAX_API_KEYS", value)
    with pytest.raises(ValidationError, match="has no key"):
        Settings()


def test_keys_of_the_variable_and_of_the_file_are_put_together(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("second\nthird\n", encoding="utf-8")
    assert Settings(api_keys="first", api_keys_file=file).read_keys() == ("first", "second", "third")


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "has no key"), (b"\n \n", "has no key"), (b"\xff\xfe", "cannot be read as text")]
)
def test_a_file_without_a_key_leaves_nothing_open(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "keys"
    file.write_bytes(content)
    with pytest.raises(ValidationError, match=f"api_keys_file: the file {said}"):
        Settings(api_keys_file=file)


def test_no_refusal_repeats_a_key(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("swordfish", encoding="utf-8")
    with pytest.raises(ValidationError) as refusal:
        Settings(api_keys="perch", api_keys_file=file, drain_seconds=100)
    said = [error["msg"] for error in refusal.value.errors()]
    assert said == ["Value error, drain_seconds must be less than graceful_shutdown_seconds"]
    assert "swordfish" not in str(refusal.value)
    assert "perch" not in str(refusal.value)
