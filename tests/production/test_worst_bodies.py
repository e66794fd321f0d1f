"""The worst bodies below the limit are answered in bounded time and memory."""

from __future__ import annotations

import gzip
import subprocess
import sys
from typing import NamedTuple

import pytest

SIZE = 32 * 2**20 - 2**10
"""Length of a body just below the default limit."""

SECONDS = 6.0

MEBIBYTES = 400
"""Bound on the memory of a process that reads one such body, its own 70 MiB included."""

PROGRAM = """
import re, sys, time
from pathlib import Path
from service.errors import ServiceError
from service.formats.compression import inflate
from service.formats.json_decode import decode
from service.operations import OPERATIONS
from service.settings import Settings
body = bytearray(sys.stdin.buffer.read())
start = time.process_time()
said = "read"
try:
    if body[:2] == b"\\x1f\\x8b":
        body = inflate(body, "gzip", lambda size: None)
    decode(body, OPERATIONS[1], max_elements=Settings().max_elements)
except ServiceError as error:
    said = type(error).__name__
seconds = time.process_time() - start
peak = int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
print(said, seconds, peak)
"""


def filled(before: bytes, unit: bytes, after: bytes = b"") -> bytes:
    """Return a body of many units."""
    return before + unit * ((SIZE - len(before) - len(after)) // len(unit)) + after


BODIES = {
    "empty objects": filled(b'{"logits":[{}', b",{}", b"]}"),
    "empty arrays": filled(b'{"logits":[[]', b",[]", b"]}"),
    "empty arrays behind a long integer": filled(b'{"temperature":%b,"logits":[[]' % (b"9" * 25), b",[]", b"]}"),
    "an escape": filled(b'{"outputs":["\\u0070robabilities"],"logits":[[0]', b",[0]", b"]}"),
    "small numbers": filled(b'{"logits":[0', b",0", b"]}"),
    "one long row": filled(b'{"logits":[[0', b",0", b"]]}"),
    "many short rows": filled(b'{"logits":[[0]', b",[0]", b"]}"),
    "masked rows": filled(b'{"logits":[[1,2]', b',["-Infinity",1]', b"]}"),
    "NaN in rows": filled(b'{"logits":[[1,2]', b',["NaN",1]', b"]}"),
    "sentinels beside masks": filled(b'{"logits":[[1,2]', b',["-Infinity",-1.79e308]', b"]}"),
    "strings": filled(b'{"logits":["a"', b',"a"', b"]}"),
    "null": filled(b'{"logits":[null', b",null", b"]}"),
    "booleans": filled(b'{"logits":[true', b",true", b"]}"),
    "long integers": filled(b'{"logits":[[0]', b",[%b]" % (b"9" * 25), b"]}"),
    "numbers out of range": filled(b'{"logits":[1e400', b",1e400", b"]}"),
    "a number of megabytes": filled(b'{"logits":[1', b"1", b"]}"),
    "opening brackets": filled(b'{"logits":', b"["),
    "closing brackets": filled(b'{"logits":[[1', b"]"),
    "almost closed brackets": filled(b'{"logits":' + b"[" * 32 + b"1", b"]" * 31 + b",1"),
    "colons": filled(b"{", b":"),
    "members": filled(b'{"a":1', b',"a":1', b"}"),
    "members of different names": b'{"a":1' + b"".join(b',"%x":1' % index for index in range(2_600_000)) + b"}",
    "a long name": filled(b'{"', b"a", b'":1}'),
    "a long string": filled(b'{"dtype":"', b"a", b'"}'),
    "quotes": filled(b'{"logits":[', b'"'),
    "backslashes": filled(b'{"dtype":"', b"\\\\", b'"}'),
    "blanks": filled(b'{"logits":[1', b" ", b"]}"),
    "blanks between brackets": filled(b'{"logits":[[1', b"] \n", b"]}"),
    "invalid UTF-8": filled(b'{"logits":[1', b"\xff"),
    "a null at the end": filled(b'{"logits":[[0.5]', b",[0.5]", b",[null]]}"),
    "a short row at the end": filled(b'{"logits":[[0.5,1]', b",[0.5,1]", b",[1]]}"),
    "cut short": filled(b'{"logits":[[0.5,1]', b",[0.5,1]"),
}


class Outcome(NamedTuple):
    """Result of reading a body."""

    said: str
    seconds: float
    mebibytes: float


def outcome(body: bytes, codec: str) -> Outcome:
    """Read a body in its own process."""
    environment = {"SOFTMAX_JSON_CODEC": codec, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], input=body, capture_output=True, check=True, env=environment)
    said, seconds, mebibytes = done.stdout.split()
    return Outcome(said.decode(), float(seconds), float(mebibytes))


@pytest.mark.parametrize("codec", ["auto", "portable"])
@pytest.mark.parametrize("name", BODIES)
def test_a_worst_body_takes_bounded_time_and_memory(name: str, codec: str) -> None:
    found = outcome(BODIES[name], codec)
    assert found.seconds < SECONDS
    assert found.mebibytes < MEBIBYTES


@pytest.mark.parametrize("name", ["empty objects", "masked rows", "a long string"])
def test_a_compressed_worst_body_takes_bounded_time_and_memory(name: str) -> None:
    found = outcome(gzip.compress(BODIES[name], 1), "auto")
    assert found.said == outcome(BODIES[name], "auto").said
    assert found.seconds < SECONDS
    assert found.mebibytes < MEBIBYTES
