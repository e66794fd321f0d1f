"""Test the sockets that the service listens on, in this process."""

from __future__ import annotations

import socket
import stat
from typing import TYPE_CHECKING, Any

import pytest

from service.server.listen import listening
from service.settings import Settings
from tests.server.sockets import unsent_bytes, until

if TYPE_CHECKING:
    from pathlib import Path


def assert_refused(said: str, **settings: Any) -> None:
    """Assert that the start ends with one line that says this."""
    with pytest.raises(SystemExit) as ended, listening(Settings(**settings)):
        pass
    assert str(ended.value).startswith("softmax-service: ")
    assert said in str(ended.value)
    assert "\n" not in str(ended.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", ""])
def test_every_address_of_a_host_listens_on_one_port(host: str) -> None:
    with listening(Settings(host=host, port=0)) as listeners:
        assert len({each.getsockname()[1] for each in listeners.service}) == 1
        for each in listeners.service:
            with socket.create_connection(each.getsockname()[:2]):
                pass
        assert not listeners.metrics


def test_port_is_free_again_at_once() -> None:
    with listening(Settings(port=0)) as listeners:
        (listener,) = listeners.service
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            # the side that closes first keeps the connection for a minute
            listener.accept()[0].close()
            assert client.recv(1) == b""
    with listening(Settings(port=port)) as listeners:
        assert len(listeners.service) == 1


async def test_kernel_keeps_no_response_that_nobody_reads() -> None:
    with listening(Settings(port=0, keep_alive_seconds=1)) as listeners:
        (listener,) = listeners.service
        with socket.create_connection(listener.getsockname()) as client:
            ports = listener.getsockname()[1], client.getsockname()[1]
            accepted, _ = listener.accept()
            with accepted:
                accepted.settimeout(0)
                accepted.send(bytes(2**22))
            assert unsent_bytes(*ports) > 0
            await until(lambda: unsent_bytes(*ports) == 0)


def test_any_time_to_keep_connections_is_accepted() -> None:
    with listening(Settings(port=0, keep_alive_seconds=10**9)) as listeners:
        assert len(listeners.service) == 1


def test_addresses_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(port=0, metrics_port=0)
    with caplog.at_level("INFO", "service"), listening(settings) as listeners:
        listeners.log(settings)
        service, metrics = (each.getsockname()[1] for each in listeners.all)
    assert caplog.messages == [
        f"Listening on http://127.0.0.1:{service}",
        f"Metrics and probes are on http://127.0.0.1:{metrics}",
    ]


@pytest.mark.parametrize("name", ["port", "metrics_port"])
def test_port_in_use_is_refused_with_its_flag(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        said = f"{name}: port {taken} is in use by another program; choose another with --{name.replace('_', '-')}"
        assert_refused(said, **{"port": 0, name: taken})


def test_address_of_another_machine_is_refused() -> None:
    assert_refused("host: not an address of this machine", host="203.0.113.9", port=0)


def test_unknown_host_is_refused() -> None:
    assert_refused("host: no such host or address", host="a..b", port=0)


def test_unix_socket_is_for_its_owner_and_group_and_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with listening(Settings(uds=path)) as listeners, socket.socket(socket.AF_UNIX) as client:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        client.connect(str(path))
        assert len(listeners.service) == 1
    assert not path.exists()


def test_files_keep_their_permissions_beside_unix_socket(tmp_path: Path) -> None:
    before, beside = tmp_path / "before", tmp_path / "beside"
    before.touch()
    with listening(Settings(uds=tmp_path / "socket")):
        beside.touch()
    assert beside.stat().st_mode == before.stat().st_mode


def test_unix_socket_that_was_left_over_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    with listening(Settings(uds=path)), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_unix_socket_of_a_successor_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with listening(Settings(uds=path)):
        path.unlink()
        path.touch()
    assert path.exists()


def test_unix_socket_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with listening(Settings(uds=path)):
        assert_refused("uds: another program listens on that path; choose another with --uds", uds=path)
        assert path.is_socket()


def test_file_that_is_not_a_socket_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious", encoding="ascii")
    assert_refused("uds: that path exists and is not a socket", uds=path)
    assert path.read_text(encoding="ascii") == "precious"


@pytest.mark.parametrize("name", ["missing/socket", "x" * 200])
def test_path_that_cannot_be_a_socket_is_refused(tmp_path: Path, name: str) -> None:
    assert_refused("uds: cannot listen on that path: ", uds=tmp_path / name)
