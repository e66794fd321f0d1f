"""Test JSON that breaks each production of RFC 8259, at every endpoint that accepts JSON: a problem, never a crash."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from service.schemas.problem import Problem

if TYPE_CHECKING:
    import httpx

OPERATIONS = ("softmax", "loss", "gradient")
PATHS = [*(f"/{name}" for name in OPERATIONS), *(f"/v2/models/{name}/infer" for name in OPERATIONS)]

# section 3: a value is false, null, true, an object, an array, a number or a string
LITERALS = [
    *(
        b"False",
        b"TRUE",
        b"tru",
        b"truee",
        b"nul",
        b"nulll",
        b"Null",
        b"fals",
        b"t",
        b"n",
        b"f",
        b"tr ue",
        b"nu\\u006cl",
    ),
    *(b"undefined", b"None", b"nil", b"yes", b"NaN", b"nan", b"Infinity", b"-Infinity", b"+Infinity", b"inf", b"-inf"),
    *(b"true false", b"null null", b"1 2", b"// 1", b"/* 1 */ 1", b"1 // one", b"# 1", b"'1'", b"`1`", b"(1)", b"<1>"),
]

# section 4: begin-object [ member *( value-separator member ) ] end-object, with names that are strings
OBJECTS = [
    *(
        b"{",
        b"}",
        b"{{}}",
        b"{,}",
        b'{"a"}',
        b'{"a",}',
        b'{"a":}',
        b'{"a":1,}',
        b'{,"a":1}',
        b'{"a":1,,"b":2}',
        b"{:1}",
    ),
    *(b'{"a" 1}', b'{"a"::1}', b'{"a"=1}', b'{"a":1;"b":2}', b'{"a":1 "b":2}', b'{"a":1:2}', b'{"a"=>1}', b'{"a":1]'),
    *(b"{a:1}", b"{'a':1}", b"{1:1}", b"{null:1}", b"{true:1}", b"{[]:1}", b"{{}:1}", b'{"a:1}', b'{a":1}', b'{"a":1'),
    *(b'{"a":1}}', b'{"a":{"b":1}', b'{"\x00":1}', b'{"\xff":1}', b'{"\\x":1}', b'{"a"\x00:1}', b"{...}"),
]

# section 5: begin-array [ value *( value-separator value ) ] end-array
ARRAYS = [
    *(b"[", b"]", b"[]]", b"[[]", b"[,]", b"[1,]", b"[,1]", b"[1,,2]", b"[1 2]", b"[1;2]", b"[1:2]", b"[1}", b"[1,2"),
    *(b"[1,2}", b"[[1,2],[3]", b"[1][2]", b'["a":1]', b"[1]]", b"[1,2,]", b"[1,2,,]", b"[...]", b"[*]", b"[1\x00]"),
    *(b"[" * 1_000, b"[" * 100_000, b"[" * 100_000 + b"]" * 99_999, b'{"a":' * 100_000, b'[{"a":' * 50_000),
]

# section 6: [ minus ] int [ frac ] [ exp ]
NUMBERS = [
    *(b"+1", b"--1", b"-", b"- 1", b"-+1", b"01", b"-01", b"00", b"-00.5", b"007", b"1_000", b"1'000", b"1,000"),
    *(
        b".5",
        b"-.5",
        b"1.",
        b"-1.",
        b"1.e3",
        b".e3",
        b".",
        b"1..2",
        b"1.2.3",
        b"1.-2",
        b"1. 2",
        b"1 .2",
        b"0.1.",
        b"1,5.",
    ),
    *(b"1e", b"1e+", b"1e-", b"1E", b"1e1.5", b"1e1e1", b"1ee1", b"1e++1", b"1e 1", b"e1", b"1 e1", b"1e0x1", b"1e+-1"),
    *(b"0x10", b"0b1", b"0o7", b"1f", b"1L", b"1n", b"1j", b"1/2", b"1%", b"1-2", b"1+2", b"\xc2\xbd", b"-e1", b"-1x"),
    *(b"\xe2\x88\x921", b"\xd9\xa1", b"\xef\xbc\x91", b"1\xc2\xa0", b"\x001", b"1\xff", b"1\x0b", b"\x0c1"),
]

# section 7: quotation marks around anything but a quotation mark, a reverse solidus or a control character
STRINGS = [
    *(
        b'"',
        b'"a',
        b'a"',
        b"\"a'",
        b'"a""b"',
        b'"a" "b"',
        b'"""',
        b"a",
        b'"\\',
        b'"\\"',
        b'"a"b',
        b"\xe2\x80\x9ca\xe2\x80\x9d",
    ),
    *(b'"%c"' % control for control in range(0x20)),
    *(b'"\\%c"' % escaped for escaped in b"avxU0'eNs .-\x00\n\xff"),
    *(
        b'"\\u%b"' % digits
        for digits in (b"", b"1", b"12", b"123", b"12g4", b"+123", b"-123", b" 123", b"{12}", b"0x12")
    ),
    # section 8.2: no text has half a surrogate pair
    *(
        b'"\\u%b"' % lone
        for lone in (b"d800", b"dfff", b"d800\\ud800", b"dc00\\ud800", b"d800x", b"d800\\n", b"d800\\u0061")
    ),
]

