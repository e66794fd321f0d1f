"""Test request logs: one line for each request, with fixed fields and no values from the client."""

from __future__ import annotations

import json
import logging
import re
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from service.api.observability import logs
from service.api.observability.logs import JSONLines, TextLines
from service.api.security import Proxies
from service.compute.softmax import Softmax
from service.settings import Settings
from tests.bodies import BODY, JSON
from tests.connections import LEFT, application, connect, converse, piece

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = (Path(__file__).parents[2] / "docs/observability.md").read_text(encoding="utf-8")

FIELDS = [
    "message",
    "method",
    "route",
    "status",
    "duration_ms",
    "bytes_in",
    "bytes_out",
    "rows",
    "client",
    "key_id",
    "request_id",
    "trace_id",
]

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Line = dict[str, Any]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[Line]]:
    """Return a function that reads the JSON log lines of requests so far."""
    caplog.set_level(logging.DEBUG, "service.requests")

    def read() -> list[Line]:
        return [json.loads(JSONLines().format(each)) for each in caplog.records if each.name == "service.requests"]

    return read


async def test_a_request_is_one_line_of_these_fields_and_no_other(lines: Callable[[], list[Line]]) -> None:
    body = b'{"logits": [[1, 2], [3, 4], [5, 6]]}'
    headers = {**JSON, "X-Request-ID": "7", "traceparent": TRACEPARENT}
    async with connect() as client:
        reply = await client.post("/softmax", content=body, headers=headers)
    (line,) = lines()
    assert sorted(line) == sorted(["time", "level", *FIELDS])
    assert 0 < line.pop("duration_ms") < 60_000
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "message": "POST /softmax 200",
        "method": "POST",
        "route": "/softmax",
        "status": 200,
        "bytes_in": len(body),
        "bytes_out": len(reply.content),
        "rows": 3,
        "client": "127.0.0.1",
        "key_id": None,
        "request_id": "7",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", "/livez", "GET /livez 200"),
        ("HEAD", "/livez", "HEAD /livez 200"),
        ("GET", "/v2/models/softmax", "GET /v2/models/{model} 200"),
        ("POST", "/v2/models/nothing/infer", "POST /v2/models/{model}/infer 404"),
        ("GET", "/docs", "GET /docs 200"),
        ("GET", "/nothing", "GET 404"),
        ("POST", "/softmax", "POST /softmax 415"),
    ],
)
async def test_every_request_has_its_line(
    lines: Callable[[], list[Line]], method: str, path: str, message: str
) -> None:
    async with connect() as client:
        reply = await client.request(method, path)
    (line,) = lines()
    assert line["message"] == message
    assert line["rows"] is None
    assert line["request_id"] == reply.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("method", "path", "leaving", "level"),
    [
        ("GET", "/livez", False, "DEBUG"),
        ("GET", "/readyz", False, "DEBUG"),
        ("HEAD", "/readyz", False, "DEBUG"),
        ("GET", "/metrics", False, "DEBUG"),
        ("GET", "/v2/health/ready", False, "DEBUG"),
        ("GET", "/readyz", True, "INFO"),
        ("POST", "/livez", False, "INFO"),
        ("GET", "/info", False, "INFO"),
    ],
)
async def test_probes_are_logged_at_debug_unless_they_fail(
    lines: Callable[[], list[Line]], method: str, path: str, leaving: Any, level: str
) -> None:
    app = application()
    app.runtime.lifecycle.leaving = leaving
    async with connect(app) as client:
        await client.request(method, path)
    (line,) = lines()
    assert line["level"] == level


FORWARDED = [
    ((), "192.0.2.1", "127.0.0.1"),
    (("10.0.0.0/8",), "192.0.2.1", "127.0.0.1"),
    (("127.0.0.1",), "192.0.2.1", "192.0.2.1"),
    (("127.0.0.1",), "198.51.100.7, 192.0.2.1", "192.0.2.1"),
    (("127.0.0.0/8", "192.0.2.0/24"), "198.51.100.7, 192.0.2.1", "198.51.100.7"),
    (("127.0.0.0/8", "192.0.2.0/24"), "192.0.2.9,192.0.2.1", "192.0.2.9"),
    (("127.0.0.1",), "2001:db8::7", "2001:db8::7"),
    (("127.0.0.1",), "swordfish", "127.0.0.1"),
    (("127.0.0.1",), "", "127.0.0.1"),
    (("127.0.0.1",), "2001:db8::7%key_id=swordfish status=200", "127.0.0.1"),
    (("127.0.0.0/8",), "2001:db8::7%swordfish, 127.0.0.2", "127.0.0.2"),
    (("127.0.0.0/8",), "192.0.2.1" + ", 127.0.0.2" * 10_000, "127.0.0.2"),
]


