"""Test NumPy files and compressed bodies at the plain endpoints: the same answers as for JSON."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from service.operations import OPERATIONS
from tests.bodies import compress, npy, npz
from tests.connections import connect

if TYPE_CHECKING:
    import httpx

    from service.operations.spec import Operation

Array = npt.NDArray[Any]

JSON, NPY, NPZ = "application/json", "application/x-npy", "application/x-npz"

LOGITS = np.array([[2.0, 3.0, 4.0], [3.0, 1.0, -3.0]])
LABELS = np.array([1, 0])
ARRAYS: dict[str, dict[str, Any]] = {
    "softmax": {"logits": LOGITS},
    "loss": {"logits": LOGITS, "targets": LABELS, "sample_weights": np.array([0.5, 2])},
    "gradient": {"inputs": LOGITS, "weights": np.eye(4, 3), "bias": np.arange(4.0), "targets": LABELS},
}
PARAMETERS: list[tuple[str, str, Any]] = [
    ("softmax", "temperature=2", {"temperature": 2}),
    ("softmax", "temperature=2.5e-1&softcap=3", {"temperature": 0.25, "softcap": 3}),
    ("softmax", "top_k=2", {"top_k": 2}),
    ("softmax", "dtype=float32", {"dtype": "float32"}),
    ("softmax", "outputs=entropy,logits", {"outputs": ["entropy", "logits"]}),
    ("loss", "reduction=none&label_smoothing=.125", {"reduction": "none", "label_smoothing": 0.125}),
    ("loss", "ignore_index=0&z_loss=1e-4&denominator=3", {"ignore_index": 0, "z_loss": 1e-4, "denominator": 3}),
    ("gradient", "learning_rate=-0.5&outputs=updated_bias", {"learning_rate": -0.5, "outputs": ["updated_bias"]}),
]
ENCODINGS = ["gzip", "deflate", "zstd"]


def unpacked(reply: httpx.Response) -> dict[str, Array]:
    """Return the outputs in an archive."""
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == NPZ
    with np.load(io.BytesIO(reply.content), allow_pickle=False) as archive:
        return dict(archive)


def array(reply: httpx.Response) -> Array:
    """Return the output in a .npy file."""
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == NPY
    values: Array = np.load(io.BytesIO(reply.content), allow_pickle=False)
    return values


def body(content_type: str) -> bytes:
    """Return logits in a format."""
    return {
        JSON: json.dumps({"logits": LOGITS.tolist()}).encode(),
        NPY: npy(LOGITS),
        NPZ: npz(logits=LOGITS),
    }[content_type]


async def post(
    client: httpx.AsyncClient, path: str, content: bytes, content_type: str, **headers: str
) -> httpx.Response:
    """Return the response to a body of a type. Underscores in the names of `headers` become hyphens."""
    others = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(path, content=content, headers={"Content-Type": content_type, **others})


async def in_json(client: httpx.AsyncClient, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON answer to the arrays of an operation."""
    arrays = {name: values.tolist() for name, values in ARRAYS[operation].items()}
    answer: dict[str, Any] = (await client.post(f"/{operation}", json=arrays | parameters)).json()
    return answer


@pytest.mark.parametrize("operation", ARRAYS)
async def test_an_archive_has_the_bits_of_json(client: httpx.AsyncClient, operation: str) -> None:
    answer = unpacked(await post(client, f"/{operation}", npz(**ARRAYS[operation]), NPZ))
    expected = await in_json(client, operation, {})
    assert list(answer) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(answer[name], values)


@pytest.mark.parametrize(("operation", "query", "parameters"), PARAMETERS, ids=[query for _, query, _ in PARAMETERS])
async def test_parameters_in_the_query_act_as_in_json(
    client: httpx.AsyncClient, operation: str, query: str, parameters: dict[str, Any]
) -> None:
    reply = await post(client, f"/{operation}?{query}", npz(**ARRAYS[operation]), NPZ, Accept=JSON)
    assert reply.json() == await in_json(client, operation, parameters)