# section 8.1: the text is UTF-8
ENCODED = [
    *(
        b'"%b"' % piece
        for piece in (b"\x80", b"\xbf", b"\xc3", b"\xc3(", b"\xe2\x82", b"\xe2(\xa1", b"\xf0\x9f\x98", b"\xfe")
    ),
    *(
        b'"%b"' % overlong
        for overlong in (b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xf0\x80\x80\x80", b"\xf8\x88\x80\x80\x80")
    ),
    *(
        b'"%b"' % beyond
        for beyond in (b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xff")
    ),
]

VALUES = [*LITERALS, *OBJECTS, *ARRAYS, *NUMBERS, *STRINGS, *ENCODED]

PLACES = [b"%b", b'{"logits":%b}', b'{"logits":[1,%b,2]}', b'{"inputs":[{"data":[%b]}]}', b'{"id":%b,"inputs":[]}']
"""Places of a value in a body."""

TEXT = '{"logits":[1,2]}'

BARE_CONSTANT = re.compile(rb"[\[:,]?-?(?:NaN|Infinity)\b(?!\")")

LONG_BYTES = 2**16

READ_PROBLEMS = ("not-an-object", "unknown-field", "missing-field")
"""Problems of a text that Open Inference reads."""

# section 2: ws value ws, where white space is space, tab, line feed and carriage return
DOCUMENTS = [
    *(b"", b" ", b"\n\n", b"\x00", b",", b":"),
    *(
        TEXT.encode() + rest
        for rest in (b"x", b",", b"}", b"]", b"{}", b"\x00", b"\xff", b"\x1a", b";", b" 1", b"\n[]")
    ),
    *(
        rest + TEXT.encode()
        for rest in (b"x", b",", b")]}',\n", b"\x00", b"\x0b", b"\x0c", b"\xc2\x85", b"\xe2\x80\xa8", b"\xc2\xa0")
    ),
    *(rest + TEXT.encode() for rest in (b"\xef\xbb", b"\xfe\xff", b"\xff\xfe")),
    *(TEXT.encode(encoding) for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "cp500")),
]

DUPLICATES = [
    *(b'{"logits":[1],"logits":[1]}', b'{"logits":[1],"log\\u0069ts":[1]}', b'{"logits":[1],"top_k":1,"top_k":1}'),
    *(b'{"id":"1","id":"1","inputs":[]}', b'{"inputs":[],"inputs":[]}'),
    b'{"inputs":[{"name":"logits","name":"logits","shape":[1],"datatype":"FP64","data":[1]}]}',
]
"""Bodies with repeated names (RFC 8259, section 4)."""


def bodies() -> list[bytes]:
    """Return the whole corpus, each body once."""
    return list(dict.fromkeys([*(place % value for value in VALUES for place in PLACES), *DOCUMENTS]))


def strictly(body: bytes) -> Any:
    """Parse a body strictly. Raises ValueError, RecursionError."""
    read = json.loads(body.decode(), parse_constant=refuse)
    json.dumps(read, ensure_ascii=False).encode()  # half a surrogate pair has no UTF-8
    return read


def refuse(_: str) -> NoReturn:
    raise ValueError


def test_the_corpus_is_malformed_throughout() -> None:
    corpus = bodies()
    assert len(corpus) > 1_000
    for body in corpus:
        with pytest.raises((ValueError, RecursionError)):
            strictly(body)


@pytest.mark.parametrize("path", PATHS)
async def test_malformed_json_is_a_400_problem(client: httpx.AsyncClient, path: str) -> None:
    wrong = []
    for body in bodies():
        reply = await client.post(path, content=body, headers={"Content-Type": "application/json"})
        problem = Problem.model_validate_json(reply.content, strict=True, extra="forbid")
        expected = (400, "/problems/malformed-body")
        if body.startswith(b"[{") and len(body) > LONG_BYTES:
            # a long list of objects is not read to its end
            expected = (400 if path.startswith("/v2") else 422, "/problems/not-an-object")
        elif path.startswith("/v2") and (len(body) > LONG_BYTES or BARE_CONSTANT.search(body)):
            # Open Inference allows bare constants, and long arrays are read after the names are checked
            assert problem.type.removeprefix("/problems/") in {"malformed-body", *READ_PROBLEMS}
            expected = (400, problem.type)
        if (reply.status_code, problem.type) != expected or len(reply.content) > 4096:
            wrong.append((body[:80], reply.status_code, problem.detail))
    assert wrong == []


async def test_a_byte_order_mark_is_ignored_as_section_8_1_allows(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    marked = await client.post("/softmax", content=b"\xef\xbb\xbf" + TEXT.encode(), headers=headers)
    assert marked.status_code == 200
    assert marked.content == (await client.post("/softmax", content=TEXT, headers=headers)).content


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", DUPLICATES)
async def test_a_name_given_twice_is_refused(client: httpx.AsyncClient, path: str, body: bytes) -> None:
    reply = await client.post(path, content=body, headers={"Content-Type": "application/json"})
    problem = Problem.model_validate_json(reply.content)
    assert problem.type == "/problems/duplicate-field"
    assert reply.status_code == problem.status == (400 if path.startswith("/v2") else 422)
