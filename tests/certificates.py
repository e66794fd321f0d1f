"""Make certificates for tests with openssl."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Certificate(NamedTuple):
    """PEM files of a certificate and of its key."""

    chain: Path
    key: Path

    def flags(self) -> tuple[str, ...]:
        """Return the flags of a server that uses it."""
        return "--tls-certificate-file", str(self.chain), "--tls-key-file", str(self.key)


def certificate(folder: Path, name: str, issuer: Certificate | None = None) -> Certificate:
    """Return a new certificate for 127.0.0.1 and localhost. It signs itself unless there is an issuer.

    name: the files in the folder, and the subject. Files of that name are replaced.
    """
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    signed_by = [] if issuer is None else ["-CA", str(issuer.chain), "-CAkey", str(issuer.key)]
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    command += ["-days", "1", "-subj", f"/CN={name}", "-addext", names]
    command += ["-keyout", str(made.key), "-out", str(made.chain)]
    subprocess.run([*command, *signed_by], check=True, capture_output=True)
    return made
