"""The log: a line for each request on stdout, everything else on stderr."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from service.api.security import PROBED
from service.formats.json_encode import dumps

if TYPE_CHECKING:
    from service.api.context import RequestContext
    from service.api.security import Proxies
    from service.settings import Settings

requests = logging.getLogger("service.requests")
"""The logger of requests. Its messages are dictionaries."""


def log_request(context: RequestContext, seconds: float, proxies: Proxies) -> None:
    """Log a request after its response: probes at DEBUG unless they fail, any other at INFO."""
    is_probe = context.route in PROBED and context.status < HTTPStatus.BAD_REQUEST
    level = logging.DEBUG if is_probe else logging.INFO
    if requests.isEnabledFor(level):
        # `log` would first look up the stack of its caller
        requests.handle(logging.LogRecord(requests.name, level, "", 0, line(context, seconds, proxies), (), None))


def line(context: RequestContext, seconds: float, proxies: Proxies) -> dict[str, Any]:
    """Return the fields that the log has of a request: nothing of its body, and no key."""
    return {
        # the path may have no route, and a malformed head no method
        "message": " ".join(filter(None, (context.method, context.route, str(context.status)))),
        "method": context.method,
        "route": context.route,
        "status": context.status,
        "duration_ms": round(seconds * 1e3, 3),
        "bytes_in": context.bytes_in,
        "bytes_out": context.bytes_out,
        "rows": context.rows,
        "client": proxies.client(context.peer, context.header(b"x-forwarded-for")),
        "key_id": context.key_id,
        "request_id": context.request_id,
        "trace_id": context.trace_id,
    }


class JSONLines(JsonFormatter):
    """Formatter of log lines as JSON objects."""

    def __init__(self) -> None:
        super().__init__(
            ["levelname", "message"],
            rename_fields={"levelname": "level"},
            timestamp="time",
            reserved_attrs=[*RESERVED_ATTRS, "color_message"],
        )

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. A request has known fields, and takes half the time."""
        if isinstance(record.msg, dict):
            time = datetime.fromtimestamp(record.created, UTC).isoformat()
            return dumps({"level": record.levelname, **record.msg, "time": time}).decode()
        return super().format(record)


class TextLines(logging.Formatter):
    """Formatter of log lines for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-8s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without the fields of a request that are None."""
        if isinstance(record.msg, dict):
            line = {name: value for name, value in record.msg.items() if value is not None}
            record = logging.makeLogRecord(
                {
                    **record.__dict__,
                    "msg": "%s  %s",
                    "args": (line.pop("message"), " ".join(f"{name}={value}" for name, value in line.items())),
                }
            )
        return super().format(record)


def configuration(settings: Settings) -> dict[str, Any]:
    """Return the configuration for `logging.config.dictConfig`."""

    def handler(stream: str) -> dict[str, Any]:
        terminal = getattr(sys, stream).isatty()
        text = settings.log_format == "text" or (settings.log_format == "auto" and terminal)
        return {
            "class": "logging.StreamHandler",
            "stream": f"ext://sys.{stream}",
            "formatter": "text" if text else "json",
        }

    level = settings.log_level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JSONLines}, "text": {"()": TextLines}},
        "handlers": {"stdout": handler("stdout"), "stderr": handler("stderr")},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            requests.name: {"handlers": ["stdout"], "level": level, "propagate": False},
            # uvicorn sets its own level
            "uvicorn.error": {"level": level},
        },
    }
