"""Folders on local disks, on S3 through PyArrow and through fsspec, and on other fsspec filesystems."""

from __future__ import annotations

import pickle
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from pyarrow import fs

from deploy.batch.errors import BatchError
from deploy.batch.job import is_hidden
from deploy.batch.storage import Folder
from tests.batch.store import BUCKET

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ["path", "file", "s3", "s3 with options", "s3 by fsspec", "local by fsspec", "memory by fsspec"]


@pytest.fixture(params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """Return an empty folder, on each kind of filesystem."""
    kind: str = request.param
    name = uuid4().hex
    if kind.startswith("s3"):
        variables = request.getfixturevalue("store")
        if kind == "s3 with options":
            host = variables["AWS_ENDPOINT_URL"].removeprefix("http://")
            return Folder(f"s3://key:secret@{BUCKET}/{name}?endpoint_override={host}&scheme=http&region=us-east-1")
        return Folder(f"s3://{BUCKET}/{name}" if kind == "s3" else f"fsspec+s3://{BUCKET}/{name}")
    return Folder(
        {
            "path": f"{tmp_path}/{name}",
            "file": f"file://{tmp_path}/{name}",
            "local by fsspec": f"fsspec+local://{tmp_path}/{name}",
            "memory by fsspec": f"memory://{name}",
        }[kind]
    )


def put(folder: Folder, name: str, content: bytes) -> None:
    """Write a file."""
    with folder.write(name) as file:
        file.write(content)


def test_a_file_is_read_as_it_was_written(folder: Folder) -> None:
    put(folder, "a/b/c.bin", b"content")
    assert folder.read("a/b/c.bin") == b"content"
    with folder.open("a/b/c.bin") as file:
        file.seek(3)
        assert file.read(2) == b"te"


def test_every_file_is_listed_once_with_its_size(folder: Folder) -> None:
    for name in ("b.bin", "a/x=1/c.bin", "a/b.bin"):
        put(folder, name, b"x" * len(name))
    found = folder.entries()
    assert [(entry.name, entry.size) for entry in found] == [("a/b.bin", 7), ("a/x=1/c.bin", 11), ("b.bin", 5)]
    assert [entry.name for entry in folder.entries("a")] == ["a/b.bin", "a/x=1/c.bin"]
    assert folder.has("b.bin")


def test_a_version_changes_with_the_content(folder: Folder) -> None:
    put(folder, "a.bin", b"one")
    (first,) = folder.entries()
    time.sleep(1.1 if "s3" in folder.uri else 0.02)  # S3 tells whole seconds
    put(folder, "a.bin", b"two")
    (second,) = folder.entries()
    assert None not in (first.version, second.version)
    assert first.version != second.version
    assert folder.entries() == [second]


def test_a_missing_folder_is_empty_and_a_missing_file_is_none(folder: Folder) -> None:
    assert folder.entries() == []
    assert not folder.exists()
    assert not folder.has("a.bin")
    folder.remove("a.bin")
    with pytest.raises(FileNotFoundError):
        folder.read("a.bin")


def test_a_removed_file_is_gone(folder: Folder) -> None:
    put(folder, "x/a.bin", b"content")
    assert folder.exists()
    folder.remove("x/a.bin")
    assert folder.entries() == []


def test_an_interrupted_write_leaves_nothing(folder: Folder) -> None:
    def write(content: bytes) -> None:
        with folder.write("a.bin") as file:
            file.write(content)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(b"half")
    assert folder.entries() == []
    put(folder, "a.bin", b"whole")
    with pytest.raises(KeyboardInterrupt):
        write(b"half")
    assert folder.read("a.bin") == b"whole"


def test_a_file_appears_whole(folder: Folder) -> None:
    content = b"x" * 12_000_000  # two parts of an upload
    seen: set[int | None] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.add(next((entry.size for entry in folder.entries() if not is_hidden(entry.name)), None))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with folder.write("a.bin") as file:
        for start in range(0, len(content), 1_000_000):
            file.write(content[start : start + 1_000_000])
    stop.set()
    watcher.join()
    assert folder.read("a.bin") == content
    assert seen <= {None, len(content)}


def test_folder_made_while_it_is_listed_is_listed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(str(tmp_path))
    put(folder, "a.bin", b"whole")
    list_files = fs.LocalFileSystem().get_file_info
    failures = [FileNotFoundError("Cannot list directory")]

    def list_in_a_race(selector: fs.FileSelector) -> list[fs.FileInfo]:
        if failures:
            raise failures.pop()
        return list_files(selector)

    monkeypatch.setattr(Folder, "filesystem", SimpleNamespace(get_file_info=list_in_a_race))
    assert [entry.name for entry in folder.entries()] == ["a.bin"]


def test_a_folder_is_the_same_in_another_process(folder: Folder) -> None:
    assert pickle.loads(pickle.dumps(folder)) == folder  # noqa: S301 - our own bytes


def test_a_folder_contains_itself_and_what_is_below(folder: Folder) -> None:
    below = Folder(folder.uri.replace("?", "/x?") if "?" in folder.uri else f"{folder.uri}/x")
    beside = Folder(folder.uri.replace("?", "x?") if "?" in folder.uri else f"{folder.uri}x")
    assert folder.contains(folder)
    assert folder.contains(below)
    assert not below.contains(folder)
    assert not folder.contains(beside)


def test_keys_and_options_of_an_address_are_never_shown() -> None:
    folder = Folder("s3://key:secret@bucket/out?endpoint_override=host:1&scheme=http")
    assert str(folder) == "s3://bucket/out"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("nope://bucket/out", "nope://bucket/out cannot be opened: Protocol not known: nope"),
        (
            "hdfs://host:1/out",
            r"^hdfs://host:1/out cannot be opened: Unable to load lib[^;]*; install Java and libhdfs, [^\n]+\.$",
        ),
    ],
)
def test_an_address_that_nothing_opens_is_an_error(uri: str, message: str) -> None:
    with pytest.raises(BatchError, match=message):
        Folder(uri).entries()


@pytest.mark.usefixtures("store")
def test_a_bucket_that_does_not_exist_is_an_error() -> None:
    folder = Folder("s3://elsewhere/out")
    assert not folder.exists()
    with pytest.raises(OSError, match="NO_SUCH_BUCKET"):
        put(folder, "a.bin", b"")


@pytest.mark.parametrize(
    ("uri", "kind", "path"),
    [
        ("file:///data/in", fs.LocalFileSystem, "/data/in"),
        ("gs://bucket/in", fs.GcsFileSystem, "bucket/in"),
        ("gs://anonymous@bucket/in/", fs.GcsFileSystem, "bucket/in"),
        ("abfs://container@account.dfs.core.windows.net/in", fs.AzureFileSystem, "container/in"),
        ("abfss://account.dfs.core.windows.net/container/in", fs.AzureFileSystem, "container/in"),
    ],
)
def test_uri_names_a_filesystem_of_pyarrow(uri: str, kind: type[fs.FileSystem], path: str) -> None:
    folder = Folder(uri)
    assert type(folder.filesystem) is kind
    assert folder.path == path


def test_filesystem_that_is_not_installed_is_one_sentence() -> None:
    for uri in ("hdfs://namenode:8020/in", "abfs://container/in", "nothing://in"):
        with pytest.raises(BatchError, match=rf"^{uri} cannot be opened: [^\n]+$"):
            assert Folder(uri).filesystem