async def test_a_file_alone_is_the_logits(client: httpx.AsyncClient) -> None:
    answer = unpacked(await post(client, "/softmax?top_k=1", npy(LOGITS), NPY))
    expected = await in_json(client, "softmax", {"top_k": 1})
    assert list(answer) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(answer[name], values)


async def test_one_output_is_a_file_of_its_own(client: httpx.AsyncClient) -> None:
    answer = array(await post(client, "/softmax?outputs=probabilities", npy(LOGITS), NPY))
    np.testing.assert_array_equal(answer, (await in_json(client, "softmax", {}))["probabilities"])


async def test_a_number_is_a_file_without_axes(client: httpx.AsyncClient) -> None:
    answer = array(await post(client, "/loss?outputs=denominator", npz(**ARRAYS["loss"]), NPZ))
    assert answer.shape == ()
    assert answer == 2.5


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("dtype", "query", "expected"),
    [
        ("<f8", "", "f8"),
        (">f8", "", "f8"),
        ("<f4", "", "f4"),
        (">f4", "", "f4"),
        ("<f2", "", "f4"),
        ("i1", "", "f8"),
        (">i8", "", "f8"),
        ("<u8", "", "f8"),
        ("<f8", "&dtype=float32", "f4"),
        ("<f2", "&dtype=float64", "f8"),
    ],
)
async def test_answer_has_the_precision_of_the_logits_or_of_the_query(
    client: httpx.AsyncClient, dtype: str, query: str, expected: str, order: Any
) -> None:
    logits = np.asarray(abs(LOGITS).astype(dtype), order=order)
    answer = array(await post(client, f"/softmax?outputs=probabilities{query}", npy(logits), NPY))
    request = {"logits": logits.tolist(), "dtype": {"f4": "float32", "f8": "float64"}[expected]}
    assert answer.dtype == expected
    assert (
        answer.tolist()
        == np.array((await client.post("/softmax", json=request)).json()["probabilities"], expected).tolist()
    )


async def test_integers_are_answered_in_64_bits(client: httpx.AsyncClient) -> None:
    answer = array(await post(client, "/softmax?outputs=predictions", npy(LOGITS.astype(np.float32)), NPY))
    assert answer.dtype == np.int64
    assert answer.tolist() == [2, 0]


async def test_infinities_are_kept_in_files(client: httpx.AsyncClient) -> None:
    answer = array(await post(client, "/softmax?outputs=log_probabilities", npy(np.array([0, -np.inf])), NPY))
    assert answer.tolist() == [0, -np.inf]


@pytest.mark.parametrize(
    ("content_type", "accept", "query", "expected"),
    [
        (JSON, "*/*", "", JSON),
        (JSON, NPZ, "", NPZ),
        (JSON, f"{NPY}, {NPZ}", "", NPZ),
        (JSON, f"{JSON};q=0, */*", "", NPZ),
        (JSON, NPY, '"entropy"', NPY),
        (NPY, "*/*", "", NPZ),
        (NPY, "application/*", "outputs=entropy", NPY),
        (NPY, JSON, "", JSON),
        (NPY, f"{JSON}, text/html", "outputs=entropy", JSON),
        (NPY, NPZ, "outputs=entropy", NPZ),
        (NPZ, "*/*", "", NPZ),
        (NPZ, "*/*", "outputs=entropy", NPY),
        (NPZ, JSON, "", JSON),
        (JSON, f"{NPY}, {JSON};q=0.5", "", JSON),
        (NPY, f"{NPY}, {JSON};q=0.5, {NPZ};q=0.1", "", JSON),
        (NPY, f"{NPY}, {JSON};q=0.5", "outputs=entropy", NPY),
    ],
)
async def test_answer_has_the_format_of_the_request_or_of_accept(
    client: httpx.AsyncClient, content_type: str, accept: str, query: str, expected: str
) -> None:
    content = body(content_type)
    if content_type == JSON and query:
        content, query = content.replace(b"}", b', "outputs": [%b]}' % query.encode()), ""
    reply = await post(client, f"/softmax?{query}", content, content_type, Accept=accept)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == expected


