"""Test a supervisor in this process, with workers that only note what they are told. tests/production has real ones."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn
from unittest.mock import Mock

import pytest
from uvicorn.config import STARTUP_FAILURE

from service.api.observability.metrics import SHARED
from service.server import supervisor
from service.server.listen import Listeners, listening
from service.server.server import ALL_LEAVE, READ_AGAIN
from service.server.supervisor import Supervisor, Worker
from service.settings import Settings
from tests.processes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class StubWorker:
    """A worker without a process.

    told: the messages from the supervisor. It ends once all are to leave.
    """

    started: list[StubWorker]

    def __init__(self, number: int, *_: Any) -> None:
        self.number = number
        self.told: list[bytes] = []
        self.is_ready = True
        self.code: int | None = None
        self.process = SimpleNamespace(
            pid=1, exitcode=None, is_alive=lambda: self.code is None, kill=lambda: self.end(-signal.SIGKILL)
        )
        StubWorker.started.append(self)

    def end(self, code: int) -> None:
        """End with a code."""
        self.code = self.process.exitcode = code

    def listen(self) -> None:
        """Have nothing to say."""

    def send(self, message: bytes) -> None:
        """Note a message."""
        self.told.append(message)

    def leave(self, _seconds: float) -> None:
        """End."""
        self.send(ALL_LEAVE)
        self.end(0)


@pytest.fixture(autouse=True)
def _workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replace the workers, and keep the signal handlers of the test run."""
    StubWorker.started = []
    monkeypatch.setattr(supervisor, "Worker", StubWorker)
    # a supervisor sets it, and the next test must not have it
    monkeypatch.setenv(SHARED, "")
    monkeypatch.setattr(supervisor, "WATCH_SECONDS", 0.05)
    monkeypatch.setattr(supervisor.logging.config, "dictConfig", lambda _: None)  # type: ignore[attr-defined]
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    kept = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, kept, strict=True):
        signal.signal(number, handler)


def supervised(settings: Settings, act: Callable[[], None]) -> int:
    """Run a supervisor until `act`, in a thread, has made it end. Return its exit code."""

    def wait_and_act() -> None:
        try:
            wait_until(lambda: len(StubWorker.started) == settings.workers)
            act()
        except AssertionError:
            os.kill(os.getpid(), signal.SIGTERM)
            raise

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    with listening(settings) as listeners:
        code = Supervisor(settings, listeners).run()
        assert all(each.fileno() == -1 for each in listeners.all)
    thread.join()
    return code


def wait_until(is_true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + PATIENCE
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_without_a_writable_folder_the_start_ends_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> NoReturn:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", fail)
    with pytest.raises(SystemExit, match=r"^softmax-service: workers: .*set TMPDIR"):
        Supervisor(Settings(workers=2, port=0), Listeners([], [])).run()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_lets_all_workers_leave(number: int) -> None:
    assert supervised(Settings(workers=2, port=0), lambda: os.kill(os.getpid(), number)) == 0
    assert [each.told for each in StubWorker.started] == [[ALL_LEAVE], [ALL_LEAVE]]


@pytest.mark.parametrize("is_signalled", [False, True], ids=["watched", "SIGHUP"])
def test_all_workers_read_again_unless_a_file_is_bad(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, *, is_signalled: bool
) -> None:
    if is_signalled:
        monkeypatch.setattr(supervisor, "WATCH_SECONDS", 10 * PATIENCE)
    file = tmp_path / "keys"
    file.write_text("tuna", encoding="ascii")

    def change(text: str) -> None:
        new = tmp_path / "new"
        new.write_text(text, encoding="ascii")
        new.replace(file)
        if is_signalled:
            os.kill(os.getpid(), signal.SIGHUP)

    def errors() -> set[str]:
        return {record.getMessage() for record in caplog.records if record.levelname == "ERROR"}

    def act() -> None:
        change("swordfish")
        wait_until(lambda: all(READ_AGAIN in each.told for each in StubWorker.started))
        before = [list(each.told) for each in StubWorker.started]
        change("")
        wait_until(lambda: bool(errors()))
        assert [each.told for each in StubWorker.started] == before
        os.kill(os.getpid(), signal.SIGTERM)

    assert supervised(Settings(workers=2, port=0, api_keys_file=file), act) == 0
    assert errors() == {"api_keys_file: the file has no key; what was read before stays in use"}


def test_worker_that_ends_is_replaced() -> None:
    def act() -> None:
        StubWorker.started[0].end(-signal.SIGSEGV)
        wait_until(lambda: len(StubWorker.started) == 3)
        os.kill(os.getpid(), signal.SIGTERM)

    assert supervised(Settings(workers=2, port=0), act) == 0
    assert [ALL_LEAVE in each.told for each in StubWorker.started] == [False, True, True]
    assert [each.number for each in StubWorker.started] == [0, 1, 0]


def test_supervisor_leaves_if_no_worker_can_start() -> None:
    def act() -> None:
        for each in StubWorker.started:
            each.is_ready = False
        StubWorker.started[0].end(STARTUP_FAILURE)

    assert supervised(Settings(workers=2, port=0), act) == STARTUP_FAILURE
    assert len(StubWorker.started) == 2


def test_worker_may_take_longer_to_start_than_for_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    signs: list[bytes] = []
    pipe = Mock(poll=lambda: bool(signs), recv_bytes=signs.pop)
    context = Mock()
    context.Pipe.return_value = pipe, Mock()
    monkeypatch.setattr(supervisor, "_spawn", context)
    monkeypatch.setattr(supervisor, "HUNG_SECONDS", -1)
    worker = Worker(0, Settings(workers=2), Listeners([], []))
    worker.listen()
    worker.process.kill.assert_not_called()  # type: ignore[attr-defined]
    signs.append(b"")
    worker.listen()
    worker.process.kill.assert_called_once_with()  # type: ignore[attr-defined]
    assert worker.is_ready
