"""Test every output against the formulas in many digits, within the table of bounds."""

from __future__ import annotations

import pytest

from tests.operations import sweep
from tests.operations.bounds import BOUNDS

# coverage would double the time of these tests, and others reach nearly the same lines
pytestmark = pytest.mark.no_cover


def assert_within(parts: dict[str, float]) -> None:
    """Assert that no output is further off than its bound."""
    assert {name: part for name, part in parts.items() if part > 1.0} == {}


@pytest.mark.parametrize("kind", sweep.REQUESTS)
@pytest.mark.parametrize("rows", sweep.ROWS)
def test_every_output_is_within_its_bound(rows: str, kind: str) -> None:
    # The command measures every temperature with every kind and family.
    turn = list(sweep.ROWS).index(rows) + list(sweep.REQUESTS).index(kind)
    assert_within(sweep.small(rows, kind, sweep.TEMPERATURES[turn % len(sweep.TEMPERATURES)]).parts())


@pytest.mark.parametrize("reduction", ["sum", "mean", "none"])
@pytest.mark.parametrize("temperature", [1e-6, 3.0])
def test_every_output_of_a_layer_is_within_its_bound(temperature: float, reduction: str) -> None:
    assert_within(sweep.layer(temperature, reduction).parts())


@pytest.mark.parametrize("rows", ["N(0, 1)", "equal", "gap 38"])
@pytest.mark.parametrize("classes", [1, 2, 63, 64, 65, 127, 1000])
def test_rows_of_any_length_are_within_their_bounds(classes: int, rows: str) -> None:
    assert_within(sweep.long(classes, rows).parts())


@pytest.mark.parametrize("count", [1, 1000, 65_537])
def test_sums_over_many_rows_are_within_their_bounds(count: int) -> None:
    assert_within(sweep.repeated(count))


def test_every_bound_is_reached_by_some_request() -> None:
    probes = [sweep.small("N(0, 1)", kind, 1.0) for kind in sweep.REQUESTS] + [sweep.layer(1.0, "mean")]
    assert {name for probe in probes for name in probe.outputs} == set(BOUNDS)
