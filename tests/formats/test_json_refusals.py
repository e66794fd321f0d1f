"""Test rejected JSON bodies, with one row and with 4 MB."""

from __future__ import annotations

import numpy as np
import pytest

from service.errors import (
    DuplicateField,
    InvalidOutputs,
    InvalidParameter,
    MalformedBody,
    NotAnObject,
    NotANumber,
    NumberOutOfRange,
    RaggedTensor,
    ServiceError,
    UnknownField,
)
from service.formats.json_decode import decode
from service.operations import OPERATIONS
from service.schemas.requests import request_model

pytestmark = pytest.mark.usefixtures("codec")

GRADIENT = OPERATIONS[2]
MESSAGE = request_model(GRADIENT)

ROW = b"[1.2345678901234567,-2.3456789012345678e-3,3]"
DEEP = 100_000

MALFORMED = {
    "an empty body": b"",
    "blanks alone": b" \n",
    "text after the object": b'{"logits":[ROWS]} x',
    "a second object": b'{"logits":[ROWS]}{}',
    "a bracket too many": b'{"logits":[ROWS]]}',
    "a bracket too few": b'{"logits":[ROWS}',
    "an object that does not end": b'{"logits":[ROWS]',
    "a comma before the end of an array": b'{"logits":[ROWS,]}',
    "a comma before the end of the object": b'{"logits":[ROWS],}',
    "no comma between rows": b'{"logits":[ROWS ROWS]}',
    "a name without quotes": b"{logits:[ROWS]}",
    "a name in single quotes": b"{'logits':[ROWS]}",
    "a comment": b'{"logits":[ROWS]/**/}',
    "a bare NaN": b'{"logits":[ROWS,[1,2,NaN]]}',
    "a bare Infinity": b'{"logits":[ROWS,[1,2,Infinity]]}',
    "a bare -Infinity": b'{"logits":[ROWS,[1,2,-Infinity]]}',
    "a bare inf": b'{"logits":[ROWS,[1,2,-inf]]}',
    "a leading zero": b'{"logits":[ROWS,[1,2,01]]}',
    "a leading plus": b'{"logits":[ROWS,[1,2,+1]]}',
    "a leading point": b'{"logits":[ROWS,[1,2,.5]]}',
    "a trailing point": b'{"logits":[ROWS,[1,2,1.]]}',
    "an exponent without digits": b'{"logits":[ROWS,[1,2,1e]]}',
    "a hexadecimal number": b'{"logits":[ROWS,[1,2,0x1]]}',
    "a number of digits and letters": b'{"logits":[ROWS,[1,2,1_0]]}',
    "invalid UTF-8 between the values": b'{"logits":[ROWS,[1,2,\xff]]}',
    "invalid UTF-8 in a name": b'{"logits":[ROWS],"\xc3":1}',
    "invalid UTF-8 in a string": b'{"logits":[ROWS],"dtype":"\xed\xa0\x80"}',
    "a lone surrogate in a name": b'{"logits":[ROWS],"\\ud800":1}',
    "a lone surrogate in a string": b'{"logits":[ROWS],"dtype":"\\udfff"}',
    "a line break in a string": b'{"logits":[ROWS],"dtype":"float\n64"}',
    "a NUL": b'{"logits":[ROWS]}\x00',
    "UTF-16": '{"logits":[1]}'.encode("utf-16"),
    "a logit nested without end": b'{"logits":[ROWS,%b1%b]}' % (b"[" * DEEP, b"]" * DEEP),
    "nothing but brackets": b"[" * DEEP,
    "an output nested without end": b'{"logits":[ROWS],"outputs":%b%b}' % (b"[" * DEEP, b"]" * DEEP),
    "an object nested without end": b'{"logits":[ROWS],"dtype":%b1%b}' % (b'{"a":' * DEEP, b"}" * DEEP),
}

NOT_OBJECTS = {
    "null": b"null",
    "a boolean": b"true",
    "a number": b"1",
    "a string": b'"logits"',
    "an array": b"[ROWS]",
    "an empty array": b"[]",
}

UNKNOWN = {
    "another name": b'{"logits":[ROWS],"scores":1}',
    "a misspelled name": b'{"logit":[ROWS]}',
    "a name in capitals": b'{"LOGITS":[ROWS]}',
    "a name with a blank": b'{"logits ":[ROWS]}',
    "a name that goes on after a NUL": b'{"logits\\u0000":[ROWS]}',
    "an empty name": b'{"logits":[ROWS],"":1}',
    "an output as a field": b'{"logits":[ROWS],"probabilities":[ROWS]}',
}

