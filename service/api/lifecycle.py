"""Acceptance of requests, until the process has drained."""

from __future__ import annotations

from service.errors import Draining


class Lifecycle:
    """Acceptance of requests: the process is leaving or not, and the operations it still has to answer.

    leaving: /readyz answers 503, and each response closes its connection. Requests are still accepted for
    `drain_seconds`, because a load balancer needs time to notice.
    refusing: new operations are rejected, while those in progress are finished.
    taken: operations in progress. told: a client was told to connect again.
    """

    def __init__(self) -> None:
        self.leaving = False
        self.refusing = False
        self.taken = 0
        self.told = False

    def begin(self) -> None:
        """Count an operation that is to be answered, if only with a refusal."""
        self.taken += 1

    def check(self) -> None:
        """Raise Draining if operations are not accepted any more."""
        if self.refusing:
            raise Draining

    def end(self) -> None:
        """Count an operation that is answered."""
        self.taken -= 1
        self.told = self.leaving
