"""One line for each request on stdout, whatever else there is to say on stderr."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from service.formats.json_encode import dumps

if TYPE_CHECKING:
    from service.api.context import RequestContext
    from service.settings import Settings

requests = logging.getLogger("service.requests")
"""Takes the line of a request, as a dictionary."""


def note(context: RequestContext, seconds: float) -> None:
    """Logs a request that is answered."""
    if requests.isEnabledFor(logging.INFO):
        # `info` would first look up the stack for whoever calls it
        requests.handle(logging.LogRecord(requests.name, logging.INFO, "", 0, line(context, seconds), (), None))


def line(context: RequestContext, seconds: float) -> dict[str, Any]:
    """What is logged of a request: nothing of its body, nor its key."""
    return {
        "message": f"{context.method} {context.route} {context.status}",
        "method": context.method,
        "route": context.route,
        "status": context.status,
        "duration_ms": round(seconds * 1e3, 3),
        "bytes_in": context.bytes_in,
        "bytes_out": context.bytes_out,
        "rows": context.rows,
        "request_id": context.request_id,
        "trace_id": context.trace_id,
    }


class JSONLines(JsonFormatter):
    """A JSON object in a line."""

    def __init__(self) -> None:
        super().__init__(
            ["levelname", "message"],
            rename_fields={"levelname": "level"},
            timestamp="time",
            reserved_attrs=[*RESERVED_ATTRS, "color_message"],
        )

    def format(self, record: logging.LogRecord) -> str:
        """The line; that of a request in half the time, since its fields are known."""
        if isinstance(record.msg, dict):
            time = datetime.fromtimestamp(record.created, UTC).isoformat()
            return dumps({"level": record.levelname, **record.msg, "time": time}).decode()
        return super().format(record)


class TextLines(logging.Formatter):
    """A line to be read by a person."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-8s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """The line; of a request the fields that it has."""
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
    """The configuration for `logging.config.dictConfig`."""

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
