"""Test certificates and keys that are read again, in this process."""

from __future__ import annotations

import os
import shutil
import ssl
import threading
from typing import TYPE_CHECKING

import pytest

from service.server import files as watched
from service.server.files import WatchedFiles, read_again, read_secrets, read_until_whole
from service.settings import Settings
from tests.certificates import Certificate, certificate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Return a certificate."""
    return certificate(tmp_path_factory.mktemp("certificates"), "ours")


def settings(chain: Path, key: Path, client_ca: Path | None = None) -> Settings:
    """Return settings with these files."""
    return Settings(tls_certificate_file=chain, tls_key_file=key, tls_client_ca_file=client_ca)


def test_without_files_there_is_no_tls_and_no_key() -> None:
    secrets = read_secrets(Settings())
    assert secrets.tls is None
    assert secrets.keys.check(None) is None


def test_client_certificates_are_required_with_an_authority_only(ours: Certificate) -> None:
    for client_ca, mode in ((None, ssl.CERT_NONE), (ours.chain, ssl.CERT_REQUIRED)):
        context = read_secrets(settings(*ours, client_ca)).tls
        assert context is not None
        assert context.verify_mode is mode


def test_client_authorities_are_those_of_the_file_alone(ours: Certificate, tmp_path: Path) -> None:
    other = certificate(tmp_path, "authority")
    context = read_secrets(settings(*ours, other.chain)).tls
    assert context is not None
    assert [names["subject"] for names in context.get_ca_certs()] == [((("commonName", "authority"),),)]


def test_unusable_file_is_named_by_its_setting(ours: Certificate, tmp_path: Path) -> None:
    text, other = tmp_path / "text", certificate(tmp_path, "other")
    text.write_text("not PEM", encoding="ascii")
    for files, said in (
        (settings(text, ours.key), "tls_certificate_file: the file is not a readable PEM certificate"),
        (settings(ours.chain, text), "tls_key_file: the file is not a readable PEM private key without a passphrase"),
        (settings(ours.chain, ours.chain), "tls_key_file: the file is not a readable PEM private key"),
        (settings(ours.chain, other.key), "tls_key_file: the key does not belong to the certificate"),
        (settings(*ours, text), "tls_client_ca_file: the file is not a readable PEM certificate"),
    ):
        with pytest.raises(ValueError, match=f"^{said}"):
            read_secrets(files)


def test_key_that_follows_its_certificate_is_waited_for(ours: Certificate, tmp_path: Path) -> None:
    files = certificate(tmp_path, "replaced")
    shutil.copy(ours.chain, files.chain)
    later = threading.Timer(0.3, shutil.copy, (ours.key, files.key))
    later.start()
    assert read_until_whole(settings(*files)).tls is not None
    later.join()


def test_key_of_another_certificate_is_refused_in_the_end(
    ours: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "REPLACE_SECONDS", 0.2)
    other = certificate(tmp_path, "other")
    with pytest.raises(ValueError, match=r"^tls_key_file: the key does not belong"):
        read_until_whole(settings(ours.chain, other.key))


@pytest.mark.parametrize("content", [b"", b"\xff", None])
def test_file_of_keys_that_turns_bad_is_one_error_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    file = tmp_path / "keys"
    file.write_text("swordfish", encoding="ascii")
    with_keys = Settings(api_keys_file=file)
    assert read_again(with_keys) is not None
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    assert read_again(with_keys) is None
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage().startswith("api_keys_file: ")
    assert record.getMessage().endswith("; what was read before stays in use")
    assert record.exc_info is None


def test_change_is_seen_once_and_only_when_it_has_settled(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("first", encoding="ascii")
    files = WatchedFiles(Settings(api_keys_file=file))
    assert not files.have_changed()
    file.write_text("second", encoding="ascii")
    assert not files.have_changed()
    file.write_text("a third", encoding="ascii")
    assert not files.have_changed()
    assert files.have_changed()
    assert not files.have_changed()


def test_change_behind_a_symbolic_link_is_seen(tmp_path: Path) -> None:
    """Kubernetes replaces the link to the folder of a Secret."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "keys").write_text(name, encoding="ascii")
    (tmp_path / "data").symlink_to("old")
    files = WatchedFiles(Settings(api_keys_file=tmp_path / "data" / "keys"))
    (tmp_path / "next").symlink_to("new")
    os.replace(tmp_path / "next", tmp_path / "data")  # noqa: PTH105  Path.replace would follow the link
    assert not files.have_changed()
    assert files.have_changed()


def test_file_that_is_gone_is_a_change(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("first", encoding="ascii")
    files = WatchedFiles(Settings(api_keys_file=file))
    file.unlink()
    assert not files.have_changed()
    assert files.have_changed()