TWICE = {
    "a name": b'{"logits":[ROWS],"logits":[ROWS]}',
    "a name, once with an escape": b'{"logits":[ROWS],"\\u006cogits":[ROWS]}',
    "a name, with two different escapes": b'{"logit\\u0073":[ROWS],"\\u006cogits":[ROWS]}',
    "a parameter": b'{"logits":[ROWS],"temperature":1,"temperature":1}',
    "a name beside an integer beyond 64 bits": b'{"logits":[ROWS,[1,2,100000000000000000000]],"top_k":1,"top_k":1}',
    "outputs": b'{"outputs":["loss"],"logits":[ROWS],"outputs":["loss"]}',
}

RAGGED = {
    "rows that have the right length on average": b'{"targets":[%b,[1],%b],"logits":[ROWS]}'
    % (b"[1,2,3,4,5,6,7,8]", b"[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]"),
    "a short row": b'{"logits":[ROWS,[1,2]]}',
    "a long row": b'{"logits":[ROWS,[1,2,3,4]]}',
    "an empty row": b'{"logits":[ROWS,[]]}',
    "an empty row first": b'{"logits":[[],ROWS]}',
    "a number beside rows": b'{"logits":[ROWS,1]}',
    "a number before rows": b'{"logits":[1,ROWS]}',
    "three numbers beside rows": b'{"logits":[ROWS,1,2,3]}',
    "a word beside rows": b'{"logits":[ROWS,"-Infinity"]}',
    "a row in a row": b'{"logits":[ROWS,[1,2,[3]]]}',
    "a row of rows": b'{"logits":[ROWS,[[1],[2],[3]]]}',
    "rows of rows beside rows": b'{"logits":[[ROWS],[[ROWS]]]}',
    "rows of one at different depths": b'{"targets":[[1],[[2]]],"logits":[ROWS]}',
    "numbers and a row of one": b'{"targets":[1,2,[3]],"logits":[ROWS]}',
    "a short row beside an excluded class": b'{"logits":[ROWS,["-Infinity",2,3],[1,2]]}',
    "a short row beside an integer beyond 64 bits": b'{"logits":[ROWS,[1,2,100000000000000000000],[1,2]]}',
    "a row in a row beside an integer beyond 64 bits": b'{"logits":[ROWS,[1,2,[100000000000000000000]]]}',
}

NOT_NUMBERS = {
    "true": b'{"logits":[ROWS,[1,2,true]]}',
    "false": b'{"logits":[ROWS,[1,2,false]]}',
    "null": b'{"logits":[ROWS,[1,2,null]]}',
    "a numeric string": b'{"logits":[ROWS,[1,2,"3"]]}',
    "an empty string": b'{"logits":[ROWS,[1,2,""]]}',
    "an object": b'{"logits":[ROWS,[1,2,{}]]}',
    "an object with a number": b'{"logits":[ROWS,[1,2,{"value":3}]]}',
    "another spelling of an excluded class": b'{"logits":[ROWS,[1,2,"-inf"]]}',
    "booleans alone": b'{"logits":[[true,false,true]]}',
    "a boolean for a tensor": b'{"logits":[ROWS],"targets":true}',
    "a string for a tensor": b'{"logits":[ROWS],"targets":"1"}',
    "an object for a tensor": b'{"logits":{"0":[ROWS]}}',
    "a boolean label": b'{"logits":[ROWS],"targets":[true]}',
    "a null label": b'{"logits":[ROWS],"targets":[null]}',
    "a null beside an integer beyond 64 bits": b'{"logits":[ROWS,[1,null,100000000000000000000]]}',
    "an excluded class among the inputs": b'{"inputs":[ROWS,[1,2,"-Infinity"]]}',
    "an excluded class among the weights": b'{"weights":[ROWS,[1,2,"-Infinity"]]}',
    "an excluded class in the bias": b'{"bias":[1,"-Infinity"]}',
    "an excluded class among the targets": b'{"logits":[ROWS],"targets":[[1,2,"-Infinity"]]}',
    "an excluded class among the class weights": b'{"class_weights":[1,"-Infinity"]}',
    "an excluded class among the sample weights": b'{"sample_weights":[1,"-Infinity"]}',
    "an excluded class in a gradient": b'{"probabilities_gradient":[1,"-Infinity"]}',
}

OUT_OF_RANGE = {
    "a number beyond double range": b'{"logits":[ROWS,[1,2,1e309]]}',
    "a negative number beyond double range": b'{"logits":[ROWS,[1,2,-1e309]]}',
    "an integer beyond double range": b'{"logits":[ROWS,[1,2,1%b]]}' % (b"0" * 309),
    "an integer of 10,000 digits": b'{"logits":[ROWS,[1,2,%b]]}' % (b"9" * 10_000),
    "a label beyond double range": b'{"logits":[ROWS],"targets":[1e309]}',
}

