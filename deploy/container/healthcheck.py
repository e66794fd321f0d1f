"""Exit with 0 if the service in this container answers /livez, on its own port, with TLS or without."""

from __future__ import annotations

import os
import ssl
import sys
from http.client import HTTPConnection, HTTPSConnection

SECONDS = 2


def alive(variables: dict[str, str]) -> bool:
    """Return whether /livez answers 200. Raises OSError if nothing answers."""
    port = int(variables.get("SOFTMAX_PORT", "8000"))
    service = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    if variables.get("SOFTMAX_TLS_CERTIFICATE_FILE"):
        context = ssl.create_default_context()
        # the certificate names the host that clients know, not the loopback
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        service = HTTPSConnection("127.0.0.1", port, timeout=SECONDS, context=context)
    service.request("GET", "/livez")
    return service.getresponse().status == 200  # noqa: PLR2004 - it is well


if __name__ == "__main__":
    sys.exit(not alive(dict(os.environ)))