@pytest.mark.parametrize("content_type", [JSON, NPY, NPZ])
@pytest.mark.parametrize("accept", ["text/html", "application/x-npx", NPY])
async def test_several_outputs_do_not_go_into_one_file(
    client: httpx.AsyncClient, content_type: str, accept: str
) -> None:
    reply = await post(client, "/softmax", body(content_type), content_type, Accept=accept)
    assert reply.status_code == 406
    assert reply.json()["type"] == "/problems/unwritable-media-type"


@pytest.mark.parametrize(("said", "is_really"), [(JSON, NPY), (NPY, JSON), (NPY, NPZ), (NPZ, NPY), (NPZ, JSON)])
async def test_a_body_that_contradicts_its_type_is_malformed(
    client: httpx.AsyncClient, said: str, is_really: str
) -> None:
    reply = await post(client, "/softmax", body(is_really), said)
    assert reply.status_code == 400
    assert reply.json()["type"] == "/problems/malformed-body"


@pytest.mark.parametrize(
    ("query", "slug"),
    [
        ("bogus=1", "unknown-field"),
        ("temperature=2&temperature=2", "duplicate-field"),
        ("temperature=", "invalid-parameter"),
        ("temperature", "invalid-parameter"),
        ("temperature=0", "invalid-parameter"),
        ("temperature=nan", "invalid-parameter"),
        ("temperature=inf", "invalid-parameter"),
        ("temperature=1e400", "invalid-parameter"),
        ("temperature=1_0", "invalid-parameter"),
        ("temperature=0x10", "invalid-parameter"),
        ("temperature=true", "invalid-parameter"),
        ("temperature=%EF%BC%91", "invalid-parameter"),
        ("temperature=%FF", "invalid-parameter"),
        ("temperature=" + "1" * 5000, "invalid-parameter"),
        ("top_k=1.5", "invalid-parameter"),
        ("top_k=4", "invalid-parameter"),
        ("top_k=" + "1" * 4000, "invalid-parameter"),
        ("dtype=float16", "invalid-parameter"),
        ("outputs=", "invalid-outputs"),
        ("outputs=entropy,", "invalid-outputs"),
        ("outputs=entropy,entropy", "invalid-outputs"),
        ("outputs=loss", "invalid-outputs"),
    ],
    ids=lambda value: value[:30],
)
async def test_a_wrong_query_is_refused(client: httpx.AsyncClient, query: str, slug: str) -> None:
    reply = await post(client, f"/softmax?{query}", npy(LOGITS), NPY)
    assert reply.status_code == 422
    assert reply.json()["type"] == f"/problems/{slug}"
    assert len(reply.content) < 4000


@pytest.mark.parametrize(
    ("shape", "status"),
    [
        ((1,) * 64 + (3,), 422),
        ((1,) * 63 + (3,), 422),
        ((1,) * 32 + (3,), 422),
        ((1,) * 31 + (3,), 200),
        ((0, 2**40), 413),
    ],
    ids=["65 axes", "64 axes", "33 axes", "32 axes", "2**40 classes"],
)
async def test_a_tensor_of_unusual_shape_is_answered_up_to_the_limits(
    client: httpx.AsyncClient, shape: tuple[int, ...], status: int
) -> None:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    data = b"" if 0 in shape else LOGITS[0].tobytes()
    file = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data
    reply = await post(client, "/softmax?outputs=jacobian", file, NPY)
    assert reply.status_code == status