NOT_OUTPUTS = {
    "a name": b'{"logits":[ROWS],"outputs":"loss"}',
    "an object": b'{"logits":[ROWS],"outputs":{"0":"loss"}}',
    "rows": b'{"logits":[ROWS],"outputs":[ROWS]}',
    "a list in the list": b'{"logits":[ROWS],"outputs":["loss",["accuracy"]]}',
    "an object in the list": b'{"logits":[ROWS],"outputs":["loss",{}]}',
}

NOT_PARAMETERS = {
    "a list": b'{"logits":[ROWS],"temperature":[ROWS]}',
    "an object": b'{"logits":[ROWS],"temperature":{"value":1}}',
    "a numeric string": b'{"logits":[ROWS],"temperature":"1"}',
    "a number beyond double range": b'{"logits":[ROWS],"temperature":1e309}',
    "a boolean": b'{"logits":[ROWS],"temperature":true}',
    "an excluded class": b'{"logits":[ROWS],"temperature":"-Infinity"}',
}

REFUSALS = [
    pytest.param(body, refusal, id=f"{refusal.__name__}: {what}")
    for refusal, bodies in (
        (MalformedBody, MALFORMED),
        (NotAnObject, NOT_OBJECTS),
        (UnknownField, UNKNOWN),
        (DuplicateField, TWICE),
        (RaggedTensor, RAGGED),
        (NotANumber, NOT_NUMBERS),
        (NumberOutOfRange, OUT_OF_RANGE),
        (InvalidOutputs, NOT_OUTPUTS),
        (InvalidParameter, NOT_PARAMETERS),
    )
    for what, body in bodies.items()
]


@pytest.fixture(scope="module", params=[1, 4_000_000 // len(ROW)], ids=["small", "large"])
def rows(request: pytest.FixtureRequest) -> bytes:
    """Return one row, or the rows of 4 MB."""
    return b",".join([ROW] * request.param)


def read(body: bytes) -> None:
    """Decode and validate a body."""
    MESSAGE.read(decode(body, GRADIENT))


def test_the_rows_themselves_are_not_refused(rows: bytes) -> None:
    logits = decode(b'{"logits":[%b]}' % rows, GRADIENT)["logits"]
    assert logits.shape == (rows.count(b"["), 3)
    np.testing.assert_array_equal(np.unique(logits, axis=0), [[1.2345678901234567, -2.3456789012345678e-3, 3]])


@pytest.mark.parametrize(("body", "refusal"), REFUSALS)
def test_the_body_is_refused(rows: bytes, body: bytes, refusal: type[ServiceError]) -> None:
    with pytest.raises(ServiceError) as refused:
        read(body.replace(b"ROWS", rows))
    assert type(refused.value) is refusal, refused.value.detail
    assert len(refused.value.detail) < 1000


@pytest.mark.parametrize("number", ["1", "1.5", "100000000000000000000", '"-Infinity"', '"scores"'])
@pytest.mark.parametrize("axes", [33, 64, 65, 300, 490, 900, 1_100])
@pytest.mark.parametrize("before", ["", '"temperature":100000000000000000000,'], ids=["alone", "after a large integer"])
def test_a_tensor_of_too_many_axes_is_refused(axes: int, number: str, before: str) -> None:
    with pytest.raises(ServiceError, match=r"axes|too deeply"):
        read(f'{{{before}"logits":{"[" * axes}{number}{"]" * axes}}}'.encode())


@pytest.mark.parametrize(
    "body",
    [
        b'{"?%b":1}',
        b'{"?%b":1e309}',
        b'{"?%b":[[100000000000000000000]],"logits":1}',
        b'{"logits":[1],"?%b":1,"?%b":1}',
        b'{"logits":["%b"]}',
        b'{"logits":{"%b":1e309}}',
        b'{"logits":[1],"dtype":"%b"}',
        b'{"logits":[1],"dtype":{"%b":1e309}}',
        b'{"logits":[1],"outputs":["%b"]}',
        b'{"logits":[1],"temperature":{"%b":1}}',
        b'{"logits":["%b"',
    ],
    ids=bytes.decode,
)
@pytest.mark.parametrize("length", [1, 500_000], ids=["once", "500,000 times"])
def test_a_word_of_the_body_is_never_repeated(body: bytes, length: int) -> None:
    with pytest.raises(ServiceError) as refused:
        read(body.replace(b"%b", b"swordfish" * length))
    said = f"{refused.value.detail} {refused.value.locations}"
    assert "swordfish" not in said
    assert len(said) < 2000
