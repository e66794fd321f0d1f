"""Only requests for names that are ours are answered, so that a page of another site cannot rebind its name to this service."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from service.api import problems
from service.api.exchange import Exchange
from service.errors import UntrustedHost

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from service.api.runtime import Runtime

PROBED = ("/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready")
"""Paths that a cluster asks for by address."""


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
        exchange = Exchange(scope, receive, send, self.runtime.lifecycle)
        host = _hostname(exchange.header(b"host") or "")
        if host in self.names or host.endswith(self.suffixes) or scope["path"] in PROBED:
            await self.app(scope, receive, send)
        else:
            await problems.refuse(exchange, UntrustedHost("The header Host names no host that is served here."))
            self.runtime.record(exchange)


def _hostname(host: str) -> str:
    """The name in the header Host, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
