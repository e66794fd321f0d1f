"""Test NumPy files: every array of numbers is read exactly, and everything else is rejected."""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc
import warnings
import zipfile
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from service.errors import (
    BodyTooLarge,
    DuplicateField,
    MalformedBody,
    MissingField,
    NotANumber,
    ServiceError,
    UnknownField,
)
from service.formats.npy import decode_npy, decode_npz, encode_npy, encode_npz
from service.formats.query import parameters
from service.operations import OPERATIONS
from service.schemas.requests import request_model
from tests.bodies import npy

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.operations.spec import Operation

Array = npt.NDArray[Any]

SOFTMAX, LOSS, GRADIENT, _ = OPERATIONS
MESSAGE = request_model(SOFTMAX)

FLOATS = ["f2", "f4", "f8"]
DTYPES = [*FLOATS, "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
LOGITS = np.array([2.0, 3.0, 4.0])
LIMIT = 2**20
DIRECTORY = b"PK\x01\x02"
FLAGS, METHOD, CHECKSUM, SIZE, OFFSET = 8, 10, 16, 24, 42
"""Offsets in the directory entry of an archive member."""

numbers = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays(dtype, array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)


def headed(header: str, data: bytes = LOGITS.tobytes(), version: int = 1) -> bytes:
    """Return a .npy file with any header."""
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode("latin-1") + data


def described(shape: object = (3,), *, descr: object = "<f8", fortran_order: object = False) -> str:
    """Return a header as NumPy writes it."""
    return f"{{'descr': {descr!r}, 'fortran_order': {fortran_order!r}, 'shape': {shape!r}, }}"


def npz(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive of members. zipfile warns of repeated names, which some tests need."""
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


def forged(archive: bytes, where: int, layout: str, value: int) -> bytes:
    """Return an archive with another value in the directory entry of its first member."""
    content = bytearray(archive)
    struct.pack_into(layout, content, archive.index(DIRECTORY) + where, value)
    return bytes(content)


def unpack(archive: bytes) -> dict[str, Any]:
    """Return the fields of an archive for the gradient, which has all inputs."""
    return decode_npz(archive, GRADIENT, "", max_bytes=LIMIT)


ONE = npz(("logits.npy", npy(LOGITS)))
DEFLATED = npz(("logits.npy", npy(LOGITS)), method=zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("byte_order", "<>")
@pytest.mark.parametrize("memory_order", "CF")
@given(values=numbers)
def test_every_array_of_numbers_is_read_right(
    version: tuple[int, int], byte_order: Any, memory_order: Any, values: Array
) -> None:
    sent = np.asarray(values.astype(values.dtype.newbyteorder(byte_order)), order=memory_order)
    read = decode_npy(npy(sent, version), SOFTMAX, "")["logits"]
    assert read.dtype == values.dtype
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, values)


@pytest.mark.parametrize("memory_order", "CF")
def test_array_in_native_byte_order_is_a_view_of_the_file(memory_order: Any) -> None:
    file = npy(np.asarray(np.arange(6.0).reshape(2, 3), order=memory_order))
    read = decode_npy(file, SOFTMAX, "")["logits"]
    assert np.shares_memory(read, np.frombuffer(file, np.uint8))


@pytest.mark.parametrize("blanks", range(1, 8))
def test_unaligned_numbers_are_read_right(blanks: int) -> None:
    read = decode_npy(headed(described() + " " * blanks), SOFTMAX, "")["logits"]
    np.testing.assert_array_equal(read, LOGITS)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_answer_is_as_precise_as_the_logits(dtype: str) -> None:
    expected = "float32" if dtype in ("f2", "f4") else "float64"
    assert decode_npy(npy(LOGITS.astype(dtype)), SOFTMAX, "")["dtype"] == expected
    assert decode_npy(npy(LOGITS.astype(dtype)), SOFTMAX, "dtype=float32")["dtype"] == "float32"


@pytest.mark.parametrize("operation", OPERATIONS[1:], ids=lambda operation: operation.name)
def test_logits_alone_are_refused_where_targets_are_needed(operation: Operation) -> None:
    with pytest.raises(MissingField, match=r"send a \.npz archive of logits and targets") as rejected:
        decode_npy(npy(LOGITS), operation, "")
    assert rejected.value.locations == ((("targets",), "is missing"),)


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_answer_is_as_precise_as_the_inputs_of_a_layer(dtype: str) -> None:
    expected = "float64" if dtype == "f8" else "float32"
    archive = npz(("inputs.npy", npy(LOGITS.astype(dtype))), ("weights.npy", npy(np.eye(3))))
    assert unpack(archive)["dtype"] == expected


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_members_of_an_archive_are_the_inputs_of_their_names(method: int) -> None:
    sent = {each.name: np.full(2, index) for index, each in enumerate(GRADIENT.inputs)}
    fields = unpack(npz(*((f"{name}.npy", npy(values)) for name, values in sent.items()), method=method))
    assert fields.keys() == sent.keys() | {"dtype"}
    for name, values in sent.items():
        np.testing.assert_array_equal(fields[name], values)


def test_an_archive_is_read_as_numpy_writes_it() -> None:
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, logits=LOGITS, targets=np.array(1))
        fields = unpack(stream.getvalue())
        assert fields["logits"].tolist() == LOGITS.tolist()
        assert fields["targets"] == 1


@pytest.mark.parametrize(
    "values",
    [
        np.array([True, False]),
        np.array([1j]),
        np.array([1], np.longdouble),
        np.array(["1"]),
        np.array([b"1"]),
        np.array([1], "M8[s]"),
        np.array([(1.0, 2)], "f8,i4"),
        np.zeros(2, "V8"),
    ],
    ids=lambda values: str(values.dtype),
)
def test_what_is_no_real_number_of_64_bits_is_refused(values: Array) -> None:
    with pytest.raises(NotANumber, match="logits"):
        decode_npy(npy(values), SOFTMAX, "")
    with pytest.raises(NotANumber, match="logits"):
        unpack(npz(("logits.npy", npy(values))))


class Trap:
    """An object whose unpickling is recorded."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return pytest.fail, ("a pickle was read",)


def test_no_pickle_is_ever_read() -> None:
    pickled = pickle.dumps([Trap()])
    for body in (pickled, headed(described(descr="|O"), pickled)):
        with pytest.raises((MalformedBody, NotANumber), match="logits"):
            decode_npy(body, SOFTMAX, "")
        with pytest.raises((MalformedBody, NotANumber), match="logits"):
            unpack(npz(("logits.npy", body)))


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_a_file_that_ends_early_or_late_is_refused(version: tuple[int, int]) -> None:
    file = npy(LOGITS, version)
    for body in (*(file[:length] for length in range(len(file))), file + b"\0", file * 2):
        with pytest.raises(MalformedBody, match="logits"):
            decode_npy(body, SOFTMAX, "")


HEADERS = {
    "nothing": "",
    "no literal": "shape",
    "no dictionary": "[1, 2]",
    "a key that is missing": "{'descr': '<f8', 'shape': (3,)}",
    "a key too many": "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), 'extra': 1}",
    "a key that is a list": "{[]: 1}",
    "a call": "__import__('os').abort()",
    "an open string": "{'descr': '''",
    "an open bracket": "{'descr': (",
    "brackets without end": "(" * 5000,
    "signs without end": "-" * 5000 + "1",
    "lines that do not line up": "  1\n 2\n",
    "more rows than bytes": described((4,)),
    "fewer rows than bytes": described((2,)),
    "a negative size": described((-3,)),
    "two negative sizes": described((-1, -3)),
    "a size beyond memory": described((2**62,)),
    "sizes that wrap around to the right one": described((2**61, 2**61, 3)),
    "a size that is no integer": described((3.0,)),
    "a size that is a truth value": described((True, 3)),
    "a shape that is no tuple": described(3),
    "too many axes": described((1,) * 65 + (3,)),
    "an order that is no truth value": described(fortran_order=1),
    "an empty dtype": described(descr=()),
    "a dtype of one part": described(descr=("<f8",)),
    "a dtype of no size": described(descr=("<f8", -1)),
    "a dtype that does not end": described(descr="<f8,("),
    "a dtype that there is not": described(descr="<f7"),
    "no dtype": described(descr=None),
    "a list of nothing as dtype": described(descr=[()]),
    "the dtype of a string that fits no memory": described(descr=f"S{2**63}"),
}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_header_that_lies_is_refused(header: str, version: int) -> None:
    file = headed(header, version=version)
    with pytest.raises(ServiceError, match="logits"):
        decode_npy(file, SOFTMAX, "")
    with pytest.raises(ServiceError, match=r"logits|archive"):
        unpack(npz(("logits.npy", file)))


@pytest.mark.parametrize("shape", [(0, 2**62, 2**62), (0, 2**63 - 1), (0, 2**63), (0, 2**64), (0,) * 65])
def test_empty_tensor_with_impossible_sizes_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ServiceError, match="logits"):
        decode_npy(headed(described(shape), b""), SOFTMAX, "")


def test_file_with_many_axes_gets_a_short_refusal() -> None:
    with pytest.raises(ServiceError, match="logits") as refused:
        decode_npy(headed(described((10**19 - 1,) * 240), b""), SOFTMAX, "")
    assert len(refused.value.detail) < 1000


@pytest.mark.parametrize("version", [0, 4, 255])
def test_an_unknown_format_version_is_rejected(version: int) -> None:
    with pytest.raises(MalformedBody, match="logits"):
        decode_npy(headed(described(), version=version), SOFTMAX, "")


def test_header_of_python_2_is_refused_or_read_without_warning() -> None:
    try:
        read = decode_npy(headed("{'descr': '<f8', 'fortran_order': False, 'shape': (3L,), }"), SOFTMAX, "")
    except MalformedBody:
        return
    np.testing.assert_array_equal(read["logits"], LOGITS)


def test_wrong_header_character_is_refused_or_keeps_byte_count() -> None:
    file = npy(LOGITS)
    for place, character in product(range(len(file) - LOGITS.nbytes), b"\0\n\t '\"()[]{},:+-.019LTFO<>#\\\xff"):
        changed = file[:place] + bytes([character]) + file[place + 1 :]
        try:
            read = decode_npy(changed, SOFTMAX, "")["logits"]
        except ServiceError:
            continue
        assert read.nbytes == LOGITS.nbytes


@pytest.mark.parametrize(
    "name",
    [
        "bogus.npy",
        "a/logits.npy",
        "../logits.npy",
        "/logits.npy",
        "logits/",
        "logits.npy/",
        "logits.NPY",
        "outputs.npy",
    ],
)
def test_a_member_that_is_not_an_input_is_refused(name: str) -> None:
    with pytest.raises(UnknownField):
        unpack(npz(("logits.npy", npy(LOGITS)), (name, npy(LOGITS))))


@pytest.mark.parametrize("again", ["logits.npy", "logits"])
def test_a_member_that_is_there_twice_is_refused(again: str) -> None:
    with pytest.raises(DuplicateField, match="logits"):
        unpack(npz(("logits.npy", npy(LOGITS)), (again, npy(LOGITS))))


@pytest.mark.parametrize("content", [b"", b"[1, 2]", npy(LOGITS)[:-1], ONE])
def test_a_member_that_is_no_npy_file_is_refused(content: bytes) -> None:
    with pytest.raises(MalformedBody, match="logits"):
        unpack(npz(("logits.npy", content)))


@pytest.mark.parametrize(
    "archive",
    [
        npz(("logits.npy", npy(LOGITS)), method=zipfile.ZIP_BZIP2),
        npz(("logits.npy", npy(LOGITS)), method=zipfile.ZIP_LZMA),
        forged(ONE, METHOD, "<H", 99),
        forged(ONE, FLAGS, "<H", 1),
        forged(ONE, CHECKSUM, "<I", 0),
        forged(DEFLATED, CHECKSUM, "<I", 0),
        forged(ONE, OFFSET, "<I", 1),
        forged(ONE, OFFSET, "<I", 2**31),
        npy(LOGITS),
        b"PK\x05\x06",
    ],
    ids=[
        "bzip2",
        "lzma",
        "an unknown compression",
        "encrypted",
        "a wrong checksum",
        "a wrong checksum of what is deflated",
        "a wrong place",
        "a place beyond the end",
        "no archive",
        "the first bytes of an empty archive",
    ],
)
def test_an_archive_that_is_broken_or_exotic_is_refused(archive: bytes) -> None:
    with pytest.raises(MalformedBody, match=r"\.npz"):
        unpack(archive)


@pytest.mark.parametrize("place", [2**40, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_member_with_a_64_bit_offset_is_refused(place: int) -> None:
    member = zipfile.ZipInfo("logits.npy")
    member.extra = struct.pack("<HHQ", 1, 8, place)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(member, npy(LOGITS))
    with pytest.raises(MalformedBody, match=r"\.npz"):
        unpack(forged(stream.getvalue(), OFFSET, "<I", 2**32 - 1))


@pytest.mark.parametrize("archive", [ONE, DEFLATED], ids=["stored", "deflated"])
def test_an_archive_that_ends_early_is_refused(archive: bytes) -> None:
    for length in range(len(archive)):
        with pytest.raises(MalformedBody, match=r"\.npz"):
            unpack(archive[:length])


@pytest.mark.parametrize("padded", [ONE + b"\0", ONE + b"garbage", b"garbage" + ONE])
def test_an_archive_with_bytes_that_are_not_of_it_is_refused(padded: bytes) -> None:
    with pytest.raises(MalformedBody, match=r"\.npz"):
        unpack(padded)


@pytest.mark.parametrize("archive", [ONE, DEFLATED], ids=["stored", "deflated"])
def test_wrong_byte_in_archive_is_refused_or_changes_nothing(archive: bytes) -> None:
    for place in range(len(archive)):
        for byte in (0, 1, 0x7F, 0x80, 0xFF, archive[place] ^ 1, archive[place] ^ 8):
            changed = archive[:place] + bytes([byte]) + archive[place + 1 :]
            try:
                message = MESSAGE.read(decode_npz(changed, SOFTMAX, "", max_bytes=LIMIT))
            except ServiceError:
                continue
            assert message.arguments.logits is not None
            assert message.arguments.logits.tolist() == LOGITS.tolist()


def test_members_too_large_together_are_refused_before_unpacking() -> None:
    half = npy(np.zeros(LIMIT // 16))
    with pytest.raises(BodyTooLarge, match=str(LIMIT)):
        unpack(npz(("logits.npy", half), ("targets.npy", half), method=zipfile.ZIP_DEFLATED))


def peak(read: Callable[[], object]) -> int:
    """Return the peak memory of a read that must fail, in bytes."""
    tracemalloc.start()
    try:
        with pytest.raises(ServiceError):
            read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_bomb_with_its_size_is_refused_before_unpacking() -> None:
    bomb = npz(("logits.npy", npy(np.zeros(LIMIT))), method=zipfile.ZIP_DEFLATED)
    assert peak(lambda: unpack(bomb)) < LIMIT


@pytest.mark.parametrize("told", [0, 128, LIMIT])
def test_bomb_lying_about_its_size_takes_little_above_the_limit(told: int) -> None:
    bomb = npz(("logits.npy", npy(np.zeros(2 * LIMIT))), method=zipfile.ZIP_DEFLATED)
    assert peak(lambda: unpack(forged(bomb, SIZE, "<I", told))) < 3 * LIMIT


def test_archive_of_countless_members_takes_at_most_double_size() -> None:
    member = struct.pack("<4s24xH16x", DIRECTORY, 1) + b"a"
    members = member * 20_000
    archive = members + struct.pack("<4s8xIIH", b"PK\x05\x06", len(members), 0, 0)
    assert peak(lambda: unpack(archive)) < 2 * len(archive)


def test_a_header_of_megabytes_is_refused_before_it_is_read() -> None:
    file = headed("{" + " " * 8 * LIMIT + "}", version=2)
    assert peak(lambda: decode_npy(file, SOFTMAX, "")) < LIMIT


@given(values=numbers)
def test_an_output_is_read_back_by_numpy(values: Array) -> None:
    read = np.load(io.BytesIO(b"".join(encode_npy(values))), allow_pickle=False)
    assert read.dtype == values.dtype
    np.testing.assert_array_equal(read, values)


@given(first=numbers, second=numbers)
def test_outputs_are_read_back_by_numpy_by_their_names(first: Array, second: Array) -> None:
    with np.load(
        io.BytesIO(b"".join(encode_npz({"loss": first, "predictions": second}))), allow_pickle=False
    ) as archive:
        assert archive.files == ["loss", "predictions"]
        np.testing.assert_array_equal(archive["loss"], first)
        np.testing.assert_array_equal(archive["predictions"], second)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_in_the_query_is_read_to_the_last_bit(number: float) -> None:
    assert parameters(SOFTMAX, urlencode({"temperature": number})) == {"temperature": number}


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_in_the_query_is_exact(integer: int) -> None:
    assert parameters(LOSS, f"ignore_index={integer}") == {"ignore_index": integer}


def test_query_words_are_words_and_commas_separate_outputs() -> None:
    read = parameters(LOSS, "reduction=none&dtype=float32&outputs=loss%2Cdenominator,row_losses")
    assert read == {
        "reduction": "none",
        "dtype": "float32",
        "outputs": ["loss", "denominator", "row_losses"],
    }


def test_the_query_may_hold_every_parameter_at_once() -> None:
    names = [*(each.name for each in GRADIENT.parameters), "outputs"]
    assert list(parameters(GRADIENT, urlencode(dict.fromkeys(names, "1")))) == names


@pytest.mark.parametrize("query", ["bogus=1", "logits=1", "Temperature=1", "=1", "temperature=1&bogus=1"])
def test_a_name_in_the_query_that_is_no_parameter_is_refused(query: str) -> None:
    with pytest.raises(UnknownField):
        parameters(SOFTMAX, query)


@pytest.mark.parametrize("query", ["temperature=1&temperature=1", "dtype=float32&dtype=float64"])
def test_a_parameter_that_is_there_twice_is_refused(query: str) -> None:
    with pytest.raises(DuplicateField, match=query.partition("=")[0]):
        parameters(LOSS, query)


def test_a_query_of_countless_fields_is_refused() -> None:
    with pytest.raises(MalformedBody, match="query"):
        parameters(SOFTMAX, "&".join(["top_k=1"] * 100))


def test_countless_outputs_in_the_query_are_not_kept() -> None:
    assert len(parameters(SOFTMAX, "outputs=" + "," * 10_000)["outputs"]) < 100
