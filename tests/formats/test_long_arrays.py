"""Test long arrays: reading in pieces gives the arrays of the whole text."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from service.errors import EmptyAxis, MalformedBody, NotANumber, NumberOutOfRange, RaggedTensor, ServiceError
from service.formats import codecs, json_parse, long_arrays
from service.formats.json_decode import decode
from service.formats.json_encode import encode
from service.formats.json_mistakes import Mend
from service.operations import OPERATIONS
from tests.formats.test_json_malformed import mutants

pytestmark = pytest.mark.usefixtures("codec")

GRADIENT = OPERATIONS[2]

ROW = b"[1.2345678901234567,-2.3456789012345678e-3,3]"
MANY = b",".join([ROW] * 100_000)
"""Number of rows for several MB."""

BLANKS = b" " * 300_000
"""More blanks than the text outside of arrays may have."""

WORDS = st.sampled_from(["-Infinity", "Infinity", "NaN", "]", "[", "1"])
numerals = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
nested: Any = st.recursive(numerals | WORDS | st.none(), st.lists, max_leaves=20)
names = st.sampled_from(["logits", "targets", "weights", "outputs", "dtype", "temperature", "scores"])
separators = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:  ")])


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every array long, and every piece one item."""
    monkeypatch.setattr(long_arrays, "LONG_BYTES", 1)
    monkeypatch.setattr(long_arrays, "PIECE_BYTES", 1)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the list of the lengths of the texts that the strict reader gets."""
    lengths: list[int] = []
    parse = json_parse.parse_items

    def counted(text: bytes, *, constants: bool) -> Any:
        lengths.append(len(text))
        return parse(text, constants=constants)

    monkeypatch.setattr(long_arrays, "parse_items", counted)
    return lengths


def outcome(body: bytes, *, long: int, piece: int) -> Any:
    """Return the fields of a body with their arrays as bytes, or None if it is rejected."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_arrays, "LONG_BYTES", long)
        patch.setattr(long_arrays, "PIECE_BYTES", piece)
        try:
            fields = decode(body, GRADIENT)
        except ServiceError:
            return None
    if any(not value.size for value in fields.values() if isinstance(value, np.ndarray)):
        # millions of empty rows are refused at the first; a tensor without numbers has any dtype
        return None
    # a list that is long is no list of outputs
    fields = {name: [] if isinstance(value, list) else value for name, value in fields.items()}
    return {
        name: (value.dtype, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value
        for name, value in fields.items()
    }


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Draw fields of any name and value, with or without blanks."""
    fields = draw(st.dictionaries(names, nested, max_size=4))
    return json.dumps(fields, separators=draw(separators)).encode()


@settings(max_examples=10 * settings().max_examples)
@given(mutants() | bodies(), st.integers(0, 9))
@example(b'{"logits":[1],[2]}', 0)
@example(b'{"logits":[1,2]],"targets":[[1]}', 0)
@example(b'{"logits":[1,]}', 0)
@example(b'{"logits":[[1],,[2]]}', 0)
@example(b'{"logits":[[1]],"outputs":[[1]]}', 0)
@example(b'{"logits":[[1,2],[3]],"outputs":["x"]}', 0)
@example(b'{"dtype":": [1]","logits":[1]}', 0)
@example(b'{"dtype":"\\": [1]","logits":[1]}', 0)
@example(b'{"logits":"\\u00000","targets":[1]}', 0)
@example(b'{"logits":"\\u00001","targets":[1]}', 0)
@example(b'{"logits":[["-Infinity",1],[2,"]"]]}', 0)
@example(b'{"logits":[["-Infinity",1]],"targets":[1],"a]:\\"]b":1}', 0)
@example(b'{"logits":[[1,"a:b"]],"targets":[1]}', 0)
@example(b'{"logits":[[[1,2],[3,4]],[[5,6],[7,8]]]}', 0)
@example(b'{"logits":[[[1,2]],[[[5,6]]]]}', 0)
@example(b'{"logits":-9223372036854775809,"outputs":[[],"loss"]}', 0)
@example(b'{"targets":[1,2,0.5,9223372036854775807]}', 0)
def test_a_body_in_pieces_has_the_arrays_of_the_whole(body: bytes, piece: int) -> None:
    whole = outcome(body, long=2**30, piece=piece)
    event("refused" if whole is None else "read")
    assert outcome(body, long=1, piece=piece) == whole


@given(arrays(np.float64, array_shapes(max_dims=5, max_side=5), elements=st.floats(allow_nan=False)))
def test_arrays_of_any_rank_come_back_from_pieces(values: Any) -> None:
    values = np.where(np.isposinf(values), 1.0, values)
    assert outcome(b"".join(encode({"logits": values})), long=1, piece=9) == {
        "logits": (values.dtype, values.shape, values.tobytes())
    }


@pytest.mark.usefixtures("tiny")
def test_each_long_array_is_a_tensor_of_its_own() -> None:
    fields = decode(b'{"logits":[[1,2],[3,4]],"temperature":2,"targets":[1,0]}', GRADIENT)
    assert fields.pop("logits").tolist() == [[1, 2], [3, 4]]
    assert fields.pop("targets").tolist() == [1, 0]
    assert fields == {"temperature": 2}
    # only a long array is refused before its request is validated
    with pytest.raises(EmptyAxis):
        decode(b'{"logits":[[]]}', GRADIENT)


@pytest.mark.parametrize("behind", [b',"targets":2', b' , \n"targets": 2', b""], ids=["close", "apart", "nothing"])
@pytest.mark.parametrize("number", [b"1", b'"-Infinity"'], ids=["number", "word"])
def test_long_arrays_end_where_their_member_ends(number: bytes, behind: bytes) -> None:
    before = b'{"logits":[[%b,2,3],%b]' % (number, MANY)
    fields = decode(before + b',"inputs":[%b ]%b}' % (MANY, behind), GRADIENT)
    assert fields["logits"].shape == (100_001, 3)
    assert fields["inputs"].shape == (100_000, 3)
    assert ("targets" in fields) == bool(behind)


@pytest.mark.parametrize(("before", "behind"), [(BLANKS, b""), (b"", BLANKS), (BLANKS, BLANKS)])
@pytest.mark.parametrize("opening", [b"", b"["], ids=["rank 1", "rank 2"])
def test_blanks_between_numbers_have_no_limit(opening: bytes, before: bytes, behind: bytes) -> None:
    closing = b"]" * len(opening)
    body = b'{"logits":[%b1,%b2%b,3%b]}' % (opening, before, behind, closing)
    assert decode(body, GRADIENT)["logits"].ravel().tolist() == [1, 2, 3]


@pytest.mark.parametrize("shape", [(200_000,), (2, 100_000), (4, 2, 25_000), (50_000, 2, 2), (1,) * 30 + (200_000, 1)])
def test_no_reader_sees_more_than_a_piece(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    read = codecs.active.new_reader()

    def counted(text: bytes, *, integers: bool) -> Any:
        lengths.append(len(text))
        return read(text, integers=integers)

    monkeypatch.setattr(codecs, "active", codecs.active._replace(new_reader=lambda: counted))
    values = np.random.default_rng(0).normal(size=shape)
    decoded = decode(b"".join(encode({"logits": values})), GRADIENT)["logits"]
    np.testing.assert_array_equal(decoded, values)
    assert len(lengths) > 10
    assert max(lengths) <= json_parse.MAX_SLOW_BYTES


@pytest.mark.parametrize(
    ("row", "refusal"),
    [
        (b"[1,2,1e400]", NumberOutOfRange),
        (b"[1,2,01]", MalformedBody),
        (b"[1,2]", RaggedTensor),
        (b"[1,2,[3]]", RaggedTensor),
        (b"[1,2,null]", NotANumber),
        (b"[1,2,100000000000000000000]", None),
    ],
    ids=["beyond range", "leading zero", "short", "nested", "null", "beyond 64 bits"],
)
def test_one_strange_row_leaves_the_rest_to_the_fast_parser(
    row: bytes, refusal: type[ServiceError] | None, parsed: list[int]
) -> None:
    body = b'{"logits":[%b,%b,%b]}' % (MANY, row, MANY)
    if refusal is None:
        assert decode(body, GRADIENT)["logits"].shape == (200_001, 3)
    else:
        with pytest.raises(refusal):
            decode(body, GRADIENT)
    assert sum(parsed) < 2 * long_arrays.PIECE_BYTES


def test_excluded_classes_are_read_in_pieces_too(parsed: list[int]) -> None:
    logits = decode(b'{"logits":[%b,["-Infinity",2,1e30],%b]}' % (MANY, MANY), GRADIENT)["logits"]
    assert np.flatnonzero(np.isneginf(logits)).tolist() == [300_000]
    assert parsed == []


def test_number_that_stands_for_a_word_is_read_as_itself() -> None:
    number = long_arrays.STRINGS[0].number.strip()
    logits = decode(b'{"logits":[%b,["-Infinity",%b,1]]}' % (MANY, number), GRADIENT)["logits"]
    assert logits[-1].tolist() == [-np.inf, float(number), 1.0]


@pytest.mark.parametrize(
    ("text", "place", "mend"),
    [
        (b'{"logits":[[1]%b]}' % (b"[1]" * 200_000), 14, Mend.MISSING_COMMA),
        (b'{"logits":[[1%b]}' % (b"]" * 600_000), 15, Mend.BRACKET),
        (b'{"logits":[%b,[1]x,%b]}' % (MANY, MANY), len(MANY) + 15, Mend.QUOTES),
        (b'{"logits":[[%b],[[1],2],[%b]]}' % (MANY, MANY), None, None),
    ],
    ids=["no comma", "brackets", "a letter", "a deeper row"],
)
def test_mistake_between_rows_is_found_in_its_piece(
    text: bytes, place: int | None, mend: Mend | None, parsed: list[int]
) -> None:
    with pytest.raises(RaggedTensor if mend is None else MalformedBody) as refused:
        decode(text, GRADIENT)
    if mend is not None:
        assert f"(byte {place}): {mend}" in refused.value.detail
    assert sum(parsed) < 4 * long_arrays.PIECE_BYTES


@pytest.mark.parametrize(
    "text", [b"[", b"] ", b'["-Infinity",', b':["-Infinity",', b':[["-Infinity"],', b":[[[[", b":", b'"NaN",']
)
def test_text_without_an_end_takes_little_memory(text: bytes) -> None:
    # Python 3.14 reads nested lists to the end of the stack: 4 MB of them
    body = b'{"logits":%b' % (text * (2_500_000 // len(text)))
    tracemalloc.start()
    with pytest.raises(MalformedBody):
        decode(body, GRADIENT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * len(body)
