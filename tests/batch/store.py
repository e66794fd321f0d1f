"""An S3-compatible server on the loopback."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

from tests.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


BUCKET = "bucket"
PATIENCE = 30
"""Seconds that the server may take to start."""

SERVER = """
import sys
from moto.server import main
main(["--host", "127.0.0.1", "--port", sys.argv[1]])
"""


@contextmanager
def s3() -> Iterator[dict[str, str]]:
    """Run a server with an empty bucket. Yield the variables with which clients find it."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-c", SERVER, str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + PATIENCE
            while not _answers(f"{address}/moto-api/"):
                assert time.monotonic() < end
                assert process.poll() is None
                time.sleep(0.05)
            with urlopen(Request(f"{address}/{BUCKET}", method="PUT")):  # noqa: S310 - http on the loopback
                pass
            yield {
                "AWS_ENDPOINT_URL": address,
                "AWS_ACCESS_KEY_ID": "key",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
            }
        finally:
            process.kill()


def _answers(address: str) -> bool:
    try:
        with urlopen(address):  # noqa: S310 - http on the loopback
            return True
    except OSError:
        return False