@pytest.mark.parametrize(("proxies", "forwarded", "client"), FORWARDED)
@pytest.mark.parametrize("path", ["/softmax", "/info"])
async def test_client_is_the_one_that_trusted_proxies_name(
    lines: Callable[[], list[Line]], proxies: tuple[str, ...], forwarded: str, client: str, path: str
) -> None:
    async with connect(trusted_proxies=proxies) as asking:
        await asking.post(path, content=BODY, headers={**JSON, "X-Forwarded-For": forwarded})
    (line,) = lines()
    assert line["client"] == client


def test_client_of_a_unix_socket_is_trusted_to_name_its_client() -> None:
    assert Proxies(()).client(None, "198.51.100.7, 192.0.2.1") == "192.0.2.1"
    assert Proxies(()).client(None, None) is None


async def test_a_key_is_logged_by_its_public_id(lines: Callable[[], list[Line]]) -> None:
    async with connect(api_keys=("swordfish", "tuna")) as client:
        for key in ("swordfish", "tuna", "salmon"):
            await client.post("/softmax", content=BODY, headers={**JSON, "Authorization": f"Bearer {key}"})
    ids = [line["key_id"] for line in lines()]
    assert ids == [*(sha256(key.encode()).hexdigest()[:8] for key in ("swordfish", "tuna")), None]


async def test_a_client_that_left_has_its_line(lines: Callable[[], list[Line]]) -> None:
    await converse(application(), "/softmax", [piece(b"{", more=True), LEFT])
    (line,) = lines()
    assert (line["status"], line["bytes_in"], line["bytes_out"]) == (499, 1, 0)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "00-0af7651916cd43dd8448eb211c80319c",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        f"{TRACEPARENT}\n",
        f"{TRACEPARENT}-more",
        f"ff{TRACEPARENT[2:]}",
    ],
)
async def test_an_invalid_traceparent_is_not_logged(lines: Callable[[], list[Line]], sent: str) -> None:
    await converse(application(), "/softmax", [piece(BODY)], {"traceparent": sent})
    (line,) = lines()
    assert line["trace_id"] is None


SECRET = "swordfish"  # noqa: S105 - not a secret, a word to search for

SPOKEN: list[tuple[str, str, bytes, dict[str, str]]] = [
    ("POST", "/softmax", b'{"logits": ["swordfish"]}', {}),
    ("POST", "/softmax", b'{"swordfish": 1}', {}),
    ("POST", "/softmax", b"swordfish", {}),
    ("POST", "/softmax", b'{"logits": [0], "dtype": "swordfish"}', {}),
    ("POST", "/softmax", b'{"logits": [0], "outputs": ["swordfish"]}', {}),
    ("POST", "/softmax?swordfish=swordfish", BODY, {}),
    ("POST", "/softmax", BODY, {"Authorization": "Bearer swordfish"}),
    ("POST", "/softmax", BODY, {"Authorization": "swordfish"}),
    ("POST", "/softmax", BODY, {"Content-Type": "text/swordfish"}),
    ("POST", "/softmax", BODY, {"Content-Encoding": "swordfish"}),
    ("POST", "/softmax", BODY, {"Accept": "swordfish/swordfish"}),
    ("POST", "/softmax", BODY, {"X-Request-ID": "sword fish swordfish"}),
    ("POST", "/softmax", BODY, {"traceparent": "00-swordfish"}),
    ("POST", "/softmax", BODY, {"Cookie": "swordfish"}),
    ("POST", "/softmax", BODY, {"X-Forwarded-For": "swordfish"}),
    ("POST", "/softmax", BODY, {"X-Forwarded-For": "::1%swordfish"}),
    ("POST", "/v2/models/swordfish/infer", BODY, {}),
    ("POST", "/v2/models/softmax/infer", b'{"inputs": [{"name": "swordfish"}]}', {}),
    ("POST", "/v2/models/softmax/infer", BODY, {"Inference-Header-Content-Length": "swordfish"}),
    ("GET", "/swordfish", b"", {}),
    ("GET", "/static/swordfish", b"", {}),
    ("GET", "/livez?swordfish", b"", {}),
    ("GET", "/livez", b"", {"Host": "swordfish"}),
]


