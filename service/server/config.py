"""Configuration of uvicorn."""

from __future__ import annotations

import ssl
import sys
from functools import partial
from typing import TYPE_CHECKING

import uvicorn

from service.api.app import create_app
from service.api.lifecycle import SERVER_SECONDS
from service.api.observability import logs
from service.server.lifecycle import lifespan
from service.server.protocol import BoundedProtocol

if TYPE_CHECKING:
    from service.settings import Settings

PROGRAM = "softmax-service"


def configuration(settings: Settings) -> uvicorn.Config:
    """How uvicorn is to serve. Ends the process with one line if the certificate cannot be used."""
    config = uvicorn.Config(
        partial(create_app, settings, lifespan),
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=logs.configuration(settings),
        access_log=False,
        http=BoundedProtocol,
        # nothing asks for the address of the client
        proxy_headers=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=SERVER_SECONDS,
        ssl_certfile=settings.tls_certificate_file,
        ssl_keyfile=settings.tls_key_file,
    )
    if settings.tls_certificate_file is not None and settings.tls_key_file is not None:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                settings.tls_certificate_file, settings.tls_key_file, password=lambda: ""
            )
        except (ssl.SSLError, OSError) as error:
            sys.exit(f"{PROGRAM}: tls_certificate_file: no certificate with the key of tls_key_file ({error.strerror})")
    return config
