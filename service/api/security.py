"""API keys (RFC 6750), trusted hosts, origins of pages, and proxies that are trusted to name the client."""

from __future__ import annotations

import re
from hashlib import sha256
from hmac import compare_digest
from ipaddress import ip_address
from typing import TYPE_CHECKING

from service.errors import InvalidHost, RefusedPreflight, Unauthenticated, UntrustedHost

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from ipaddress import IPv4Network, IPv6Network

    from service.errors import ServiceError

PROBED = frozenset({"/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
"""Paths that a cluster asks for by address; they accept every valid host."""

MAX_HOST_BYTES = 2**8
"""Longest host with its port, in bytes; a name has at most 253 (RFC 1035, 3.1)."""

HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]*)(?::[0-9]{0,5})?")
"""A host name or an address, and maybe a port (RFC 9110, 7.2). No user name, and no list."""

MAX_PROXIES = 16
"""Longest chain of proxies in X-Forwarded-For."""

RawHeader = tuple[bytes, bytes]

EXPOSED: RawHeader = (
    b"access-control-expose-headers",
    b"X-Request-ID, Server-Timing, Retry-After, Inference-Header-Content-Length",
)
"""The response headers that a page of another origin may read."""

VARY: RawHeader = (b"vary", b"Origin")

PREFLIGHT = frozenset({b"origin", b"access-control-request-method"})
"""The headers of a preflight."""

ID_DIGITS = 8
"""Hexadecimal digits of the public id of a key."""


class Keys:
    """The API keys. Without keys the service is open."""

    def __init__(self, keys: Iterable[str]) -> None:
        # digests have one length, so that the comparison says nothing of a key
        digests = [sha256(key.encode()) for key in keys]
        self._ids = {digest.digest(): digest.hexdigest()[:ID_DIGITS] for digest in digests}

    def check(self, authorization: str | None) -> str | None:
        """Return the public id of the key in the header, None if the service is open. Raise Unauthenticated."""
        if not self._ids:
            return None
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("Send a key of this service in the header Authorization: Bearer KEY.")
        digest = sha256(token.strip(" ").encode("latin-1")).digest()
        # every key is compared, so that the time says nothing of a key
        found = [name for known, name in self._ids.items() if compare_digest(digest, known)]
        if not found:
            raise Unauthenticated(
                "The key is not one that this service knows.", (("Authorization",), "has an unknown key")
            )
        return found[0]


class Proxies:
    """The proxies that are trusted to name the client in X-Forwarded-For."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)

    def client(self, peer: str | None, forwarded_for: str | None) -> str | None:
        """Return the address of the client: the last one in the list that is not a trusted proxy.

        peer: the address that connected; None for a Unix socket, whose clients are trusted.
        """
        if forwarded_for is None or not (peer is None or self._trusts(peer)):
            return peer
        client = peer
        for item in reversed(forwarded_for.rsplit(",", MAX_PROXIES)[-MAX_PROXIES:]):
            address = item.strip()
            if not _is_address(address):
                break
            client = address
            if not self._trusts(address):
                break
        return client

    def _trusts(self, address: str) -> bool:
        return _is_address(address) and any(ip_address(address) in network for network in self._networks)


def _is_address(text: str) -> bool:
    # the zone of an IPv6 address is any text, which the log would repeat
    if "%" in text:
        return False
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class Hosts:
    """The values of the header Host that are answered; `*.example.org` means every subdomain."""

    def __init__(self, names: Iterable[str]) -> None:
        names = [name.lower() for name in names]
        self._all = "*" in names
        self._names = frozenset(names)
        self._suffixes = tuple(name[1:] for name in names if name.startswith("*."))

    def check(self, host: bytes | None, http_version: str, path: str) -> None:
        """Raise InvalidHost unless there is one valid host, UntrustedHost unless it is one of the names.

        host: the value of the header. A repeated header is a list, and not valid. Only HTTP/1.1 requires the header.
        """
        if host is None:
            host = b"," if http_version == "1.1" else b""
        error = self._error(host)
        if error is not None and (error is InvalidHost or path not in PROBED):
            raise error

    def _error(self, host: bytes) -> type[ServiceError] | None:
        match = HOST.fullmatch(host)
        if match is None or len(host) > MAX_HOST_BYTES:
            return InvalidHost
        name = match[1].decode().lower()
        if self._all or name in self._names or (name.endswith(self._suffixes) and not name.startswith(".")):
            return None
        return UntrustedHost


class Origins:
    """The origins whose pages may read responses (https://fetch.spec.whatwg.org/#http-cors-protocol); `*` means all."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(name.encode() for name in names)

    def _allow(self, origin: bytes | None) -> bool:
        return b"*" in self._names or origin in self._names

    def headers(self, origin: bytes | None) -> tuple[RawHeader, ...]:
        """Return the headers of every response, given the header Origin of its request."""
        if not self._names:
            return ()
        if b"*" in self._names:
            # all responses are the same, with and without Origin
            return ((b"access-control-allow-origin", b"*"), EXPOSED)
        if origin is None or not self._allow(origin):
            return (VARY,)
        return ((b"access-control-allow-origin", origin), EXPOSED, VARY)

    def is_preflight(self, method: str, headers: Mapping[bytes, bytes]) -> bool:
        """Return whether a browser asks what a page may send. Without origins no request does."""
        return bool(self._names) and method == "OPTIONS" and headers.keys() >= PREFLIGHT

    def preflight(self, headers: Mapping[bytes, bytes]) -> list[RawHeader]:
        """Return the headers that only the response to a preflight has. Raise RefusedPreflight."""
        refused = ""
        if not self._allow(headers[b"origin"]):
            refused = "Origin"
        elif headers[b"access-control-request-method"] not in (b"GET", b"POST"):
            refused = "Access-Control-Request-Method"
        elif b"access-control-request-private-network" in headers:
            refused = "Access-Control-Request-Private-Network"
        if refused:
            detail = "Send GET or POST, from a page whose origin is one of cors_origins."
            raise RefusedPreflight(detail, ((refused,), "is not allowed"))
        return [
            (b"access-control-allow-methods", b"GET, POST"),
            (b"access-control-allow-headers", headers.get(b"access-control-request-headers", b"")),
            (b"access-control-max-age", b"600"),
        ]