async def test_a_file_of_logits_alone_has_no_loss(client: httpx.AsyncClient) -> None:
    reply = await post(client, "/loss", npy(LOGITS), NPY)
    assert reply.status_code == 422
    assert reply.json()["type"] == "/problems/missing-field"


async def test_an_archive_that_is_too_large_once_unpacked_is_refused() -> None:
    archive = npz(compressed=True, logits=np.zeros((1000, 10)))
    async with connect(max_body_bytes=2 * len(archive)) as client:
        reply = await post(client, "/softmax", archive, NPZ)
    assert reply.status_code == 413
    assert reply.json()["type"] == "/problems/body-too-large"


async def test_a_file_with_too_many_numbers_is_refused() -> None:
    async with connect(max_elements=5) as client:
        reply = await post(client, "/softmax", npy(LOGITS), NPY)
    assert reply.status_code == 413
    assert reply.json()["type"] == "/problems/tensor-too-large"


@pytest.mark.parametrize("encoding", [*ENCODINGS, "identity"])
@pytest.mark.parametrize("content_type", [JSON, NPZ])
@pytest.mark.parametrize("operation", ARRAYS)
async def test_a_compressed_body_gets_the_answer_of_the_body(
    client: httpx.AsyncClient, operation: str, content_type: str, encoding: str
) -> None:
    arrays = ARRAYS[operation]
    fields = {name: values.tolist() for name, values in arrays.items()}
    content = npz(**arrays) if content_type == NPZ else json.dumps(fields).encode()
    sent = content if encoding == "identity" else compress(content, encoding)
    reply = await post(client, f"/{operation}", sent, content_type, Content_Encoding=encoding, Accept=JSON)
    assert reply.json() == await in_json(client, operation, {})


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("operation", ARRAYS)
@pytest.mark.parametrize("cut", [slice(-1), slice(10), slice(0)], ids=["the last byte", "most", "all"])
async def test_a_compressed_body_that_ends_early_is_malformed(
    client: httpx.AsyncClient, operation: str, encoding: str, cut: slice
) -> None:
    stream = compress(body(JSON), encoding)[cut]
    reply = await post(client, f"/{operation}", stream, JSON, Content_Encoding=encoding)
    assert reply.status_code == 400
    assert reply.json()["type"] == "/problems/malformed-body"


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_bytes_behind_a_compressed_body_are_malformed(client: httpx.AsyncClient, encoding: str) -> None:
    reply = await post(client, "/softmax", compress(body(JSON), encoding) + b"\0", JSON, Content_Encoding=encoding)
    assert reply.status_code == 400
    assert reply.json()["type"] == "/problems/malformed-body"


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("operation", ARRAYS)
async def test_a_body_that_is_too_large_once_unpacked_is_refused(operation: str, encoding: str) -> None:
    async with connect(max_body_bytes=1000) as client:
        sent = compress(body(JSON).ljust(1001), encoding)
        reply = await post(client, f"/{operation}", sent, JSON, Content_Encoding=encoding)
    assert reply.status_code == 413
    assert reply.json()["type"] == "/problems/body-too-large"


@pytest.mark.parametrize("encoding", ["br", "compress", "gzip, gzip", "*"])
@pytest.mark.parametrize("operation", ARRAYS)
async def test_a_body_compressed_in_an_unknown_way_is_not_read(
    client: httpx.AsyncClient, operation: str, encoding: str
) -> None:
    reply = await post(client, f"/{operation}", body(JSON), JSON, Content_Encoding=encoding)
    assert reply.status_code == 415
    assert reply.json()["type"] == "/problems/unreadable-encoding"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
@pytest.mark.parametrize("prefix", ["", "/softmax"], ids=["stripped by the proxy", "left by the proxy"])
async def test_an_operation_answers_below_a_root_path_of_any_name(operation: Operation, prefix: str) -> None:
    async with connect(root_path="/softmax") as client:
        reply = await client.post(f"{prefix}/{operation.name}", json=operation.examples[0].request)
    assert reply.status_code == 200
