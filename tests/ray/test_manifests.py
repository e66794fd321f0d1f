"""serve.yaml and rayservice.yaml: what Ray reads from them, and that they agree."""

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
    """A manifest."""
    manifest: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return manifest


@pytest.fixture
def cluster() -> dict[str, Any]:
    """The Ray cluster of the RayService."""
    config: dict[str, Any] = read("rayservice.yaml")["spec"]["rayClusterConfig"]
    return config


def templates(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    """The pods of a cluster."""
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")
def test_ray_reads_every_field_and_changes_none() -> None:
    from ray.serve.schema import ServeDeploySchema  # noqa: PLC0415 - its import warns

    config = read("serve.yaml")
    understood = ServeDeploySchema.model_validate(config).model_dump(exclude_unset=True, mode="json")
    assert understood == config


def test_the_rayservice_serves_what_serve_yaml_does_and_listens_to_others() -> None:
    config = read("serve.yaml")
    assert config["http_options"].pop("host") == "127.0.0.1"
    served = yaml.safe_load(read("rayservice.yaml")["spec"]["serveConfigV2"])
    assert served["http_options"].pop("host") == "0.0.0.0"  # noqa: S104 - the pod is what binds it
    assert served == config


def test_the_cluster_runs_the_ray_and_the_service_that_are_tested(cluster: dict[str, Any]) -> None:
    assert cluster["rayVersion"] == ray.__version__
    images = {container["image"] for template in templates(cluster) for container in template["containers"]}
    assert images == {f"softmax-service-ray:{__version__}"}


def test_every_pod_has_the_variables_of_the_tests(cluster: dict[str, Any]) -> None:
    for template in templates(cluster):
        (container,) = template["containers"]
        assert {each["name"]: each["value"] for each in container["env"]} == VARIABLES


def test_there_is_room_for_as_many_replicas_as_there_may_be_and_no_more(cluster: dict[str, Any]) -> None:
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
