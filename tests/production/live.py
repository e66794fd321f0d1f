"""Request /livez until the end of the input, then print the seconds of each: `python -m tests.production.live ADDRESS`.

An empty line is printed at the start. The program runs in its own process, so that it measures the server and not the
other clients of the test.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from urllib.parse import urlsplit

PAUSE_SECONDS = 0.01


def main() -> None:
    """Measure until the input ends."""
    url = urlsplit(sys.argv[1])
    client = http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)
    stop = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait_for_the_end).start()
    seconds = []
    sys.stdout.write("\n")
    sys.stdout.flush()
    while not stop.wait(PAUSE_SECONDS):
        start = time.perf_counter()
        client.request("GET", "/livez")
        with client.getresponse() as reply:
            reply.read()
        if reply.status != 200:
            sys.exit(f"/livez answers {reply.status}")
        seconds.append(time.perf_counter() - start)
    json.dump(seconds, sys.stdout)


if __name__ == "__main__":
    main()
