"""Ends with 0 if the service in this container is alive, on whatever port it is set to, with TLS or without."""

from __future__ import annotations

import os
import ssl
import sys
from http.client import HTTPConnection, HTTPSConnection

SECONDS = 2


def alive(variables: dict[str, str]) -> bool:
    """Whether /livez says so. Raises OSError if nobody answers."""
    port = int(variables.get("SOFTMAX_PORT", "8000"))
    service = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    if variables.get("SOFTMAX_TLS_CERTIFICATE_FILE"):
        context = ssl.create_default_context()
        # the certificate is in the name that clients know
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        service = HTTPSConnection("127.0.0.1", port, timeout=SECONDS, context=context)
    service.request("GET", "/livez")
    return service.getresponse().status == 200  # noqa: PLR2004 - it is well


if __name__ == "__main__":
    sys.exit(not alive(dict(os.environ)))
