"""python -m service: settings from flags and variables, then serve."""

from __future__ import annotations

import os
import signal
import sys

import uvicorn
from pydantic import ValidationError

from service.settings import Settings


def main() -> None:
    """Serves until it is told to stop. A wrong setting ends it with one line that names it."""
    try:
        settings = Settings(_cli_parse_args=True, _cli_prog_name="softmax-service")
    except ValidationError as error:
        first = error.errors()[0]
        sys.exit(f"softmax-service: {'.'.join(map(str, first['loc']))}: {first['msg']}")
    # uvicorn shuts down in good order, then passes the signal on
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # a worker is a new process, which reads the settings from its environment
    os.environ.update({f"SOFTMAX_{name.upper()}": str(value) for name, value in settings})
    uvicorn.run(
        "service.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_level=settings.log_level,
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
