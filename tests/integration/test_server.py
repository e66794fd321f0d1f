"""Test the server process: start, refused starts, end, concurrent requests."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from uvicorn.config import STARTUP_FAILURE

from service import __version__
from service.__main__ import main, warn_of_unknown_variables
from service.api.observability import logs
from service.command_line import read_settings
from service.formats.codecs import active_codecs
from service.server.listen import Listeners
from service.server.server import Server, serve
from service.settings import Settings
from tests.processes import PATIENCE, refused, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRONG = [
    ("port", "many"),
    ("port", "65536"),
    ("metrics-port", "tcp://10.0.0.1:80"),
    ("workers", "0"),
    ("root-path", "api/"),
    ("trusted-hosts", "https://example.org"),
    ("tls-certificate-file", "/nowhere.crt"),
    ("tls-key-file", "/nowhere.key"),
    ("tls-client-ca-file", "/nowhere.crt"),
    ("api-keys-file", "/nowhere.keys"),
    ("max-body-bytes", "0"),
    ("max-elements", "-1"),
    ("max-elements", "16777216"),
    ("max-bytes-in-flight", "1"),
    ("inline-body-bytes", "1.5"),
    ("max-wait-seconds", "0"),
    ("body-timeout-seconds", "inf"),
    ("keep-alive-seconds", "0"),
    ("drain-seconds", "30"),
    ("graceful-shutdown-seconds", "soon"),
    ("log-level", "loud"),
    ("log-format", "xml"),
    ("tracing", "perhaps"),
    ("otlp-metrics", "perhaps"),
    ("pages", "perhaps"),
    ("trusted-proxies", "proxy.example.org"),
]

ANY_TEXT = {"host", "uds", "cors_origins", "api_keys"}
"""Settings that accept any text."""


def start(monkeypatch: pytest.MonkeyPatch, *flags: str, **variables: str) -> str:
    """Return the last line of a start that must fail, run in this process."""
    for name in [name for name in os.environ if name.startswith("SOFTMAX_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["softmax-service", *flags])
    with pytest.raises(SystemExit) as ended:
        main()
    line = ended.value.code
    assert isinstance(line, str)
    assert "\n" not in line
    return line


@pytest.fixture(scope="module")
def configured() -> Iterator[str]:
    """Yield the address of a server with flags and variables, below a root path. A warning would end its start."""
    flags = ("--root-path", "/api", "--max-elements", "7", "--max-bytes-in-flight", "3000000")
    variables = {"SOFTMAX_MAX_ELEMENTS": "8", "SOFTMAX_MAX_BODY_BYTES": "900", "PYTHONWARNINGS": "error"}
    with running(*flags, **variables) as (address, _):
        yield address


def variable(setting: str) -> str:
    """Return the environment variable of a setting."""
    return f"SOFTMAX_{setting.replace('-', '_').upper()}"


def test_port_0_takes_a_free_port() -> None:
    with running() as (first, _), running() as (second, _):
        assert {urlsplit(first).port, urlsplit(second).port}.isdisjoint({0, None})
        assert first != second
        assert httpx.get(f"{first}/livez").json() == httpx.get(f"{second}/livez").json() == {"live": True}


@pytest.mark.parametrize(
    ("setting", "value"),
    [("max_elements", 7), ("max_body_bytes", 900), ("max_bytes_in_flight", 3_000_000)],
    ids=["flag before variable", "variable", "flag"],
)
def test_a_setting_comes_from_its_flag_else_its_variable(configured: str, setting: str, value: int) -> None:
    published: dict[str, int] = httpx.get(f"{configured}/info").json()["limits"]
    assert published[setting] == value


@pytest.mark.parametrize(("setting", "value"), [wrong for wrong in WRONG if wrong[1] != "perhaps"])
def test_a_wrong_flag_ends_the_start_with_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    line = start(monkeypatch, f"--{setting}", value)
    assert setting.replace("-", "_") in line
    assert "Input should" not in line


@pytest.mark.parametrize(("setting", "value"), WRONG)
def test_wrong_variable_ends_the_start_with_one_line(monkeypatch: pytest.MonkeyPatch, setting: str, value: str) -> None:
    line = start(monkeypatch, **{variable(setting): value})
    assert setting.replace("-", "_") in line
    assert "Input should" not in line


@pytest.mark.parametrize(
    ("setting", "value", "kind"),
    [
        ("port", "many", "an integer from 0 to 65535"),
        ("metrics-port", "65536", "an integer from 0 to 65535"),
        ("workers", "0", "an integer of at least 1"),
        ("max-wait-seconds", "0", "a finite number above 0"),
        ("drain-seconds", "-1", "a finite number of at least 0"),
        ("log-format", "xml", "one of auto, json, text"),
        ("trusted-proxies", "proxy.example.org", "IP addresses or networks, separated by commas"),
        ("api-keys-file", "/nowhere.keys", "the path of an existing file that this user may read"),
        ("tls-key-file", 300 * "a", "the path of an existing file that this user may read"),
    ],
)
def test_wrong_setting_names_its_source_and_kind_of_value(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str, kind: str
) -> None:
    begin = f"softmax-service: {setting.replace('-', '_')}:"
    assert start(monkeypatch, f"--{setting}={value}") == f"{begin} --{setting} must be {kind}"
    assert start(monkeypatch, **{variable(setting): value}) == f"{begin} {variable(setting)} must be {kind}"


def test_wrong_switch_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "SOFTMAX_PAGES must be true or false" in start(monkeypatch, SOFTMAX_PAGES="perhaps")


def test_port_set_by_kubernetes_names_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    line = start(monkeypatch, SOFTMAX_PORT="tcp://10.0.0.1:80")
    assert "enableServiceLinks: false" in line
    assert "10.0.0.1" not in line


def test_wrong_keys_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    line = start(monkeypatch, "--workers", "0", SOFTMAX_API_KEYS="swordfish")
    assert "swordfish" not in line
    assert "SOFTMAX_API_KEYS has no key" in start(monkeypatch, SOFTMAX_API_KEYS=",")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_port_in_use_ends_the_start_with_one_line(workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        ended = refused("--port", str(other.getsockname()[1]), "--workers", workers)
    assert ended.returncode != 0
    (line,) = ended.stderr.splitlines()
    assert "in use by another program; choose another with --port" in line


@pytest.mark.parametrize("host", ["203.0.113.9", "nowhere.invalid", "a..b"])
def test_wrong_host_ends_the_start_with_one_line(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert "host: " in start(monkeypatch, "--host", host)


def test_start_logs_the_json_codecs(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(Server, "run", lambda self: setattr(self, "started", True))
    monkeypatch.setattr(logs, "configuration", lambda _: None)
    with caplog.at_level("INFO", "service"):
        serve(Settings(), Listeners([], []))
    codecs = active_codecs()
    assert caplog.messages == [f"JSON is read by {codecs['reader']} and written by {codecs['writer']}"]


def test_file_that_turned_bad_ends_a_worker_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "keys"
    file.write_text("swordfish", encoding="ascii")
    settings = Settings(api_keys_file=file)
    file.write_text("", encoding="ascii")
    with pytest.raises(SystemExit) as ended:
        serve(settings, Listeners([], []))
    assert ended.value.code == STARTUP_FAILURE
    assert capsys.readouterr().err == "softmax-service: api_keys_file: the file has no key\n"


def test_version_flag_prints_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_settings(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"softmax-service {__version__}\n"


def test_help_names_variables_and_no_python_types(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    with pytest.raises(SystemExit):
        read_settings(["--help"])
    lines = capsys.readouterr().out.splitlines()
    for name in Settings.model_fields:
        assert any(line.endswith(f" SOFTMAX_{name.upper()}") for line in lines), name
    assert not [line for line in lines for word in ("tuple", "null", "Path,", "()", "None") if word in line]


def test_certificate_without_key_ends_the_start_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "tls_key_file" in start(monkeypatch, "--tls-certificate-file", __file__)


def test_a_file_without_keys_ends_the_start_with_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("\n", encoding="ascii")
    assert "api_keys_file" in start(monkeypatch, "--api-keys-file", str(tmp_path / "keys"))


def test_a_process_with_a_wrong_setting_prints_one_line() -> None:
    ended = refused("--workers", "none")
    assert ended.returncode != 0
    (line,) = ended.stderr.splitlines()
    assert line.startswith("softmax-service: workers: ")
    assert ended.stdout == ""


def test_variable_without_a_setting_is_named_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOFTMAX_MAX_BODY_BITES", "7")
    warn_of_unknown_variables()
    (line,) = capsys.readouterr().err.splitlines()
    assert "SOFTMAX_MAX_BODY_BITES is not a setting; did you mean SOFTMAX_MAX_BODY_BYTES?" in line


@pytest.mark.parametrize("name", Settings.model_fields)
def test_misspelt_flag_ends_the_start_with_the_right_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    right = f"--{name.replace('_', '-')}"
    for wrong in (f"{right}s", right[:-1], f"--{name}_"):
        line = start(monkeypatch, f"{wrong}=swordfish")
        assert line == f"softmax-service: {wrong} is not a flag; did you mean {right}?"


@pytest.mark.parametrize(
    ("flags", "mend"),
    [
        (["--xyzzy", "swordfish"], "--xyzzy is not a flag; --help lists the flags"),
        (["-port", "swordfish"], "-port is not a flag; did you mean --port?"),
        (["swordfish"], "write --NAME VALUE"),
        (["--api-keys", "one", "swordfish"], "separate a list with commas"),
        (["--port"], "--port: expected one argument; --help lists the flags"),
        (["--pages=swordfish"], "--pages has no value; write --pages or --no-pages"),
        (["--tracing", "swordfish"], "--tracing has no value; write --tracing or --no-tracing"),
    ],
)
def test_wrong_argument_ends_the_start_with_its_mend(
    monkeypatch: pytest.MonkeyPatch, flags: list[str], mend: str
) -> None:
    line = start(monkeypatch, *flags)
    assert mend in line
    assert "swordfish" not in line


def test_every_setting_is_tried_with_a_wrong_value() -> None:
    assert {setting.replace("-", "_") for setting, _ in WRONG} == set(Settings.model_fields) - ANY_TEXT


def test_missing_package_ends_the_start_with_one_line() -> None:
    # -S: without the installed packages, as a plain python outside of .venv
    ended = subprocess.run([sys.executable, "-S", "-m", "service"], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert " has no package " in line
    assert "make run, or .venv/bin/python -m service" in line


def test_old_python_ends_the_start_with_one_line() -> None:
    code = "import runpy, sys; sys.version_info = (3, 10, 1); runpy.run_module('service')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("softmax-service: needs Python 3.11 or newer; ")


def test_wrong_json_codec_ends_the_start_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert start(monkeypatch, SOFTMAX_JSON_CODEC="fast").endswith("SOFTMAX_JSON_CODEC must be one of auto, portable")


def test_ctrl_c_during_the_imports_ends_without_a_traceback() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "service", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        # the modules of Pydantic are among the first of several hundred
        next(line for line in process.stderr if "pydantic" in line)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == -signal.SIGINT
    assert "Traceback" not in rest
    assert "Listening" not in rest


def test_sigterm_ends_the_process_in_good_order() -> None:
    with running() as (address, process), httpx.Client(base_url=address) as client:
        client.get("/livez")
        process.terminate()
        start = time.monotonic()
        assert process.wait(PATIENCE) == 0
        assert time.monotonic() - start < 5


async def test_concurrent_requests_get_their_own_answers(server: str) -> None:
    shapes = [(1 + 7 * n % 200, 2 + 13 * n % 200) for n in range(50)]
    assert min(rows * classes for rows, classes in shapes) < 100
    # shortest digits of about 19 bytes: the larger ones are beyond what is answered on the event loop
    assert max(rows * classes for rows, classes in shapes) * 19 > 2 * Settings().inline_body_bytes
    batches = [np.random.default_rng(tag).normal(size=shape) for tag, shape in enumerate(shapes)]

    async with httpx.AsyncClient(base_url=server, timeout=60) as client:

        async def ask(batch: Any) -> Any:
            request = {"logits": batch.tolist(), "outputs": ["logits", "probabilities"]}
            return (await client.post("/softmax", json=request)).json()

        answers = await asyncio.gather(*map(ask, batches))

    for batch, answer in zip(batches, answers, strict=True):
        exponentials = np.exp(batch)
        np.testing.assert_array_equal(answer["logits"], batch)
        np.testing.assert_allclose(
            answer["probabilities"], exponentials / exponentials.sum(axis=1, keepdims=True), rtol=1e-13
        )


@pytest.mark.parametrize("operation", ["softmax", "loss", "gradient"])
def test_a_body_handed_to_a_thread_gives_the_same_bits(http: httpx.Client, operation: str) -> None:
    logits = np.random.default_rng(0).normal(size=(8, 30)).tolist()
    targets = {} if operation == "softmax" else {"targets": [0] * 8}
    body = json.dumps({"logits": logits, **targets}).encode()
    inline = Settings().inline_body_bytes
    assert len(body) < inline
    headers = {"Content-Type": "application/json"}
    small = http.post(f"/{operation}", content=body, headers=headers)
    large = http.post(f"/{operation}", content=body.ljust(inline + 1), headers=headers)
    assert small.status_code == 200
    assert large.content == small.content


@pytest.mark.parametrize("prefix", ["", "/api"], ids=["the proxy strips the path", "the proxy keeps the path"])
@pytest.mark.parametrize("path", ["/livez", "/docs", "/static/docs.js", "/openapi.json"])
def test_everything_is_served_below_a_root_path(configured: str, prefix: str, path: str) -> None:
    assert httpx.get(configured + prefix + path).status_code == 200


@pytest.mark.parametrize("prefix", ["", "/api"], ids=["the proxy strips the path", "the proxy keeps the path"])
def test_an_operation_answers_below_a_root_path(configured: str, prefix: str) -> None:
    answer = httpx.post(f"{configured}{prefix}/softmax", json={"logits": [0, 0]}).json()
    assert answer["probabilities"] == [0.5, 0.5]


def test_the_openapi_document_names_the_root_path(configured: str) -> None:
    assert httpx.get(f"{configured}/openapi.json").json()["servers"] == [{"url": "/api"}]


def test_settings_start_without_a_warning(configured: str) -> None:
    assert httpx.get(f"{configured}/livez").status_code == 200
