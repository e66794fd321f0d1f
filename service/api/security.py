"""API keys (RFC 6750) and trusted hosts."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from service.api import problems
from service.api.context import RequestContext
from service.errors import Unauthenticated, UntrustedHost

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from service.api.runtime import Runtime

PROBED = ("/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready")
"""Paths that a cluster asks for by address."""


class Keys:
    """The keys that are known, of which any one will do; none leaves the service open."""

    def __init__(self, keys: Iterable[str]) -> None:
        # digests are of one length, so that comparing tells nothing of a key
        self._digests = [sha256(key.encode()).digest() for key in keys]

    def check(self, authorization: str | None) -> None:
        """Raises Unauthenticated unless the header holds a key that is known."""
        if not self._digests:
            return
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("Show a key of this service in the header Authorization: Bearer KEY.")
        digest = sha256(token.strip(" ").encode("latin-1")).digest()
        # every key is compared: the time taken does not tell which one was near
        if sum(compare_digest(digest, known) for known in self._digests) == 0:
            raise Unauthenticated("The key is not one that this service knows.")


class TrustedHosts:
    """ASGI middleware: refuses a request whose header Host is not one of some names; `*.example.org` is any subdomain."""

    def __init__(self, app: ASGIApp, names: Iterable[str], runtime: Runtime) -> None:
        self.app = app
        self.runtime = runtime
        names = [name.lower().strip("[]") for name in names]
        self.names = frozenset(names)
        self.suffixes = tuple(name[1:] for name in names if name.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or refuses it."""
        context = RequestContext(scope, receive, send, self.runtime.lifecycle)
        host = _hostname(context.header(b"host") or "")
        if host in self.names or host.endswith(self.suffixes) or scope["path"] in PROBED:
            await self.app(scope, receive, send)
        else:
            await problems.refuse(context, UntrustedHost("The header Host names no host that is served here."))
            self.runtime.record(context)


def _hostname(host: str) -> str:
    """The name in the header Host, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