@pytest.mark.parametrize(("method", "path", "body", "headers"), SPOKEN)
@pytest.mark.parametrize(
    "settings",
    [{}, {"api_keys": (SECRET,), "trusted_hosts": ("test",), "trusted_proxies": ("127.0.0.1",)}],
    ids=["open", "guarded"],
)
async def test_no_line_has_a_value_of_the_client(
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    body: bytes,
    headers: dict[str, str],
    settings: dict[str, Any],
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with connect(**settings) as client:
            await client.request(method, path, content=body, headers={**JSON, **headers})
    # httpx logs the URL
    ours = [record for record in caplog.records if not record.name.startswith("http")]
    written = [formatter.format(record) for record in ours for formatter in (JSONLines(), TextLines())]
    assert written
    assert not any(SECRET in line for line in written)


async def test_no_key_is_shown_in_the_settings() -> None:
    settings = Settings(api_keys=(SECRET,))
    assert SECRET not in f"{settings} {settings!r} {settings.model_dump_json()}"


async def test_a_crash_is_logged_with_the_id_of_its_request(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Softmax, "probabilities", property(lambda _: 1 // 0))
    async with connect() as client:
        await client.post("/softmax", content=BODY, headers={**JSON, "X-Request-ID": "7"})
    (record,) = [each for each in caplog.records if each.name == "service"]
    line = json.loads(JSONLines().format(record))
    assert (line["level"], line["message"]) == ("ERROR", "request 7 failed")
    assert "ZeroDivisionError" in line["exc_info"]


def record(message: object, level: int = logging.INFO) -> logging.LogRecord:
    """Return a log record."""
    return logging.LogRecord("service", level, "file", 1, message, None, None)


def test_text_is_one_line_without_missing_fields() -> None:
    line = TextLines().format(record({"message": "POST /softmax 200", "status": 200, "rows": None, "request_id": "7"}))
    assert line.split(maxsplit=1)[1] == "INFO     POST /softmax 200  status=200 request_id=7"


def test_text_of_any_other_message_is_unchanged() -> None:
    assert TextLines().format(record("100 % right", logging.WARNING)).endswith("WARNING  100 % right")


def test_a_line_of_json_has_no_break_in_it() -> None:
    line = JSONLines().format(record("two\nlines"))
    assert "\n" not in line
    assert json.loads(line)["message"] == "two\nlines"


@pytest.mark.parametrize(
    ("log_format", "terminal", "formatter"),
    [
        ("auto", True, "text"),
        ("auto", False, "json"),
        ("json", True, "json"),
        ("text", False, "text"),
    ],
)
def test_lines_are_text_on_a_terminal_and_json_elsewhere(
    monkeypatch: pytest.MonkeyPatch, log_format: Any, terminal: Any, formatter: str
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: not terminal)
    handlers = logs.configuration(Settings(log_format=log_format))["handlers"]
    assert handlers["stdout"]["formatter"] == formatter
    assert (handlers["stderr"]["formatter"] == formatter) is (log_format != "auto")


@pytest.mark.parametrize("level", ["critical", "error", "warning", "info", "debug"])
def test_the_level_applies_to_every_logger(level: Any) -> None:
    configuration = logs.configuration(Settings(log_level=level))
    loggers = [configuration["root"], *configuration["loggers"].values()]
    assert {each["level"] for each in loggers} == {level.upper()}


async def test_requests_are_not_logged_above_the_level_info(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "service.requests"):
        async with connect() as client:
            await client.get("/livez")
    assert [each for each in caplog.records if each.name == "service.requests"] == []


async def test_line_in_the_documentation_is_one_that_is_logged(lines: Callable[[], list[Line]]) -> None:
    (shown,) = re.findall(r"^```json\n(.*)\n```$", PAGE, re.MULTILINE)
    headers = {**JSON, "X-Request-ID": "demo", "traceparent": TRACEPARENT}
    async with connect() as client:
        await client.post("/gradient", content=b'{"logits": [[2, 3, 4]], "targets": [1]}', headers=headers)
    (line,) = lines()
    expected = json.loads(shown)
    assert list(line) == list(expected)
    for name in ("time", "duration_ms"):
        assert type(line.pop(name)) is type(expected.pop(name))
    assert line == expected
