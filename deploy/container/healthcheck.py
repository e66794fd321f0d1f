"""Exit with 0 if the service in this container answers /livez, on the port of its metrics if it has one."""

from __future__ import annotations

import os
import ssl
import sys
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection

SECONDS = 2


def alive(variables: dict[str, str]) -> bool:
    """Return whether /livez answers 200. Raise OSError if nothing answers."""
    metrics_port = variables.get("SOFTMAX_METRICS_PORT")
    port = int(metrics_port or variables.get("SOFTMAX_PORT", "8000"))
    service = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    if variables.get("SOFTMAX_TLS_CERTIFICATE_FILE") and not metrics_port:
        context = ssl.create_default_context()
        # the certificate names the host that clients know, not the loopback
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        service = HTTPSConnection("127.0.0.1", port, timeout=SECONDS, context=context)
    with closing(service):
        service.request("GET", "/livez")
        with service.getresponse() as response:
            return response.status == 200  # noqa: PLR2004 - it is well


if __name__ == "__main__":
    sys.exit(not alive(dict(os.environ)))
