"""Parsing of request heads: the request line and the header fields (RFC 9112, 2 to 6)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httptools

from service.errors import MalformedHeader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_HEADER_BYTES = 2**16
"""Largest request head, in bytes."""

MAX_TARGET_BYTES = 2**13
"""Longest path with its query string, in bytes (RFC 9112, 3, asks for 8,000). A query of 64 KiB took 27 ms to parse."""

MAX_HEADERS = 2**8
"""Most header fields of a request. A head of 7,000 short ones took 11 ms of the event loop."""

MAX_KEPT_HEADERS = 2**6
"""Most headers of a head that is kept for the next request; each takes about 210 bytes once it is parsed."""

HEAD_END = b"\r\n\r\n"

VERSIONS = (b" HTTP/1.1", b" HTTP/1.0")

_START = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?: |\Z)")
"""Beginning of a request line: the method, followed by a space unless the rest has not arrived."""

_ABSOLUTE_FORM = re.compile(rb"https?://([^/?]+)", re.IGNORECASE)

NOT_HTTP = (
    f"Send HTTP/1.1, with a first line and at most {MAX_HEADERS} headers, of at most {MAX_HEADER_BYTES} bytes in all."
)

NOT_ENCODED = "Begin the request target with a slash, percent-encode it, and leave a fragment out."

REMEDIES = {
    httptools.HttpParserInvalidMethodError: "Send a method that HTTP defines, in capital letters.",
    httptools.HttpParserInvalidURLError: NOT_ENCODED,
}
"""Remedies for some errors of the parser."""


@dataclass(frozen=True)
class RequestHead:
    """A valid request head.

    method: "" for a head that could not be parsed.
    path: still percent-encoded; "*" for `OPTIONS *`, "/" for CONNECT.
    headers: names in lower case, values without surrounding whitespace.
    content_length: None for a chunked body.
    known: what the application remembers of the head.
    connection: the part of the ASGI scope that the connection decides.
    """

    method: str = ""
    path: bytes = b"/"
    query: bytes = b""
    http_version: str = "1.1"
    headers: Sequence[tuple[bytes, bytes]] = ()
    content_length: int | None = 0
    keep_alive: bool = False
    expects_continue: bool = False
    known: dict[Any, Any] = field(default_factory=dict)
    connection: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def scope(self) -> Mapping[str, Any]:
        """The part of the ASGI scope that all requests with this head on the connection share."""
        path = self.path.decode("ascii")
        return {
            **self.connection,
            "http_version": self.http_version,
            "method": self.method,
            "path": unquote(path) if "%" in path else path,
            "raw_path": self.path,
            "query_string": self.query,
            "headers": tuple(self.headers),
        }


class _HeadParser:
    """The parser of one head, and what it found."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self.method = self.version = ""
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.keep_alive = False
        self.heads = 0

    def feed(self, data: bytes) -> None:
        """Parse a head. Raise MalformedHeader if it is invalid."""
        # the parser reads RTSP and ICE too
        is_http = data.partition(b"\r\n")[0].endswith(VERSIONS)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # Upgrade is ignored, RFC 9110, 7.8
        except httptools.HttpParserError as error:
            raise MalformedHeader(REMEDIES.get(type(error), NOT_HTTP) if is_http else NOT_HTTP) from None
        finally:
            # it refers to this object
            del self._parser
        if self.heads != 1 or not is_http:
            raise MalformedHeader(NOT_HTTP)

    def on_url(self, target: bytes) -> None:
        self.target = target

    def on_header(self, name: bytes, value: bytes) -> None:
        # the parser leaves whitespace behind a value
        self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.heads += 1
        self.method = self._parser.get_method().decode("ascii")
        self.version = self._parser.get_http_version()
        self.keep_alive = self._parser.should_keep_alive()

    def on_body(self, _: bytes) -> None:
        """Take note that the parser found the end of the head before HEAD_END."""
        self.heads += 1


def check_start(data: bytes) -> None:
    """Raise MalformedHeader if `data`, the beginning of a head, cannot become a valid one."""
    _check_size(data)
    if (data and not _START.match(data)) or data.count(b"\n") != data.count(b"\r\n"):
        raise MalformedHeader(NOT_HTTP)


def _check_size(data: bytes) -> None:
    # the first line and the empty one have a line end too
    if len(data) > MAX_HEADER_BYTES or data.count(b"\n") > MAX_HEADERS + 2:
        raise MalformedHeader(NOT_HTTP)


def parse_head(data: bytes, connection: Mapping[str, Any]) -> RequestHead:
    """Parse a whole request head, its empty line included. Raise MalformedHeader if it is invalid."""
    _check_size(data)
    head = _HeadParser()
    head.feed(data)
    headers = head.headers
    # httptools checks neither the target nor how the body is framed; the application checks Host
    if len(head.target) > MAX_TARGET_BYTES:
        raise MalformedHeader(f"Send a path and a query string of at most {MAX_TARGET_BYTES} bytes.")
    is_http_1_1 = head.version == "1.1"
    path, authority = _split_target(head.method, head.target)
    if authority is not None:
        # RFC 9112, 3.2.2: the target replaces Host
        headers = [(name, authority if name == b"host" else value) for name, value in headers]
    values = dict(headers)
    path, _, query = path.partition(b"?")
    return RequestHead(
        head.method,
        path,
        query,
        head.version,
        headers,
        _content_length(headers, values, is_http_1_1=is_http_1_1),
        is_http_1_1 and head.keep_alive and head.method != "CONNECT",
        is_http_1_1 and values.get(b"expect", b"").lower() == b"100-continue",
        connection=connection,
    )


def _split_target(method: str, target: bytes) -> tuple[bytes, bytes | None]:
    """Return the path with its query, and the authority of a target in absolute form."""
    if method == "CONNECT":
        return b"/", None
    if b"#" in target:
        raise MalformedHeader(NOT_ENCODED)
    if target.startswith(b"/") or (target == b"*" and method == "OPTIONS"):
        return target, None
    match = _ABSOLUTE_FORM.match(target)
    if match is None:
        raise MalformedHeader("Send a request target that starts with a slash.")
    rest = target[match.end() :]
    return (rest if rest.startswith(b"/") else b"/" + rest), match[1]


def _content_length(headers: list[tuple[bytes, bytes]], values: dict[bytes, bytes], *, is_http_1_1: bool) -> int | None:
    """Return the length of the body, None if it is chunked. The parser checked Content-Length."""
    if b"transfer-encoding" not in values:
        # leading zeros: int() reads at most 4300 digits
        return int(values.get(b"content-length", b"").lstrip(b"0") or 0)
    codings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    if not is_http_1_1 or codings != [b"chunked"]:
        raise MalformedHeader("Send a body with Content-Length, or with Transfer-Encoding: chunked in HTTP/1.1.")
    return None
