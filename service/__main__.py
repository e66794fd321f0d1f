"""python -m service: settings from flags and variables, then serve."""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from importlib import import_module

from pydantic import ValidationError

from service.server.config import PROGRAM, check_certificate
from service.server.server import serve
from service.server.supervisor import Supervisor
from service.settings import Settings


def main() -> None:
    """Serve until a signal. End the process with one line if a setting is invalid."""
    try:
        settings = Settings(_cli_parse_args=True, _cli_prog_name=PROGRAM)
    except ValidationError as error:
        first = error.errors()[0]
        names = [str(part) for part in first["loc"] if isinstance(part, str)]
        sys.exit(": ".join([PROGRAM, *names[:1], first["msg"].removeprefix("Value error, ")]))
    warn_of_unknown_variables()
    if settings.tracing:
        os.environ.setdefault("OTEL_SERVICE_NAME", PROGRAM)
        check_tracing()
    check_certificate(settings)
    if settings.workers > 1:
        sys.exit(Supervisor(settings).run())
    serve(settings)


def check_tracing() -> None:
    """End the process with one line if no exporter of traces is installed. Warn if it has no address."""
    try:
        import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError:
        sys.exit(f"{PROGRAM}: tracing: nothing exports traces; install the extra: pip install '{PROGRAM}[tracing]'")
    if not any(os.environ.get(f"OTEL_EXPORTER_OTLP_{name}ENDPOINT") for name in ("", "TRACES_")):
        sys.stderr.write(
            f"{PROGRAM}: tracing: OTEL_EXPORTER_OTLP_ENDPOINT does not say where to; nothing is exported\n"
        )


def warn_of_unknown_variables() -> None:
    """Warn of SOFTMAX_* variables that are not settings. A cluster may set some by itself, so they are not errors."""
    known = [f"SOFTMAX_{name.upper()}" for name in Settings.model_fields]
    for name in sorted(os.environ.keys() - set(known)):
        if name.startswith("SOFTMAX_"):
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            sys.stderr.write(f"{PROGRAM}: {name} is not a setting{hint}\n")


if __name__ == "__main__":
    main()
