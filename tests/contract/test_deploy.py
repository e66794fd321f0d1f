"""Test that the dashboard and the alert rules use only metrics and labels of the service."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service.api.observability.metrics import SECONDS
from tests.bodies import BODY, JSON
from tests.connections import application, connect

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
ALERTS: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))
EVERY_RULE: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
RULES = [rule for rule in EVERY_RULE if "alert" in rule]
RECORDED = {rule["record"] for rule in EVERY_RULE if "record" in rule}
"""Names of the results of recording rules."""

SCRAPED = {"job", "instance"}
"""Labels that Prometheus adds to scraped metrics."""

OWN = {"up"}
"""Metrics that Prometheus makes."""


def expressions() -> list[str]:
    """Return every query of the dashboard and of the rules."""
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [*panels, *(rule["expr"] for rule in EVERY_RULE)]


def metrics(expression: str) -> set[str]:
    """Return the names of the metrics in a query: every name that is not a label, a function or an operator."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    without_groups = re.sub(r"\bby \([^)]*\)", "", bare)
    without_labels = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", without_groups)
    return set(re.findall(r"[a-z_][a-z_0-9:]*\b(?!\s*\()", without_labels)) - {"and", "or"}


def labels(expression: str) -> set[str]:
    """Return the labels that a query selects and groups by."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    selected = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"\"", bare)
    grouped = [name.strip() for names in re.findall(r"\bby \(([^)]*)\)", bare) for name in names.split(",")]
    return {*selected, *grouped}


@pytest.fixture
async def exported() -> dict[str, set[str]]:
    """Return the labels of every metric that the service exports, after each was used."""
    app = application(max_bytes_in_flight=100, max_body_bytes=100)
    async with connect(app) as client:
        await client.post("/softmax", content=BODY, headers=JSON)
        app.runtime.lifecycle.refusing = True
        await client.post("/softmax", content=BODY, headers=JSON)
        await client.get("/livez")
        text = (await client.get("/metrics")).text
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("expression", expressions())
async def test_a_query_asks_for_metrics_and_labels_that_are_exported(
    exported: dict[str, set[str]], expression: str
) -> None:
    named = metrics(expression)
    assert named
    assert named - OWN - RECORDED <= set(exported)
    known = SCRAPED.union(*(exported[name] for name in named - OWN - RECORDED))
    assert labels(expression) <= known


@pytest.mark.parametrize("expression", expressions())
def test_a_query_closes_what_it_opens(expression: str) -> None:
    bare = re.sub(r'"[^"]*"', "", expression)
    for opening, closing in ("()", "{}", "[]"):
        assert bare.count(opening) == bare.count(closing)


def test_a_word_is_taken_for_what_it_is() -> None:
    query = 'sum by (le, job) (rate(some_metric_bucket{route=~"/a|b", job!="x"}[5m])) / other_total > 0.5'
    assert metrics(query) == {"some_metric_bucket", "other_total"}
    assert labels(query) == {"le", "job", "route"}


def test_routes_in_queries_are_those_of_the_operations() -> None:
    paths = set(application().operations)
    for expression in expressions():
        for pattern in re.findall(r'route=~"([^"]*)"', expression):
            assert all(re.fullmatch(pattern, path) for path in paths)
            assert not re.fullmatch(pattern, "/livez")


def test_the_texts_of_an_alert_are_complete() -> None:
    for rule in RULES:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"SoftmaxService[A-Z]\w+", rule["alert"])
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        # Prometheus fills in only labels that the query keeps
        for label in re.findall(r"\$labels\.(\w+)", str(rule["annotations"])):
            assert label in SCRAPED | labels(rule["expr"])
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_every_recorded_name_is_used_or_of_a_window() -> None:
    used = set().union(*(metrics(rule["expr"]) for rule in RULES))
    assert {name for name in RECORDED - used if not name.endswith("3d")} == set()
    assert len(RECORDED) == len([rule for rule in EVERY_RULE if "record" in rule])
    for rule in EVERY_RULE:
        if "record" in rule:
            window = re.search(r"\d+[mhd]$", rule["record"])
            assert window is not None
            assert set(re.findall(r"\[(\w+)\]", rule["expr"])) == {window.group()}


async def test_the_latency_goal_is_an_edge_of_a_bucket(exported: dict[str, set[str]]) -> None:
    assert exported
    edges = {float(edge) for rule in EVERY_RULE for edge in re.findall(r'le="([^"]+)"', rule["expr"])}
    assert edges == {1.0} <= set(SECONDS)


def test_the_panels_of_the_dashboard_do_not_cover_each_other() -> None:
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert {x for x, _ in cells} == set(range(24))
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


async def test_every_metric_is_on_the_dashboard_or_in_an_alert(exported: dict[str, set[str]]) -> None:
    shown = set().union(*map(metrics, expressions()))
    for name in exported:
        if name.startswith(("http_", "softmax_")) and not name.endswith(("_created", "_sum", "_count", "_bucket")):
            assert name in shown, name
