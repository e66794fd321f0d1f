"""python -m tests.kubernetes.generated: write the PrometheusRule from the rules of Prometheus."""

from __future__ import annotations

from pathlib import Path

import yaml

FOLDER = Path(__file__).parents[2] / "deploy/prometheus"
TARGET = FOLDER / "prometheus-rule.yaml"

HEAD = """\
# Generated from alerts.yaml; a test compares them.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: softmax-service
  labels:
    app.kubernetes.io/name: softmax-service
"""


def prometheus_rule() -> str:
    """Return the PrometheusRule with the rules of alerts.yaml."""
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))
    return HEAD + yaml.safe_dump({"spec": rules}, sort_keys=False, width=120)


if __name__ == "__main__":
    TARGET.write_text(prometheus_rule(), "utf-8")
