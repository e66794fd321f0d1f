"""Bodies just below the default limit that cost the most, and valid bodies of that length to measure them by."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.lib.format import write_array_header_1_0

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 32 * 2**20 - 2**10
"""Length of the bodies, in bytes."""

JSON, NPY, NPZ, BINARY = "application/json", "application/x-npy", "application/x-npz", "application/octet-stream"


class Case(NamedTuple):
    """A body, and the status of its answer. headers: further lines of the head."""

    path: str
    make: Callable[[], bytes]
    status: int
    type: str = JSON
    headers: str = ""


def filled(before: bytes, unit: bytes, after: bytes = b"") -> bytes:
    """Return a body of many units."""
    return before + unit * ((SIZE - len(before) - len(after)) // len(unit)) + after


def softmax(status: int, *parts: bytes) -> Case:
    """Return a JSON body of POST /softmax."""
    return Case("/softmax", lambda: filled(*parts), status)


def loss(status: int, *parts: bytes) -> Case:
    """Return a JSON body of POST /loss."""
    return Case("/loss", lambda: filled(*parts), status)


def infer(status: int, *parts: bytes) -> Case:
    """Return a JSON body of the Open Inference Protocol, whose logits have these data."""
    start = b'{"inputs":[{"name":"logits","shape":[4],"datatype":"FP64","data":'
    return Case("/v2/models/softmax/infer", lambda: filled(start + parts[0], *parts[1:]), status)


def binary(status: int, datatype: str, shape: list[int], make: Callable[[], bytes]) -> Case:
    """Return an Open Inference body with binary logits."""
    data = make()
    given = {"name": "logits", "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [given]}).encode()
    line = f"Inference-Header-Content-Length: {len(head)}\r\n"
    return Case("/v2/models/softmax/infer", lambda: head + make(), status, BINARY, line)


def npy(status: int, path: str, values: Callable[[], Any]) -> Case:
    """Return a .npy body."""

    def make() -> bytes:
        stream = io.BytesIO()
        np.save(stream, values(), allow_pickle=False)
        return stream.getvalue()

    return Case(path, make, status, NPY)


def npy_of_objects() -> bytes:
    """Return a .npy body whose header asks for Python objects."""
    stream = io.BytesIO()
    write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": (4 * 2**20 - 100,)})
    return filled(stream.getvalue(), bytes(8))


def archive(members: int, size: int, compression: int = zipfile.ZIP_STORED) -> Callable[[], bytes]:
    """Return a maker of .npz bodies."""

    def make() -> bytes:
        stream, member = io.BytesIO(), io.BytesIO()
        np.save(member, np.zeros((size, 1)))
        with zipfile.ZipFile(stream, "w", compression) as file:
            for number in range(members):
                file.writestr("logits.npy" if members == 1 else f"{number}.npy", member.getvalue())
        return stream.getvalue()

    return make


def arrays(**values: Any) -> bytes:
    """Return a .npz body of named arrays."""
    stream = io.BytesIO()
    np.savez(stream, **values)
    return stream.getvalue()


def layer(rows: int, classes: int, features: int) -> bytes:
    """Return a .npz body of a layer whose numbers have all scales."""
    random = np.random.default_rng(0)
    inputs, weights = (np.exp2(random.integers(-500, 501, (count, features))) for count in (rows, classes))
    return arrays(inputs=inputs, weights=weights, bias=np.zeros(classes), targets=np.zeros(rows, int))


LAYER_GRADIENTS = "/gradient?outputs=weights_gradient,bias_gradient,inputs_gradient"

NUMBERS = 4 * 2**20 - 100
"""Numbers of 8 bytes in a body, just below `max_elements` too."""

LONG_ROW = 748_000
"""Classes of the longest row that the default limits admit."""

LONG_NUMBERS = b"[" + b",".join([b"0.12345678901234567"] * 100) + b"]"
"""A row of numbers as they are usually written."""

START, ROW = b'{"logits":[' + LONG_NUMBERS, b"," + LONG_NUMBERS

VALID = {
    "valid: numbers of 17 digits": softmax(200, START, ROW, b"]}"),
    "valid: as many short rows as fit": Case(
        "/softmax?outputs=predictions", lambda: b'{"logits":[[3]%b]}' % (b",[0.123]" * NUMBERS), 200
    ),
    "valid: integers beyond 64 bits": softmax(200, b'{"logits":[[0]', b",[%b]" % (b"9" * 25), b"]}"),
}
"""The valid bodies of this length that cost the most before they are computed."""

AT_THE_END = {
    "a byte that is not UTF-8": (400, b",[1,\xff]]}"),
    "a bare NaN": (400, b",[1,NaN]]}"),
    "a comma": (400, b",]}"),
    "a comment": (400, b"/*]*/]}"),
    "a string": (422, b',["1"]]}'),
    "a shorter row": (422, b",[1]]}"),
    "a number beside rows": (422, b",1]}"),
    "a number out of range": (422, b",[1e400]]}"),
    "text": (400, b"]} {}"),
    "an unknown field": (422, b'],"scores":1}'),
    "logits again": (422, b'],"logits":[1]}'),
    "objects": (422, b",{}" * 2**20 + b"]}"),
    "no bracket": (400, b""),
}
"""The status and the text behind the rows of a long tensor, by the mistake in it."""

BODIES = {
    **VALID,
    **{f"{name} at the end": softmax(status, START, ROW, end) for name, (status, end) in AT_THE_END.items()},
    "integers beyond 64 bits with a null at the end": softmax(
        422, b'{"logits":[[0]', b",[%b]" % (b"9" * 25), b",[null]]}"
    ),
    "objects": loss(400, b'{"logits":[{"a":1}', b',{"a":1}', b"]}"),
    "an object of many names": Case(
        "/loss",
        lambda: b'{"logits":{"0":1%b}}' % b"".join(b',"%x":1' % index for index in range(2_200_000)),
        400,
    ),
    "objects in objects": loss(400, b'{"logits":[', b'{"a":'),
    "empty objects in rows": loss(422, b'{"logits":[[{}]', b",[{}]", b"]}"),
    "strings in rows": loss(422, b'{"logits":[["a"]', b',["a"]', b"]}"),
    "rows without commas": loss(400, b'{"logits":[[1]', b"[1]", b"]}"),
    "empty objects": loss(422, b'{"logits":[{}', b",{}", b"]}"),
    "empty arrays": loss(422, b'{"logits":[[]', b",[]", b"]}"),
    "empty arrays behind a long integer": loss(422, b'{"temperature":%b,"logits":[[]' % (b"9" * 25), b",[]", b"]}"),
    "an escape": loss(413, b'{"outputs":["\\u0070robabilities"],"logits":[[0]', b",[0]", b"]}"),
    "small numbers": loss(413, b'{"logits":[0', b",0", b"]}"),
    "one long row": loss(413, b'{"logits":[[0', b",0", b"]]}"),
    "many short rows": loss(413, b'{"logits":[[0]', b",[0]", b"]}"),
    "masked rows": loss(422, b'{"logits":[[1,2]', b',["-Infinity",1]', b"]}"),
    "masked rows that are valid": Case(
        "/softmax", lambda: filled(b'{"logits":[[1,2]', b',["-Infinity",1]', b"]}"), 413
    ),
    "NaN in rows": loss(413, b'{"logits":[[1,2]', b',["NaN",1]', b"]}"),
    "largest numbers beside masks": loss(422, b'{"logits":[[1,2]', b',["-Infinity",-1.79e308]', b"]}"),
    "a mask of booleans": Case(
        "/softmax", lambda: filled(b'{"logits":[1,2],"mask":[[true,false]', b",[true,false]", b"]}"), 413
    ),
    "class weights": loss(422, b'{"logits":[1,2],"targets":1,"class_weights":[1', b",0.123456789", b"]}"),
    "teacher logits": Case(
        "/loss",
        lambda: b'{"logits":[[3,1]%b],"teacher_logits":[[1,3]%b]}' % ((b",[0.123456789,1]" * 1_000_000,) * 2),
        200,
    ),
    "a long row beyond double range": Case(
        "/loss",
        lambda: (
            b'{"logits":[[1%b]],"teacher_logits":[[1%b]],"denominator":1e-290,"outputs":["kl_divergence"]}'
            % ((b",0.123456789" * LONG_ROW,) * 2)
        ),
        200,
    ),
    "teacher logits of another shape": loss(
        422, b'{"logits":[1,2],"teacher_logits":[[1,3]', b",[0.123456789,1]", b"]}"
    ),
    "teacher logits of empty arrays": loss(422, b'{"logits":[1,2],"teacher_logits":[[]', b",[]", b"]}"),
    "teacher logits with masked rows": loss(
        422, b'{"logits":[1,2],"teacher_logits":[["-Infinity",1]', b',["-Infinity",1]', b"]}"
    ),
    "teacher logits with NaN": loss(413, b'{"logits":[1,2],"teacher_logits":[["NaN",1]', b',["NaN",1]', b"]}"),
    "strings": loss(422, b'{"logits":["a"', b',"a"', b"]}"),
    "null": loss(422, b'{"logits":[null', b",null", b"]}"),
    "booleans": loss(422, b'{"logits":[true', b",true", b"]}"),
    "long integers": loss(422, b'{"logits":[[0]', b",[%b]" % (b"9" * 25), b"]}"),
    "numbers out of range": loss(422, b'{"logits":[1e400', b",1e400", b"]}"),
    "a number of megabytes": loss(400, b'{"logits":[1', b"1", b"]}"),
    "opening brackets": loss(400, b'{"logits":', b"["),
    "closing brackets": loss(400, b'{"logits":[[1', b"]"),
    "almost closed brackets": loss(422, b'{"logits":' + b"[" * 32 + b"1", b"]" * 31 + b",1"),
    "colons": loss(400, b"{", b":"),
    "members": loss(400, b'{"a":1', b',"a":1', b"}"),
    "members of different names": Case(
        "/loss", lambda: b'{"a":1' + b"".join(b',"%x":1' % index for index in range(2_600_000)) + b"}", 400
    ),
    "a long name": loss(400, b'{"', b"a", b'":1}'),
    "a long string": loss(400, b'{"dtype":"', b"a", b'"}'),
    "quotes": loss(400, b'{"logits":[', b'"'),
    "backslashes": loss(400, b'{"dtype":"', b"\\\\", b'"}'),
    "blanks": loss(422, b'{"logits":[1', b" ", b"]}"),
    "blanks between brackets": loss(400, b'{"logits":[[1', b"] \n", b"]}"),
    "invalid UTF-8": loss(400, b'{"logits":[1', b"\xff"),
    "a null at the end": loss(413, b'{"logits":[[0.5]', b",[0.5]", b",[null]]}"),
    "a short row at the end": loss(413, b'{"logits":[[0.5,1]', b",[0.5,1]", b",[1]]}"),
    "cut short": loss(413, b'{"logits":[[0.5,1]', b",[0.5,1]"),
    "calibrate": Case(
        "/calibrate",
        lambda: b'{"logits":[[3,1]%b],"targets":[0%b]}' % (b",[0.123456789,1]" * 1_800_000, b",1" * 1_800_000),
        200,
    ),
    "calibrate, short of targets": Case(
        "/calibrate", lambda: filled(b'{"targets":[1],"logits":[[3,1]', b",[0.123456789,1]", b"]}"), 422
    ),
    "V2 JSON: empty arrays": infer(400, b"[[]", b",[]", b"]}]}"),
    "V2 JSON: strings": infer(400, b'["a"', b',"a"', b"]}]}"),
    "V2 JSON: NaN": infer(413, b"[NaN", b",NaN", b"]}]}"),
    "V2 JSON: more numbers than the shape": infer(413, b"[1", b",1.5", b"]}]}"),
    "V2 JSON: inputs": Case(
        "/v2/models/softmax/infer", lambda: filled(b'{"inputs":[{"name":"a"}', b',{"name":"a"}', b"]}"), 400
    ),
    "V2 binary: NaN": binary(400, "FP64", [2000, 1000], lambda: np.full(2_000_000, np.nan).tobytes()),
    "V2 binary: half precision": binary(413, "FP16", [1, 4 * NUMBERS], lambda: bytes(8 * NUMBERS)),
    "V2 binary: strings": binary(400, "BYTES", [1, 8 * NUMBERS // 5], lambda: b"\1\0\0\0a" * (8 * NUMBERS // 5)),
    "V2 binary: a long header": Case(
        "/v2/models/softmax/infer",
        lambda: filled(b'{"inputs":[', b"{},", b"]}"),
        400,
        BINARY,
        "Inference-Header-Content-Length: 1000\r\n",
    ),
    ".npy: NaN in the other byte order": npy(422, "/softmax", lambda: np.full((NUMBERS // 2, 1), np.nan, ">f8")),
    ".npy: Fortran order": npy(200, "/softmax?outputs=predictions", lambda: np.ones((NUMBERS // 16, 8), order="F")),
    ".npy: booleans": npy(422, "/softmax", lambda: np.ones((1, 8 * NUMBERS), bool)),
    ".npy: objects": Case("/softmax", npy_of_objects, 422, NPY),
    ".npz: many members": Case("/softmax", archive(80_000, 1), 400, NPZ),
    ".npz: teacher logits": Case(
        "/gradient",
        lambda: arrays(logits=np.ones((NUMBERS // 4, 2)), teacher_logits=np.ones((NUMBERS // 4, 2))),
        200,
        NPZ,
    ),
    ".npz: a layer of all scales": Case(LAYER_GRADIENTS, lambda: layer(1000, 1500, 1000), 200, NPZ),
    ".npz: a layer of all scales with many classes": Case(LAYER_GRADIENTS, lambda: layer(40, 100_000, 20), 200, NPZ),
    ".npz: compressed": Case("/softmax?outputs=predictions", archive(1, NUMBERS, zipfile.ZIP_DEFLATED), 200, NPZ),
}
