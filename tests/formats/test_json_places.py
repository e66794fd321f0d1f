"""Test the places in JSON errors: field and indices, or line, column and byte, with the mend."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

from service.errors import (
    EmptyAxis,
    MalformedBody,
    NotANumber,
    NumberOutOfRange,
    RaggedTensor,
    ServiceError,
    UnknownField,
)
from service.formats import long_arrays, open_inference
from service.formats.json_decode import decode
from service.formats.json_mistakes import PIECE_BYTES, Mend
from service.operations import OPERATIONS

if TYPE_CHECKING:
    from service.errors import Location
    from service.operations.spec import Operation

pytestmark = pytest.mark.usefixtures("codec")

LOSS = OPERATIONS[1]

ROW = b"[1.2345678901234567,-2.3456789012345678e-3,3]"


def error(body: bytes) -> ServiceError:
    """Return the error for a body."""
    with pytest.raises(ServiceError) as caught:
        decode(body, LOSS)
    return caught.value


def infer(body: bytes, operation: Operation) -> None:
    """Read an Open Inference body."""
    open_inference.decode(body, None, operation)


def places(caught: ServiceError) -> list[Location]:
    """Return the places that an error names."""
    return [place for place, _ in caught.locations]


MISTAKES = {
    "an empty body": (b" \n", 0, Mend.EMPTY),
    "UTF-16": ('{"logits":[1]}'.encode("utf-16"), 0, Mend.UTF16),
    "gzip": (gzip.compress(b'{"logits":[1]}'), 0, Mend.COMPRESSED),
    "a .npy file": (b"\x93NUMPY\1\0", 0, Mend.NUMPY),
    "a .npz archive": (b"PK\3\4", 0, Mend.NUMPY),
    "bare NaN": (b'{"logits":[1,NaN]}', 13, Mend.CONSTANT),
    "bare -Infinity": (b'{"logits":[1,-Infinity]}', 13, Mend.CONSTANT),
    "nan of Python": (b'{"logits":[1,-inf]}', 13, Mend.CONSTANT),
    "True of Python": (b'{"logits":[1,True]}', 13, Mend.CASE),
    "a comma before a bracket": (b'{"logits":[1,2, ]}', 14, Mend.COMMA),
    "a comma before the brace": (b'{"logits":[1,2],}', 15, Mend.COMMA),
    "no comma": (b'{"logits":[1 2]}', 13, Mend.MISSING_COMMA),
    "single quotes": (b"{'logits':[1]}", 1, Mend.QUOTES),
    "a name without quotes": (b"{logits:[1]}", 1, Mend.QUOTES),
    "no colon": (b'{"logits" [1]}', 10, Mend.MISSING_COLON),
    "an equals sign": (b'{"logits"=[1]}', 9, Mend.MISSING_COLON),
    "a name at the end": (b'{"logits"', 9, Mend.TRUNCATED),
    "a semicolon": (b'{"logits":[1;2]}', 12, Mend.MISSING_COMMA),
    "a semicolon between rows": (b'{"logits":[[1];[2]]}', 14, Mend.MISSING_COMMA),
    "two commas": (b'{"logits":[1,,2]}', 13, Mend.MISSING_VALUE),
    "no value": (b'{"logits":}', 10, Mend.MISSING_VALUE),
    "no bracket": (b'{"logits":[[1,2]}', 16, Mend.BRACKET),
    "one bracket too many": (b'{"logits":[[1,2]]]}', 17, Mend.BRACKET),
    "a comment behind a number": (b'{"logits":[1/* one */]}', 12, Mend.COMMENT),
    "a comment": (b'{"logits":[1] /* one */}', 14, Mend.COMMENT),
    "a leading plus": (b'{"logits":[+1]}', 11, Mend.NUMBER),
    "a leading zero": (b'{"logits":[01]}', 12, Mend.NUMBER),
    "a leading point": (b'{"logits":[.5]}', 11, Mend.NUMBER),
    "a body that ends early": (b'{"logits":[[1,2],[3,', 20, Mend.TRUNCATED),
    "text after the object": (b'{"logits":[1]} x', 14, Mend.AFTER),
    "a line break in a string": (b'{"logits":[1],"dtype":"a\nb"}', 24, Mend.CONTROL),
    "bytes that are not UTF-8": (b'{"logits":[1],"dtype":"\xff"}', 23, Mend.NOT_UTF8),
    "half of a pair": (b'{"logits":[1],"dtype":"\\ud800"}', 23, Mend.SURROGATE),
    "brackets without end": (b'{"logits":' + b"[" * 5_000 + b"]" * 5_000 + b"}", 0, Mend.TOO_DEEP),
}


@pytest.mark.parametrize(("body", "offset", "mend"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_by_byte_and_mend(body: bytes, offset: int, mend: Mend) -> None:
    caught = error(body)
    assert type(caught) is MalformedBody
    (place, message) = caught.locations[0]
    assert (place[-1], message) == (offset, mend)
    assert str(mend) in caught.detail


@pytest.mark.parametrize("numbers", [1, 10_000, 100_000])
def test_the_first_of_two_mistakes_is_named(numbers: int) -> None:
    body = b'{"logits":[1,,%b1],oops}' % (b"2," * numbers)
    assert places(error(body))[0] == ("line", 1, "column", 14, "byte", 13)


@pytest.mark.parametrize("numbers", [10_000, 200_000])
def test_a_mistake_behind_long_arrays_is_named_by_its_byte(numbers: int) -> None:
    body = b'{"logits":[%b1],"targets":[%b1],oops}' % (b"2," * numbers, b"3," * numbers)
    offset = body.index(b"oops")
    assert error(body).locations[0] == (("line", 1, "column", offset + 1, "byte", offset), Mend.QUOTES)


def test_lines_and_columns_count_from_1_in_characters() -> None:
    caught = error('{\n  "dtype": "é",\n  "logits": [1,\n    é+]\n}'.encode())
    assert places(caught)[0][:4] == ("line", 4, "column", 5)


LONG = {
    "null": (b"[1,2,null]", NotANumber, ("logits", 30_000, 2)),
    "a string": (b'[1,2,"3"]', NotANumber, ("logits", 30_000, 2)),
    "a boolean": (b"[1,true,3]", NotANumber, ("logits", 30_000, 1)),
    "an object": (b'[1,{"a":2},3]', NotANumber, ("logits", 30_000, 1)),
    "a number out of range": (b"[1e400,2,3]", NumberOutOfRange, ("logits", 30_000, 0)),
    "a short row": (b"[1,2]", RaggedTensor, ("logits", 30_000)),
    "a row in a row": (b"[1,2,[3]]", RaggedTensor, ("logits", 30_000, 2)),
    "a number beside rows": (b"5", RaggedTensor, ("logits", 30_000)),
}


@pytest.mark.parametrize(("row", "kind", "place"), LONG.values(), ids=LONG)
@pytest.mark.parametrize("rest", [60_000, 1], ids=["long before and behind", "long before"])
def test_a_bad_value_of_a_long_tensor_is_named(row: bytes, kind: Any, place: Location, rest: int) -> None:
    rows = b",".join([*[ROW] * 30_000, row, *[ROW] * rest])
    caught = error(b'{"targets":1,"logits":[%b],"dtype":"float64"}' % rows)
    assert type(caught) is kind, caught.detail
    found = places(caught)[0]
    # a piece ends before the row, and the error still names it
    assert found in (place, place[:2])
    assert len(found) == len(place) or kind is RaggedTensor


@pytest.mark.parametrize("piece", [1, 40, 100])
@pytest.mark.parametrize("row", [b"[1,2]", b"[1,2,3,4]"], ids=["short", "long"])
def test_a_row_of_another_length_is_named_at_every_place(
    row: bytes, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_arrays, "LONG_BYTES", 1)
    monkeypatch.setattr(long_arrays, "PIECE_BYTES", piece)
    for index in range(1, 30):
        rows = b",".join([*[b"[1,2,3]"] * index, row, *[b"[1,2,3]"] * (29 - index)])
        assert places(error(b'{"logits":[%b]}' % rows))[0] == ("logits", index)


@pytest.mark.parametrize("row", [b"[]", b"[ ]", b"[[]]", b"[[[]]]"], ids=repr)
def test_empty_rows_are_refused_at_the_first(row: bytes) -> None:
    rows = b",".join([row] * 1_000_000)
    caught = error(b'{"logits":[%b]}' % rows)
    assert type(caught) is EmptyAxis
    assert places(caught) == [("logits", 0)]


@pytest.mark.parametrize(
    ("row", "mend"),
    [
        (b"[1,2,NaN]", Mend.CONSTANT),
        (b"[1,2,]", Mend.COMMA),
        (b"[1,2,+3]", Mend.NUMBER),
        (b"[1,2 3]", Mend.MISSING_COMMA),
        (b"[1,2,'3']", Mend.QUOTES),
        (b"[1,2,\xff]", None),
    ],
    ids=repr,
)
def test_a_mistake_in_a_long_tensor_is_named_by_its_byte(row: bytes, mend: Mend | None) -> None:
    before = b'{"logits":[\n' + b",\n".join([ROW] * 30_000) + b",\n"
    caught = error(before + row + b",\n" + b",\n".join([ROW] * 30_000) + b"]}")
    assert type(caught) is MalformedBody
    (place, message) = caught.locations[0]
    assert place[:2] == ("line", 30_002)
    assert len(before) <= int(place[-1]) < len(before) + len(row)
    assert mend is None or message == mend


def test_a_long_body_that_ends_early_is_named() -> None:
    body = b'{"logits":[' + b",".join([ROW] * 30_000) + b",[1,"
    caught = error(body)
    assert caught.locations[0] == (("line", 1, "column", len(body) + 1, "byte", len(body)), Mend.TRUNCATED)


def test_a_long_vector_that_ends_early_is_named() -> None:
    body = b'{"inputs":[{"name":"logits","shape":[9],"datatype":"FP64","data":[' + b"0.25," * 100_000
    for text, read in ((body.replace(b"data", b"logits"), decode), (body, infer)):
        with pytest.raises(MalformedBody) as caught:
            read(text, LOSS)
        place = ("line", 1, "column", len(text) + 1, "byte", len(text))
        assert caught.value.locations[0] == (place, Mend.TRUNCATED)


def test_a_long_text_in_another_encoding_is_named() -> None:
    text = (b'{"logits":[' + b"0.25," * 100_000 + b"1]}").decode()
    for encoding in ("utf-16", "utf-16-le", "utf-32"):
        assert error(text.encode(encoding)).locations[0][1] == Mend.UTF16


LONG_NUMBERS = b"0.25," * 100_000

NOT_UTF8 = {
    "between long numbers": b'{"logits":[%b\xff,1]}' % LONG_NUMBERS,
    "in a text that ends early": b'{"logits":[%b\xff' % LONG_NUMBERS,
    "before a text that ends early": b'{"logits":[\xff%b' % LONG_NUMBERS,
    "before a long tensor": b'{"logits":\xff[%b1]}' % LONG_NUMBERS,
    "behind a long tensor": b'{"logits":[%b1],"dtype":"\xff"}' % LONG_NUMBERS,
    "in a long word": b'{"dtype":"%b\xff"}' % (b"a" * 300_000),
    "in a long word without an end": b'{"dtype":"%b\xff' % (b"a" * 300_000),
    "half of a character at the end": b'{"logits":[%b\xe2\x82' % LONG_NUMBERS,
    "half of a character at the end of a piece": b'{"logits": [%b\xe2\x82' % (b"1," * (5 * PIECE_BYTES // 2 - 7)),
    "on both sides of a piece": b'{"dtype":"%b\xe2\x82,"}' % (b"a" * (2 * PIECE_BYTES - 11)),
}


@pytest.mark.parametrize("body", NOT_UTF8.values(), ids=NOT_UTF8)
def test_bytes_that_are_not_utf8_in_a_long_text_are_named(body: bytes) -> None:
    tensor = body[1:].replace(b"logits", b"data")
    inference = b'{"inputs":[{"name":"logits","shape":[9],"datatype":"FP64",%b]}' % tensor
    for text, read in ((body, decode), (inference, infer)):
        with pytest.raises(MalformedBody) as caught:
            read(text, LOSS)
        offset = next(index for index, byte in enumerate(text) if byte > 127)
        place = ("line", 1, "column", offset + 1, "byte", offset)
        assert caught.value.locations[0] == (place, Mend.NOT_UTF8)


BEFORE_LONG = {
    "no colon": (b'{"logits" [%b1]}', 10, Mend.MISSING_COLON),
    "an equals sign": (b'{"logits"=[%b1]}', 9, Mend.MISSING_COLON),
    "a call": (b'{"logits":np.array([%b1])}', 10, Mend.QUOTES),
    "a comma": (b'{"dtype":"float32",,"logits"=[%b1]}', 19, Mend.MISSING_VALUE),
    "two objects": (b'{"dtype":"float32"}{"logits"=[%b1]}', 19, Mend.AFTER),
}


@pytest.mark.parametrize(("body", "offset", "mend"), BEFORE_LONG.values(), ids=BEFORE_LONG)
def test_a_mistake_before_a_long_tensor_is_named(body: bytes, offset: int, mend: Mend) -> None:
    caught = error(body % LONG_NUMBERS)
    assert type(caught) is MalformedBody
    assert caught.locations[0] == (("line", 1, "column", offset + 1, "byte", offset), mend)


def test_much_text_outside_of_arrays_is_rejected_with_its_place() -> None:
    caught = error(b'{"logits":[1],"dtype":"%b"}' % (b"a" * 300_000))
    assert caught.locations[0] == (("line", 1, "column", 262_145, "byte", 262_144), Mend.TOO_LONG)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("logit", 'Unknown field "logit"; did you mean "logits"?'),
        ("weight", 'Unknown field "weight"; the name here is class_weights or weights.'),
        ("input", 'Unknown field "input"; the name here is logits.'),
        ("labels", 'Unknown field "labels"; the name here is targets.'),
        ("y_true", 'Unknown field "y_true"; the name here is targets.'),
        ("dim", 'Unknown field "dim"; classes are always the last axis; move them there.'),
        ("axis", 'Unknown field "axis"; classes are always the last axis; move them there.'),
        ("eps", 'Unknown field "eps"; the name here is label_smoothing.'),
    ],
)
def test_an_unknown_name_is_given_back_with_the_name_here(name: str, sentence: str) -> None:
    caught = error(b'{"logits":[1],"%b":1}' % name.encode())
    assert type(caught) is UnknownField
    assert caught.detail == sentence
    assert places(caught) == [(name,)]


def test_from_logits_is_explained() -> None:
    assert "logits" in error(b'{"from_logits":true}').detail


@pytest.mark.parametrize("name", ["a b", "x" * 65, "\N{SNOWMAN}", "<script>"])
def test_an_unusual_name_is_not_given_back(name: str) -> None:
    caught = error(f'{{"{name}":1}}'.encode())
    assert type(caught) is UnknownField
    assert name not in f"{caught.detail} {caught.locations}"


def test_null_means_an_absent_field() -> None:
    body = b'{"logits":[1,2],"targets":null,"temperature":null,"outputs":null,"dtype":null}'
    assert decode(body, LOSS).keys() == {"logits"}


def test_a_query_parameter_works_with_a_json_body() -> None:
    fields = decode(b'{"logits":[1,2]}', LOSS, "temperature=2&outputs=loss&outputs=accuracy,entropy")
    assert fields["temperature"] == 2
    assert fields["outputs"] == ["loss", "accuracy", "entropy"]
    with pytest.raises(ServiceError, match="in the query string"):
        decode(b'{"logits":[1,2],"temperature":1}', LOSS, "temperature=2")


@pytest.mark.parametrize(("text", "number"), [("1e+2", 100.0), ("%2B1.5", 1.5), ("+1.5", 1.5)])
def test_a_plus_in_a_query_number_is_read(text: str, number: float) -> None:
    assert decode(b'{"logits":[1]}', LOSS, f"temperature={text}")["temperature"] == number
