"""Test valid bodies with changed bytes: rejected exactly if a strict parser or a rule of the format rejects them."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, NoReturn

import numpy as np
import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from pydantic import create_model

from service.errors import ServiceError
from service.formats.json_decode import decode
from service.operations import OPERATIONS
from service.operations.spec import Domain
from service.schemas.tensors import TensorField

pytestmark = pytest.mark.usefixtures("codec")

LOSS = OPERATIONS[1]

AnyTensor = Annotated[np.ndarray, TensorField(Domain.LOGITS, float)]
fields: dict[str, Any] = {each.name: (AnyTensor, None) for each in LOSS.inputs}
Tensors = create_model("Tensors", **fields)

WORDS = ("Infinity", "-Infinity", "NaN")

VALID = [
    b'{"logits":[1,2,3]}',
    b'{"logits":[[1.5,-2e3],["-Infinity",0.25]],"targets":[0,1]}',
    b'{"logits":[[[1],[2]],[[3],[4]]],"targets":[[[1],[0]],[[0.5],[1e-1]]]}',
    b'{"targets":1,"logits":[-0,1E5],"class_weights":[1,2.0]}',
    b'{"logits":[],"targets":[[],[]]}',
    b'{ "logits" : [ 123456789012345678901 , 1e300 ] , "targets" : 0 }',
    b'{"log\\u0069ts":[1,2],"sample_weights":1}',
]

MILD = [b"", b" ", b"0", b"1", b"23", b"1,", b",2", b"[1],"]
WILD = [
    *(bytes([byte]) for byte in b"[]{},:\"\\ \n0123456789.-+eENItfn'/_\x00\xff"),
    *(b"null", b"true", b"NaN", b"Infinity", b'"-Infinity"', b'"1"', b'"', b'""', b"{}", b"[]", b"[[]]", b"[1]"),
    *(b"1e400", b"-1e400", b"99999999999999999999", b"01", b"1.", b".5", b"\xc3\xa9", b"\xed\xa0\x80", b"\\ud800"),
    *(b',"targets":1', b',"logits":[1]', b'"logits":', b"{}{}"),
]


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """Draw a valid body after up to three replacements or insertions."""
    body = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(body)))
        end = start + draw(st.sampled_from([0, 0, 0, 1, 1, 2, 3]))
        body = body[:start] + draw(st.sampled_from(MILD) | st.sampled_from(WILD)) + body[end:]
    return body


class Members(list[tuple[str, Any]]):
    """A JSON object that keeps repeated names."""


def permitted(body: bytes) -> bool:
    """Return whether a body is an object of tensors with known and unique fields."""
    try:
        document = json.loads(body.decode(), parse_constant=refuse, object_pairs_hook=Members)
        json.dumps(document, ensure_ascii=False).encode()  # a lone surrogate has no UTF-8 form form
        if not isinstance(document, Members):
            return False
        for _, value in document:
            shape(value)
    except ValueError:
        return False
    names = [name for name, _ in document]
    words = all(name == "logits" or not has_words(value) for name, value in document)
    return len(set(names)) == len(names) and set(names) <= set(LOSS.names) and words


def refuse(_: str) -> NoReturn:
    raise ValueError


def shape(value: Any) -> tuple[int, ...]:
    """Return the shape of a nested array of numbers. Raise ValueError for any other value."""
    if isinstance(value, list) and not isinstance(value, Members):
        shapes = {shape(item) for item in value}
        if len(shapes) > 1:
            raise ValueError
        return (len(value), *next(iter(shapes), ()))
    if isinstance(value, str) and value in WORDS:
        return ()
    if type(value) not in (int, float) or abs(value) > sys.float_info.max:
        raise ValueError
    return ()


def has_words(value: Any) -> bool:
    """Return whether the string "-Infinity" occurs in an array."""
    return any(map(has_words, value)) if isinstance(value, list) else isinstance(value, str)


def read(body: bytes) -> dict[str, Any]:
    """Return the tensors of a body as the service reads them."""
    return Tensors.model_validate(decode(body, LOSS)).model_dump(exclude_unset=True)


@settings(max_examples=15 * settings().max_examples)
@given(mutants())
@example(b'{"logits":[[],{}]}')
@example(b'{"logits":[[],""]}')
@example(b'{"targets":[[],{}]}')
@example(b'{"targets":[[1],""]}')
@example(b'{"targets":[1,[]]}')
@example(b'{"logits":[1,"[",2]}')
@example(b'{"logits":[1,[2]],"log\\u0069t[":1}')
@example(b'{"logits":[99999999999999999999,[1]]}')
@example(b'{"logits":[99999999999999999999],"\\ud800":1}')
@example(b'{"logits":{"a":1e400}}')
def test_changed_body_is_refused_exactly_if_it_breaks_a_rule(body: bytes) -> None:
    try:
        tensors = read(body)
    except ServiceError:
        event("refused")
        assert not permitted(body)
    else:
        event("read")
        assert permitted(body)
        for name, value in json.loads(body).items():
            assert tensors[name].shape == shape(value)


@settings(max_examples=3 * settings().max_examples)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        read(body)
    except ServiceError:
        assert not permitted(body)
    else:
        assert permitted(body)
