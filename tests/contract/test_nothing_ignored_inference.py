"""Everything that an Open Inference request names is done or refused with its place: members, parameters and headers."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.bodies import INFERENCE_HEADER

if TYPE_CHECKING:
    import httpx

    from service.errors import Location

PATH = "/v2/models/softmax/infer"

REQUEST: dict[str, Any] = {
    "id": "seven",
    "model_name": "softmax",
    "model_version": "1",
    "parameters": {"binary_data_output": True},
    "inputs": [
        {"name": "logits", "shape": [1, 3], "datatype": "FP64", "parameters": {}, "data": [2, 3, 4]},
        {"name": "mask", "shape": [1, 3], "datatype": "UINT8", "parameters": {"binary_data_size": 3}},
    ],
    "outputs": [
        {"name": "probabilities", "parameters": {"binary_data": False, "classification": 2}},
        {"name": "entropy", "parameters": {}},
    ],
}
"""A request with every member."""

RAW = b"\1\1\0"
"""The mask, behind the JSON."""

OBJECTS: list[Location] = [
    (),
    ("parameters",),
    ("inputs", 0),
    ("inputs", 0, "parameters"),
    ("inputs", 1),
    ("inputs", 1, "parameters"),
    ("outputs", 0),
    ("outputs", 0, "parameters"),
    ("outputs", 1, "parameters"),
]
"""The places of the objects of a request."""


def at(request: Any, place: Location) -> Any:
    """Return what is at a place of a request."""
    for step in place:
        request = request[step]
    return request


MEMBERS: list[Location] = [(*place, name) for place in OBJECTS for name in at(REQUEST, place)]
"""The place of each member."""

OPTIONAL: list[Location] = [
    ("id",),
    ("model_name",),
    ("model_version",),
    ("parameters",),
    ("parameters", "binary_data_output"),
    ("inputs", 0, "parameters"),
    ("outputs",),
    ("outputs", 0, "parameters"),
    ("outputs", 0, "parameters", "binary_data"),
    ("outputs", 0, "parameters", "classification"),
]
"""Members that may be left out."""

WRONG: dict[str, list[Any]] = {
    "id": [3, True, [], {}],
    "model_name": ["loss", "Softmax", 3, []],
    "model_version": ["2", 1, []],
    "parameters": [[], "text", 3, True],
    "inputs": [{}, "text", 3, [3], ["logits"]],
    "outputs": [{}, "text", 3, [3], ["entropy"]],
    "name": ["scores", 3, [], {}],
    "shape": ["1, 3", 3, [1, -3], [1.5], [True, 3], {}, [1, 4], [[1, 3]]],
    "datatype": ["FP8", "fp64", 3, []],
    "data": ["text", 3, {}, [2, 3], [2, 3, "four"], [[2, 3, 4], [2]]],
    "binary_data_size": [2, 4, -3, 3.5, True, "3", []],
    "binary_data_output": ["true", 1, 0, [], {}],
    "binary_data": ["true", 1, 0, [], {}],
    "classification": [0, -1, 1.5, True, "2", []],
}
"""Values that each member cannot have."""


def dashed(place: Location) -> str:
    """Return a place as the name of a test."""
    return "-".join(map(str, place))


every_member = pytest.mark.parametrize("place", MEMBERS, ids=dashed)


async def post(client: httpx.AsyncClient, request: Any, header: bytes | None = None) -> httpx.Response:
    """Return the response to a request. header: in place of the length of the JSON."""
    text = json.dumps(request).encode()
    headers = {INFERENCE_HEADER.encode(): b"%d" % len(text) if header is None else header}
    return await client.post(PATH, content=text + RAW, headers=headers)


def changed(place: Location, value: Any) -> Any:
    """Return the request with another value at a place."""
    request = copy.deepcopy(REQUEST)
    at(request, place[:-1])[place[-1]] = value
    return request


def without(place: Location) -> Any:
    """Return the request without the member at a place."""
    request = copy.deepcopy(REQUEST)
    del at(request, place[:-1])[place[-1]]
    return request


def assert_refused(answer: httpx.Response) -> list[Any]:
    """Assert that an answer refuses a request, and return the first place that it names."""
    assert answer.status_code == 400, answer.text
    assert answer.json()["detail"]
    place: list[Any] = answer.json()["errors"][0]["loc"]
    assert place
    return place


async def test_every_member_of_a_request_is_done(client: httpx.AsyncClient) -> None:
    answer = await post(client, REQUEST)
    assert answer.status_code == 200
    length = int(answer.headers[INFERENCE_HEADER])
    content = json.loads(answer.content[:length])
    assert (content["id"], content["model_name"], content["model_version"]) == ("seven", "softmax", "1")
    classes, entropy = content["outputs"]
    assert (classes["datatype"], len(classes["data"])) == ("BYTES", 2)
    assert [text.partition(":")[2] for text in classes["data"]] == ["1", "0"]
    assert entropy["parameters"] == {"binary_data_size": 8}
    assert len(answer.content) == length + 8


@pytest.mark.parametrize("place", OPTIONAL, ids=dashed)
async def test_an_optional_member_that_is_null_is_left_out(client: httpx.AsyncClient, place: Location) -> None:
    answer = await post(client, changed(place, None))
    assert answer.status_code == 200, answer.text
    assert answer.content == (await post(client, without(place))).content


@pytest.mark.parametrize(
    "place",
    [each for each in OPTIONAL if at(REQUEST, each) and not str(each[-1]).startswith("model_")],
    ids=dashed,
)
async def test_an_optional_member_has_an_effect(client: httpx.AsyncClient, place: Location) -> None:
    assert (await post(client, without(place))).content != (await post(client, REQUEST)).content


@every_member
async def test_a_member_of_another_type_or_value_is_refused(client: httpx.AsyncClient, place: Location) -> None:
    for value in WRONG[str(place[-1])]:
        named = assert_refused(await post(client, changed(place, value)))
        # an input is named by its name, any other member by its place
        inputs = {each["name"] for each in REQUEST["inputs"]} | {"scores"}
        assert named[0] in inputs | {place[0], place[-1]}, (value, named)


@every_member
@given(start=st.integers(0, 18), length=st.integers(0, 1), letter=st.sampled_from(["", "_", "s", "X", " "]))
@settings(max_examples=settings().max_examples // 5, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_misspelt_member_is_refused_by_its_place(
    client: httpx.AsyncClient, place: Location, start: int, length: int, letter: str
) -> None:
    name = str(place[-1])
    misspelt = name[:start] + letter + name[start + length :]
    owner = place[:-1]
    assume(misspelt != name)
    request = without(place)
    at(request, owner)[misspelt] = at(REQUEST, place)
    where = [] if owner == ("parameters",) else list(owner)
    expected = [*where, misspelt] if misspelt and " " not in misspelt else where or ["body"]
    assert assert_refused(await post(client, request)) == expected


@pytest.mark.parametrize("place", OBJECTS, ids=dashed)
async def test_an_unknown_member_is_refused_by_its_place(client: httpx.AsyncClient, place: Location) -> None:
    where = [] if place == ("parameters",) else list(place)
    assert assert_refused(await post(client, changed((*place, "swordfish"), 1))) == [*where, "swordfish"]


@pytest.mark.parametrize("header", [b"", b"x", b"-1", b"+1", b"1.5", b"0x10", b"1, 1", b"9" * 30, b"99999", b"\xb2"])
async def test_a_wrong_header_length_is_refused_by_its_name(client: httpx.AsyncClient, header: bytes) -> None:
    assert assert_refused(await post(client, REQUEST, header)) == [INFERENCE_HEADER]


@pytest.mark.parametrize("difference", [-1, 1, 3])
async def test_a_header_length_of_another_json_is_refused(client: httpx.AsyncClient, difference: int) -> None:
    length = len(json.dumps(REQUEST)) + difference
    assert assert_refused(await post(client, REQUEST, b"%d" % length))[0] == "line"


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [("Content-Type", "text/plain", 415), ("Content-Encoding", "br", 415), ("Accept", "text/html", 406)],
)
async def test_a_header_that_cannot_be_obeyed_is_refused(
    client: httpx.AsyncClient, name: str, value: str, status: int
) -> None:
    answer = await client.post(PATH, content=b"{}", headers={name: value})
    assert answer.status_code == status
    assert answer.json()["errors"][0]["loc"] == [name]
