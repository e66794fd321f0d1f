"""Configuration of uvicorn."""

from __future__ import annotations

import ssl
import sys
from functools import partial
from typing import TYPE_CHECKING

import uvicorn

from service.api.observability import logs
from service.server.flow import UnreadBytes
from service.server.protocol import HttpProtocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from service.settings import Settings

PROGRAM = "softmax-service"


CLOSE_SECONDS = 1
"""Seconds that open connections have to close; part of `graceful_shutdown_seconds`."""


def configuration(settings: Settings, app: ASGIApp | None = None) -> uvicorn.Config:
    """Return uvicorn's configuration.

    app: None for the supervisor, which only listens.
    """
    return uvicorn.Config(
        app or "",
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=logs.configuration(settings),
        access_log=False,
        http=partial(HttpProtocol, unread=UnreadBytes()),  # type: ignore[arg-type]  # uvicorn only calls it
        proxy_headers=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=CLOSE_SECONDS,
        ssl_certfile=settings.tls_certificate_file,
        ssl_keyfile=settings.tls_key_file,
    )


def check_certificate(settings: Settings) -> None:
    """End the process with one line if the certificate cannot be used."""
    if settings.tls_certificate_file is not None and settings.tls_key_file is not None:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                settings.tls_certificate_file, settings.tls_key_file, password=lambda: ""
            )
        except (ssl.SSLError, OSError) as error:
            sys.exit(f"{PROGRAM}: tls_certificate_file: no certificate with the key of tls_key_file ({error.strerror})")
