"""Folders of files on any filesystem that PyArrow or fsspec can open.

A folder is named by a path or by a URI: `out`, `file:///data/out`, `s3://bucket/out`, `gs://`, `abfs://`, `hdfs://`, or any
protocol of an installed fsspec package. A written file becomes visible in one step, and it is complete when it does.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit
from uuid import uuid4

import pyarrow as pa
from pyarrow import fs

from deploy.batch.errors import BatchError, reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "oci"}
"""Filesystems without a cheap rename, where an upload becomes visible only when it is complete."""

UNFINISHED = ".unfinished"
"""Suffix of a file that is still being written, on filesystems with a rename."""

VERSIONS = ("ETag", "etag", "md5Hash", "generation", "LastModified", "last_modified", "updated", "mtime", "created")
"""Keys of fsspec's file details that change with the content, the most exact ones first."""

COPY_BYTES = 16 * 2**20
"""Bytes that one step of an upload copies."""


class Entry(NamedTuple):
    """A file of a folder.

    name: relative to the folder, with slashes. size: in bytes.
    version: modification time or entity tag; None where the filesystem tells neither.
    """

    name: str
    size: int
    version: str | None


@dataclass(frozen=True)
class Folder:
    """A folder, named by an absolute path or a URI. It may be sent to another process or machine."""

    uri: str

    def __str__(self) -> str:
        """Return the URI without user names, keys and options."""
        if "://" not in self.uri:
            return self.uri
        parts = urlsplit(self.uri)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def filesystem(self) -> fs.FileSystem:
        """The filesystem of the folder."""
        return _open(self.uri)[0]

    @property
    def path(self) -> str:
        """The path of the folder on its filesystem."""
        return _open(self.uri)[1]

    def at(self, name: str) -> str:
        """Return the path of a file of this folder on its filesystem."""
        return f"{self.path}/{name}"

    def exists(self) -> bool:
        """Return whether the folder is there. Raises BatchError if it is a file, or cannot be looked at."""
        with _reached(self):
            kind = self.filesystem.get_file_info(self.path).type
        if kind == fs.FileType.File:
            raise BatchError(f"{self} is a file; name the folder that holds it.")
        return kind == fs.FileType.Directory

    def contains(self, other: Folder) -> bool:
        """Return whether another folder is this one or below it."""
        same = self.filesystem.equals(other.filesystem)
        return same and f"{other.path}/".startswith(f"{self.path}/")

    def entries(self, below: str = "") -> list[Entry]:
        """Return every file at any depth below a subfolder, in the order of the names. A missing folder has none."""
        top = self.at(below) if below else self.path
        listed = _from_fsspec if _fsspec(self.filesystem) else _from_arrow
        with _reached(self):
            try:
                return sorted(listed(self, top))
            except FileNotFoundError:
                # another process made or removed a folder meanwhile
                return sorted(listed(self, top))

    def has(self, name: str) -> bool:
        """Return whether a file exists. Raises OSError."""
        _forget_listings(self)
        return bool(self.filesystem.get_file_info(self.at(name)).type == fs.FileType.File)

    def modified(self, name: str) -> datetime | None:
        """Return when a file was written, by the clock of the filesystem; None if it does not tell."""
        handler = _fsspec(self.filesystem)
        try:
            when = (
                self.filesystem.get_file_info(self.at(name)).mtime
                if handler is None
                else handler.modified(self.at(name))
            )
        except (FileNotFoundError, NotImplementedError):
            return None
        return cast("datetime | None", when)

    def open(self, name: str) -> pa.NativeFile:
        """Open a file for reading at any place. Raises FileNotFoundError."""
        _forget_listings(self)
        return self.filesystem.open_input_file(self.at(name))

    def read(self, name: str) -> bytes:
        """Return the content of a small file. Raises FileNotFoundError."""
        with self.open(name) as file:
            return bytes(file.readall())

    @contextmanager
    def write(self, name: str) -> Iterator[IO[bytes] | pa.NativeFile]:
        """Open a stream for a new file, which replaces `name` when the block ends well and leaves no trace otherwise."""
        writing = _upload if _protocols(self.filesystem) & OBJECT_STORES else _rename
        with writing(self, self.at(name)) as stream:
            yield stream

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""
        with suppress(FileNotFoundError):
            self.filesystem.delete_file(self.at(name))


