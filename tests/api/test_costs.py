"""What a small request costs from its headers to its reply, in calls of functions, as on every machine."""

from __future__ import annotations

from bench.instructions import everything
from tests.operations.test_costs import calls


def test_a_small_request_takes_few_calls_of_functions() -> None:
    assert calls(everything()) <= 150
