"""Test that the manifests of Ray agree with each other and with the tested versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

from service import __version__
from tests.ray.cluster import VARIABLES

FOLDER = Path(__file__).parents[2] / "deploy/ray"


def read(name: str) -> dict[str, Any]:
    """Return a manifest."""
    manifest: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return manifest


@pytest.fixture
def cluster() -> dict[str, Any]:
    """Return the Ray cluster of the RayService."""
    config: dict[str, Any] = read("rayservice.yaml")["spec"]["rayClusterConfig"]
    return config


def templates(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the pods of a cluster."""
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")
def test_ray_reads_every_field_and_changes_none() -> None:
    from ray.serve.schema import ServeDeploySchema  # noqa: PLC0415 - its import warns

    config = read("serve.yaml")
    understood = ServeDeploySchema.model_validate(config).model_dump(exclude_unset=True, mode="json")
    assert understood == config


def test_the_rayservice_serves_what_serve_yaml_does() -> None:
    config = read("serve.yaml")
    assert config["http_options"].pop("host") == "127.0.0.1"
    served = yaml.safe_load(read("rayservice.yaml")["spec"]["serveConfigV2"])
    assert served["http_options"].pop("host") == "0.0.0.0"  # noqa: S104 - the network policy guards it
    assert served == config


def test_the_cluster_runs_the_versions_that_are_tested(cluster: dict[str, Any]) -> None:
    assert cluster["rayVersion"] == ray.__version__
    images = {container["image"] for template in templates(cluster) for container in template["containers"]}
    assert images == {f"softmax-service-ray:{__version__}"}


def test_every_pod_has_the_variables_of_the_tests(cluster: dict[str, Any]) -> None:
    for template in templates(cluster):
        (container,) = template["containers"]
        assert {each["name"]: each["value"] for each in container["env"]} == VARIABLES


def test_the_workers_have_room_for_all_replicas(cluster: dict[str, Any]) -> None:
    (application,) = read("serve.yaml")["applications"]
    (deployment,) = application["deployments"]
    replicas, cores = deployment["autoscaling_config"], deployment["ray_actor_options"]["num_cpus"]
    (workers,) = cluster["workerGroupSpecs"]
    (container,) = workers["template"]["spec"]["containers"]
    each = int(container["resources"]["limits"]["cpu"]) // cores
    assert workers["maxReplicas"] * each == replicas["max_replicas"]
    assert workers["minReplicas"] >= replicas["min_replicas"] == 2
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_no_pod_runs_as_root_or_may_become_it(cluster: dict[str, Any]) -> None:
    for template in templates(cluster):
        assert template["securityContext"]["runAsNonRoot"]
        for container in template["containers"]:
            assert not container["securityContext"]["allowPrivilegeEscalation"]
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_a_token_guards_dashboard_and_gcs(cluster: dict[str, Any]) -> None:
    assert cluster["authOptions"] == {"mode": "token"}


def test_the_policy_guards_every_pod_and_names_ports_they_have(cluster: dict[str, Any]) -> None:
    policy = read("network-policy.yaml")["spec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        assert group["template"]["metadata"]["labels"] == policy["podSelector"]["matchLabels"]
    ports = {
        port["name"] for template in templates(cluster) for each in template["containers"] for port in each["ports"]
    }
    opened = {port["port"] for rule in policy["ingress"] for port in rule.get("ports", [])}
    assert opened <= ports
    # Ray's own ports are open to its own pods only
    own = [rule for rule in policy["ingress"] if "ports" not in rule]
    assert own == [{"from": [{"podSelector": policy["podSelector"]}]}]


def test_the_metrics_of_every_node_are_scraped(cluster: dict[str, Any]) -> None:
    monitor = read("pod-monitor.yaml")["spec"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    for template in templates(cluster):
        (container,) = template["containers"]
        assert endpoint["port"] in {port["name"] for port in container["ports"]}
    assert monitor["selector"] == read("network-policy.yaml")["spec"]["podSelector"]


def test_the_image_starts_from_the_ray_that_is_tested(cluster: dict[str, Any]) -> None:
    dockerfile = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    assert f"RAY_IMAGE=rayproject/ray:{ray.__version__}-py311-cpu\n" in dockerfile
    (template, *_) = templates(cluster)
    assert f"USER {template['securityContext']['runAsUser']}:" in dockerfile
