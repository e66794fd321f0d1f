"""Clients of an application in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from service.app import create_app
from service.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

JSON = {"Content-Type": "application/json"}


def connect(app: FastAPI | None = None, **settings: Any) -> httpx.AsyncClient:
    """A client of that application, or of a new one with those settings; a crash inside is a reply like any other."""
    app = app or create_app(Settings(**settings))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")
