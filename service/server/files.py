"""Certificates and API keys from files, which are read again when they change or at SIGHUP."""

from __future__ import annotations

import logging
import ssl
import time
from typing import TYPE_CHECKING, NamedTuple

from service.api.security import Keys

if TYPE_CHECKING:
    from pathlib import Path

    from service.settings import Settings

log = logging.getLogger("service")

REPLACE_SECONDS = 5
"""Seconds that a certificate and its key may differ while somebody replaces one after the other."""

RETRY_SECONDS = 0.1


class Secrets(NamedTuple):
    """The contents of the files. tls: None without TLS."""

    keys: Keys
    tls: ssl.SSLContext | None


class WatchedFiles:
    """The files of the settings that are read again when they change."""

    def __init__(self, settings: Settings) -> None:
        files = (
            settings.tls_certificate_file,
            settings.tls_key_file,
            settings.tls_client_ca_file,
            settings.api_keys_file,
        )
        self._files = [file for file in files if file is not None]
        self._read = self._seen = self._stamps()

    def have_changed(self) -> bool:
        """Return whether the files differ from those read last, once they have stopped changing between two calls."""
        stamps = self._stamps()
        is_settled, self._seen = stamps == self._seen, stamps
        if stamps == self._read or not is_settled:
            return False
        self._read = stamps
        return True

    def _stamps(self) -> list[tuple[int, ...]]:
        return [_stamp(file) for file in self._files]


def read_secrets(settings: Settings) -> Secrets:
    """Return the contents of the files. Raise ValueError, which names the setting, if one of them cannot be used."""
    return Secrets(Keys(settings.read_keys()), _tls_context(settings))


def read_until_whole(settings: Settings) -> Secrets:
    """Return the contents of the files. Retry for some seconds while they cannot be used, then raise ValueError."""
    deadline = time.monotonic() + REPLACE_SECONDS
    while True:
        try:
            return read_secrets(settings)
        except ValueError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(RETRY_SECONDS)


def read_again(settings: Settings) -> Secrets | None:
    """Return the contents of the files. Log an error and return None if one of them cannot be used."""
    try:
        return read_secrets(settings)
    except ValueError as error:
        log.error("%s; what was read before stays in use", error)  # noqa: TRY400  the mistake is not in the code
        return None


def _tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the context of new connections, None without TLS."""
    certificate, key, client_ca = settings.tls_certificate_file, settings.tls_key_file, settings.tls_client_ca_file
    if certificate is None or key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # Python 3.13 and newer refuse client certificates without certain extensions otherwise, 3.11 and 3.12 do not
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    _check_certificates(certificate, "tls_certificate_file")
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except OSError as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            raise ValueError(
                "tls_key_file: the key does not belong to the certificate of tls_certificate_file"
            ) from None
        raise ValueError("tls_key_file: the file is not a readable PEM private key without a passphrase") from None
    if client_ca is not None:
        _check_certificates(client_ca, "tls_client_ca_file")
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _check_certificates(file: Path, setting: str) -> None:
    """Raise ValueError unless the file holds certificates."""
    try:
        ssl.create_default_context(cafile=file)
    except OSError:
        raise ValueError(f"{setting}: the file is not a readable PEM certificate") from None


def _stamp(file: Path) -> tuple[int, ...]:
    """Return numbers that differ once the file has changed, none if it is missing."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns
