"""Entry point of `python -m service` and of `softmax-service`."""

from __future__ import annotations

import os
import signal
import sys
from difflib import get_close_matches
from importlib import import_module

if __name__ == "__main__":
    # during the imports, Ctrl-C would end the process with a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

if sys.version_info < (3, 11):  # noqa: UP036  a plain python may be older than those that the package accepts
    sys.exit(f"softmax-service: needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}")

try:
    from service.command_line import read_settings, variable
    from service.formats import codecs
    from service.schemas.service import NAME
    from service.server.files import read_secrets
    from service.server.listen import listening
    from service.server.server import serve
    from service.server.supervisor import Supervisor
    from service.settings import Settings
except ModuleNotFoundError as missing:
    sys.exit(
        f"softmax-service: {sys.executable} has no package {missing.name}; "
        "start the service with: make run, or .venv/bin/python -m service"
    )

EXPORTER = "opentelemetry-exporter-otlp-proto-http"
"""Package of the extra `tracing`, which a registry has."""

TELEMETRY = {"tracing": "TRACES", "otlp_metrics": "METRICS"}
"""Settings of OpenTelemetry, with their name in its variables."""


def main() -> None:
    """Serve until a signal. End the process with one line if it cannot start."""
    settings = read_settings(sys.argv[1:])
    if os.environ.get(codecs.VARIABLE, "auto") not in codecs.PREFERENCES:
        sys.exit(f"{NAME}: {codecs.VARIABLE} must be one of {', '.join(codecs.PREFERENCES)}")
    warn_of_unknown_variables()
    for name, kind in TELEMETRY.items():
        if getattr(settings, name):
            check_telemetry(name, kind)
    try:
        read_secrets(settings)
    except ValueError as error:
        sys.exit(f"{NAME}: {error}")
    with listening(settings) as listeners:
        if settings.workers > 1:
            sys.exit(Supervisor(settings, listeners).run())
        serve(settings, listeners)


def check_telemetry(name: str, kind: str) -> None:
    """End the process with one line if no exporter is installed. Warn if it has no endpoint.

    name: the setting. kind: its name in the variables of OpenTelemetry.
    """
    try:
        import_module("opentelemetry.exporter.otlp.proto.http")
    except ImportError:
        sys.exit(f"{NAME}: {name}: no OpenTelemetry exporter is installed; run: pip install {EXPORTER}")
    if not any(os.environ.get(f"OTEL_EXPORTER_OTLP_{part}ENDPOINT") for part in ("", f"{kind}_")):
        sys.stderr.write(
            f"{NAME}: {name}: nothing is exported; set OTEL_EXPORTER_OTLP_ENDPOINT to the address of a collector\n"
        )


def warn_of_unknown_variables() -> None:
    """Warn of SOFTMAX_* variables that are not settings: a cluster may set some, so they are not errors."""
    known = [*map(variable, Settings.model_fields), codecs.VARIABLE]
    for name in sorted(os.environ.keys() - set(known)):
        if name.startswith("SOFTMAX_"):
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            sys.stderr.write(f"{NAME}: {name} is not a setting{hint}\n")


if __name__ == "__main__":
    main()