@contextmanager
def _upload(folder: Folder, path: str) -> Iterator[IO[bytes]]:
    """Collect the content in a local temporary file, then upload it: closing an upload early would complete it."""
    filesystem = folder.filesystem
    with tempfile.TemporaryFile(prefix="softmax-") as spool:
        yield spool
        spool.seek(0)
        try:
            with filesystem.open_output_stream(path) as stream:
                shutil.copyfileobj(spool, stream, COPY_BYTES)
        except BaseException:
            with suppress(OSError):
                filesystem.delete_file(path)
            raise


@contextmanager
def _rename(folder: Folder, path: str) -> Iterator[pa.NativeFile]:
    """Write to a hidden file beside the final one, then rename it."""
    filesystem = folder.filesystem
    parent, _, name = path.rpartition("/")
    _make(folder.uri, parent)
    unfinished = f"{parent}/.{name}.{uuid4().hex}{UNFINISHED}"
    try:
        with filesystem.open_output_stream(unfinished) as stream:
            yield stream
        filesystem.move(unfinished, path)
    except BaseException:
        with suppress(OSError):
            filesystem.delete_file(unfinished)
        raise


@cache
def _make(uri: str, path: str) -> None:
    """Create a folder, once for each process."""
    _open(uri)[0].create_dir(path, recursive=True)


@cache
def _open(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the filesystem of a URI and the path on it. Raises BatchError."""
    try:
        if "://" not in uri:
            return fs.LocalFileSystem(), str(Path(uri).absolute())
        try:
            filesystem, path = fs.FileSystem.from_uri(uri)
            if filesystem.type_name in OBJECT_STORES:
                # PyArrow returns a slash before the container of abfs://account/container, and refuses it elsewhere
                path = path.lstrip("/")
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            filesystem, path = _open_with_fsspec(uri)
    except (ImportError, OSError, ValueError) as error:
        mend = "; install Java and libhdfs, and set JAVA_HOME and HADOOP_HOME" if uri.startswith("hdfs:") else ""
        raise BatchError(f"{Folder(uri)} cannot be opened: {reason(error)}{mend}.") from None
    return filesystem, path.rstrip("/")


def _open_with_fsspec(uri: str) -> tuple[fs.FileSystem, str]:
    from fsspec.core import url_to_fs  # noqa: PLC0415 - a second to import, for rare protocols

    filesystem, path = url_to_fs(uri)
    return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path


def _fsspec(filesystem: fs.FileSystem) -> Any:
    """Return the fsspec filesystem behind a filesystem of PyArrow, or None."""
    handler = getattr(filesystem, "handler", None)
    return getattr(handler, "fs", None)


def _protocols(filesystem: fs.FileSystem) -> set[str]:
    handler = _fsspec(filesystem)
    if handler is None:
        return {filesystem.type_name}
    return {handler.protocol} if isinstance(handler.protocol, str) else set(handler.protocol)


def _from_arrow(folder: Folder, top: str) -> Iterator[Entry]:
    selector = fs.FileSelector(top, recursive=True, allow_not_found=True)
    for info in folder.filesystem.get_file_info(selector):
        if info.type == fs.FileType.File:
            yield Entry(info.path[len(folder.path) + 1 :], info.size, str(info.mtime_ns))


def _from_fsspec(folder: Folder, top: str) -> Iterator[Entry]:
    """List with fsspec itself: PyArrow's view of it has no entity tag and often no time."""
    _forget_listings(folder)
    root = folder.path.strip("/")
    for path, details in _fsspec(folder.filesystem).find(top, detail=True).items():
        if details["type"] != "file":
            continue
        version = next((details[key] for key in VERSIONS if details.get(key) is not None), None)
        name = path.strip("/")[len(root) + 1 :]
        yield Entry(name, details["size"] or 0, None if version is None else str(version))


def _forget_listings(folder: Folder) -> None:
    """Drop what fsspec remembers of a filesystem: other processes write there, too."""
    handler = _fsspec(folder.filesystem)
    if handler is not None:
        handler.invalidate_cache()


@contextmanager
def _reached(folder: Folder) -> Iterator[None]:
    """Turn an error of the filesystem into a sentence that names the folder."""
    try:
        yield
    except OSError as error:
        raise BatchError(f"{folder} cannot be read: {reason(error)}.") from None
