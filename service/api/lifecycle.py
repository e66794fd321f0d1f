"""Acceptance of operations, until the process has drained."""

from __future__ import annotations


class Lifecycle:
    """Acceptance of operations by a process, and the number of those it has still to answer.

    leaving: /readyz answers 503, and each response closes its connection. Requests are still accepted for
    `drain_seconds`, because a load balancer needs time to notice.
    refusing: new operations are rejected, while those in progress are finished.
    in_progress: accepted operations without an answer.
    closed_a_connection: the latest answer closed its connection, so that its client will connect again.
    """

    def __init__(self) -> None:
        self.leaving = False
        self.refusing = False
        self.in_progress = 0
        self.closed_a_connection = False
