"""Configuration of uvicorn."""

from __future__ import annotations

import errno
import socket
import ssl
import sys
from functools import partial
from typing import TYPE_CHECKING

import uvicorn

from service.api.observability import logs
from service.server.flow import FlowControl
from service.server.protocol import HttpProtocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from service.settings import Settings

PROGRAM = "softmax-service"

CLOSE_SECONDS = 1
"""Seconds that open connections have to close; part of `graceful_shutdown_seconds`."""


LISTEN_MISTAKES = {
    errno.EADDRINUSE: "port: port {port} is in use by another program; choose another with --port or SOFTMAX_PORT",
    errno.EACCES: "port: this user may not listen on port {port}; choose one from 1024 with --port or SOFTMAX_PORT",
    errno.EADDRNOTAVAIL: "host: not an address of this machine; change --host or SOFTMAX_HOST",
}


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
        http=partial(HttpProtocol, flow=FlowControl()),  # type: ignore[arg-type]  # uvicorn only calls it
        proxy_headers=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=CLOSE_SECONDS,
        ssl_certfile=settings.tls_certificate_file,
        ssl_keyfile=settings.tls_key_file,
    )


def check_certificate(settings: Settings) -> None:
    """End the process with one line if the certificate or its key cannot be used."""
    if settings.tls_certificate_file is None or settings.tls_key_file is None:
        return
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_verify_locations(settings.tls_certificate_file)
    except OSError:
        sys.exit(f"{PROGRAM}: tls_certificate_file: the file is not a readable PEM certificate")
    try:
        context.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file, password=lambda: "")
    except OSError as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            sys.exit(f"{PROGRAM}: tls_key_file: the key does not belong to the certificate of tls_certificate_file")
        sys.exit(f"{PROGRAM}: tls_key_file: the file is not a readable PEM private key without a passphrase")


def check_address(settings: Settings) -> None:
    """End the process with one line if the service cannot listen on its address.

    uvicorn would find out only after it has logged that the service has started.
    """
    host, port = settings.host, settings.port
    try:
        addresses = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        sys.exit(f"{PROGRAM}: host: no such host or address; change --host or SOFTMAX_HOST")
    for family, kind, protocol, _, address in addresses:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
        except OSError as error:
            if error.errno in LISTEN_MISTAKES:
                sys.exit(f"{PROGRAM}: {LISTEN_MISTAKES[error.errno].format(port=port)}")
