"""Test that the manifests are valid, and agree with the service."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

import service
from deploy.capacity import UTILISATION, memory_bytes
from service import __version__
from service.api.app import create_app, create_metrics_app
from service.settings import Settings
from tests.connections import connect
from tests.kubernetes import generated
from tests.kubernetes.manifests import FOLDER, Manifest, composed, overlay, pod_spec, quantity, validate

OVERLAYS = ("overlays/small", "overlays/production", "kserve")
MANIFESTS = [(name, kind) for name in OVERLAYS for kind in overlay(name)]
WORKLOADS = [(name, kind) for name, kind in MANIFESTS if kind in ("Deployment", "InferenceService")]


def container_of(name: str, kind: str) -> Manifest:
    """Return the only container of a workload."""
    (container,) = pod_spec(overlay(name)[kind])["containers"]
    return dict(container)


def setting(name: str, kind: str, field: str) -> Any:
    """Return a setting of the service as a workload sets it, or its default."""
    variables = {each["name"]: each["value"] for each in container_of(name, kind).get("env", [])}
    value = variables.get(f"SOFTMAX_{field.upper()}", Settings.model_fields[field].default)
    return type(Settings.model_fields[field].default)(value)


@pytest.mark.parametrize(("name", "kind"), MANIFESTS)
def test_every_manifest_is_valid(name: str, kind: str) -> None:
    validate(overlay(name)[kind])


@pytest.mark.parametrize(("name", "kind"), MANIFESTS)
def test_a_field_that_its_kind_does_not_have_is_found(name: str, kind: str) -> None:
    manifest = copy.deepcopy(overlay(name)[kind])
    manifest["spec"]["replica"] = 3
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        validate(manifest)


@pytest.mark.parametrize(("name", "kind"), WORKLOADS)
def test_a_field_that_a_container_does_not_have_is_found(name: str, kind: str) -> None:
    manifest = copy.deepcopy(overlay(name)[kind])
    pod_spec(manifest)["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(manifest)


COMPONENTS = [
    "kubernetes/components/api-keys",
    "kubernetes/components/client-certificates",
    "kubernetes/components/gateway",
    "kubernetes/components/ingress",
    "kubernetes/components/keda",
    "kubernetes/components/service-monitor",
    "kubernetes/components/tls",
    "kubernetes/components/tracing",
    "grafana",
    "prometheus",
]


def test_every_component_is_tested() -> None:
    found = {
        str(path.parent.relative_to(FOLDER.parent))
        for path in FOLDER.parent.rglob("kustomization.yaml")
        if yaml.safe_load(path.read_text("utf-8"))["kind"] == "Component"
    }
    assert found == set(COMPONENTS)


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_is_valid_under_another_name(tmp_path: Path, component: str) -> None:
    kinds = composed(tmp_path, component, namespace="ml", namePrefix="blue-")
    for manifest in kinds.values():
        validate(manifest)
    names = {kind: manifest["metadata"]["name"] for kind, manifest in kinds.items()}
    assert names["Deployment"] == "blue-softmax-service"


def test_all_components_go_together(tmp_path: Path) -> None:
    for manifest in composed(tmp_path, *COMPONENTS, namespace="ml").values():
        validate(manifest)


def test_keda_takes_the_place_of_the_autoscaler(tmp_path: Path) -> None:
    kinds = composed(tmp_path, "kubernetes/components/keda", namespace="ml", namePrefix="blue-")
    assert "HorizontalPodAutoscaler" not in kinds
    scaled = kinds["ScaledObject"]
    assert scaled["metadata"]["namespace"] == kinds["Deployment"]["metadata"]["namespace"] == "ml"
    assert scaled["spec"]["scaleTargetRef"]["name"] == kinds["Deployment"]["metadata"]["name"] == "blue-softmax-service"
    (trigger,) = scaled["spec"]["triggers"]
    assert float(trigger["metadata"]["threshold"]) == UTILISATION
    labels = dict(re.findall(r'(\w+)="([^"]*)"', trigger["metadata"]["query"].replace("=~", "=")))
    assert (labels["namespace"], labels["container"]) == (
        "ml",
        container_of("overlays/production", "Deployment")["name"],
    )
    assert re.fullmatch(labels["pod"], "blue-softmax-service-7d5f-abcde")
    assert not re.fullmatch(labels["pod"], "green-softmax-service-7d5f-abcde")


def test_keda_without_a_namespace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"metadata\.namespace"):
        composed(tmp_path, "kubernetes/components/keda")


@pytest.mark.parametrize("component", ["gateway", "ingress"])
def test_traffic_from_outside_goes_to_the_service(tmp_path: Path, component: str) -> None:
    kinds = composed(tmp_path, f"kubernetes/components/{component}", namespace="ml")
    service = kinds["Service"]
    if component == "ingress":
        (rule,) = kinds["Ingress"]["spec"]["rules"]
        backend = rule["http"]["paths"][0]["backend"]["service"]
        assert backend == {"name": service["metadata"]["name"], "port": {"name": service["spec"]["ports"][0]["name"]}}
        largest = kinds["Ingress"]["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"]
        assert quantity(largest.replace("m", "Mi")) == Settings.model_fields["max_body_bytes"].default
    else:
        (rule,) = kinds["HTTPRoute"]["spec"]["rules"]
        assert rule["backendRefs"] == [
            {"name": service["metadata"]["name"], "port": service["spec"]["ports"][0]["port"]}
        ]


def test_the_gateway_hides_metrics_and_probes_only() -> None:
    routes = yaml.safe_load((FOLDER / "components/gateway/http-route.yaml").read_text("utf-8"))
    (rule,) = routes["spec"]["rules"]
    matches = [match["path"] for match in rule["matches"]]

    def passes(path: str) -> bool:
        return any(
            path == each["value"] or (each["type"] == "PathPrefix" and path.startswith(f"{each['value']}/"))
            for each in matches
        )

    paths = set(create_app(Settings()).openapi()["paths"])
    inside = {"/livez", "/readyz", "/metrics"}
    assert {path for path in paths if not passes(path)} == inside & paths
    loaded = re.findall(
        r'(?:src|href)="([^"]+)"', (Path(service.__file__).parent / "static/docs.html").read_text("utf-8")
    )
    assert "static/docs.js" in loaded
    assert [path for path in loaded if not passes(f"/{path}")] == []


def test_keys_and_certificates_come_from_secrets(tmp_path: Path) -> None:
    kinds = composed(
        tmp_path, "kubernetes/components/service-monitor", "kubernetes/components/api-keys", "kubernetes/components/tls"
    )
    pods = pod_spec(kinds["Deployment"])
    (container,) = pods["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    secrets = {each["name"]: each["secret"]["secretName"] for each in pods["volumes"]}
    assert secrets == {"api-keys": "softmax-service-keys", "tls": "softmax-service-tls"}
    assert variables == {
        "SOFTMAX_METRICS_PORT": "9090",
        "SOFTMAX_API_KEYS_FILE": f"{mounts['api-keys']}/keys",
        "SOFTMAX_TLS_CERTIFICATE_FILE": f"{mounts['tls']}/tls.crt",
        "SOFTMAX_TLS_KEY_FILE": f"{mounts['tls']}/tls.key",
    }
    assert all(name.removeprefix("SOFTMAX_").lower() in Settings.model_fields for name in variables)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["scheme"] == "HTTPS"
    assert {port["name"]: port["port"] for port in kinds["Service"]["spec"]["ports"]} == {"http": 443, "metrics": 9090}


def test_probes_need_no_client_certificate(tmp_path: Path) -> None:
    components = ["service-monitor", "tls", "client-certificates"]
    kinds = composed(tmp_path, *(f"kubernetes/components/{name}" for name in components))
    (container,) = pod_spec(kinds["Deployment"])["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert variables["SOFTMAX_TLS_CLIENT_CA_FILE"] == variables["SOFTMAX_TLS_KEY_FILE"].replace("tls.key", "ca.crt")
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["scheme"] == "HTTP"
        assert ports[asked["port"]] == variables["SOFTMAX_METRICS_PORT"]


def test_traces_may_leave_and_nothing_else(tmp_path: Path) -> None:
    kinds = composed(tmp_path, "kubernetes/components/tracing")
    (container,) = pod_spec(kinds["Deployment"])["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert variables["SOFTMAX_TRACING"] == "true"
    host, _, port = variables["OTEL_EXPORTER_OTLP_ENDPOINT"].removeprefix("http://").partition(":")
    collector, names = kinds["NetworkPolicy"]["spec"]["egress"]
    (target,) = collector["to"]
    assert target["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": host.split(".")[1]}
    assert collector["ports"] == [{"port": int(port)}]
    assert {each["port"] for each in names["ports"]} == {53}


def test_the_prometheus_rule_is_that_of_the_file() -> None:
    assert generated.TARGET.read_text("utf-8") == generated.prometheus_rule()


def test_documented_replacement_sets_the_host_of_every_runbook(tmp_path: Path) -> None:
    page = (FOLDER.parents[1] / "docs/deployment.md").read_text("utf-8")
    (snippet,) = re.findall(r"```yaml\n(configMapGenerator:.*?)```", page, re.DOTALL)
    kinds = composed(tmp_path, "prometheus", upper=yaml.safe_load(snippet))
    assert "ConfigMap" not in kinds
    rules = [rule for group in kinds["PrometheusRule"]["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    assert rules
    for rule in rules:
        address = f"https://docs.example.com/runbook.html#{rule['alert'].lower()}"
        assert rule["annotations"]["runbook_url"] == address


def test_the_dashboard_is_a_config_map_for_grafana(tmp_path: Path) -> None:
    kinds = composed(tmp_path, "grafana")
    config = kinds["ConfigMap"]
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["data"]["dashboard.json"] == (FOLDER.parent / "grafana/dashboard.json").read_text("utf-8")


@pytest.mark.parametrize(("name", "kind"), WORKLOADS)
def test_memory_is_what_the_formula_gives_and_little_more(name: str, kind: str) -> None:
    resources = container_of(name, kind)["resources"]
    limit = quantity(resources["limits"]["memory"])
    assert quantity(resources["requests"]["memory"]) == limit
    assert 1 <= limit / memory_bytes(setting(name, kind, "max_bytes_in_flight")) < 1.25


@pytest.mark.parametrize(("name", "kind"), WORKLOADS)
def test_the_longest_body_may_be_in_flight(name: str, kind: str) -> None:
    assert setting(name, kind, "max_body_bytes") <= setting(name, kind, "max_bytes_in_flight")


@pytest.mark.parametrize(("name", "kind"), WORKLOADS)
def test_one_process_has_one_core_and_may_have_more_for_a_moment(name: str, kind: str) -> None:
    resources = container_of(name, kind)["resources"]
    cores = quantity(resources["requests"]["cpu"])
    assert cores <= 1 if name == "overlays/small" else cores == 1
    assert setting(name, kind, "workers") == 1
    assert "cpu" not in resources["limits"]


@pytest.mark.parametrize(("name", "kind"), WORKLOADS)
def test_there_is_time_to_end_in_good_order(name: str, kind: str) -> None:
    grace = pod_spec(overlay(name)[kind])["terminationGracePeriodSeconds"]
    wait = container_of(name, kind)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert wait + setting(name, kind, "graceful_shutdown_seconds") < grace


@pytest.mark.parametrize(("name", "kind"), WORKLOADS)
def test_what_waits_before_it_ends_is_out_of_every_load_balancer(name: str, kind: str) -> None:
    container = container_of(name, kind)
    probe = container["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] <= container["lifecycle"]["preStop"]["sleep"]["seconds"]


@pytest.mark.parametrize(("name", "kind"), WORKLOADS)
def test_every_probe_asks_a_path_that_the_service_has(name: str, kind: str) -> None:
    paths = create_app(Settings()).openapi()["paths"]
    container = container_of(name, kind)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["port"] == "http"
        assert "get" in paths[asked["path"]], probe


@pytest.mark.parametrize(("name", "kind"), WORKLOADS)
def test_the_port_is_the_one_that_the_service_listens_on(name: str, kind: str) -> None:
    (port,) = container_of(name, kind)["ports"]
    assert (port["name"], port["containerPort"]) == ("http", setting(name, kind, "port"))


@pytest.mark.parametrize(("name", "kind"), WORKLOADS)
def test_a_service_of_a_like_name_sets_no_setting(name: str, kind: str) -> None:
    # SOFTMAX_PORT=tcp://10.0.0.1:80 would end the start
    assert pod_spec(overlay(name)[kind])["enableServiceLinks"] is False


@pytest.mark.parametrize(("name", "kind"), WORKLOADS)
def test_every_variable_is_a_setting_or_for_kserve(name: str, kind: str) -> None:
    names = {each["name"] for each in container_of(name, kind).get("env", [])}
    settings = {f"SOFTMAX_{field.upper()}" for field in Settings.model_fields}
    assert names <= settings | ({"PROTOCOL"} if kind == "InferenceService" else set())


@pytest.mark.parametrize(("name", "kind"), WORKLOADS)
def test_the_strictest_pod_security_standard_lets_it_in(name: str, kind: str) -> None:
    pods = pod_spec(overlay(name)[kind])
    assert pods["automountServiceAccountToken"] is False
    context = pods["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container_of(name, kind)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


@pytest.mark.parametrize(("name", "kind"), WORKLOADS)
def test_the_user_and_the_version_are_those_of_the_image(name: str, kind: str) -> None:
    context = pod_spec(overlay(name)[kind])["securityContext"]
    dockerfile = (FOLDER.parents[1] / "Dockerfile").read_text("utf-8")
    assert f"USER {context['runAsUser']}:{context['runAsGroup']}\n" in dockerfile
    assert container_of(name, kind)["image"] == f"softmax-service:{__version__}"


@pytest.mark.parametrize("name", ["overlays/small", "overlays/production"])
def test_all_speak_of_the_same_pods(name: str) -> None:
    kinds = overlay(name)
    labels = kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert labels == kinds["Deployment"]["spec"]["selector"]["matchLabels"]
    assert labels == kinds["Service"]["spec"]["selector"]
    # an empty selector here would cut off everything else in the namespace
    assert labels == kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
    if name == "overlays/production":
        assert labels == kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]
        assert labels.items() <= kinds["Service"]["metadata"]["labels"].items()
        for spread in pod_spec(kinds["Deployment"])["topologySpreadConstraints"]:
            assert spread["labelSelector"]["matchLabels"] == labels


def test_the_autoscaler_agrees_with_the_capacity_model() -> None:
    kinds = overlay("overlays/production")
    spec = kinds["HorizontalPodAutoscaler"]["spec"]
    assert spec["scaleTargetRef"]["name"] == kinds["Deployment"]["metadata"]["name"]
    (metric,) = spec["metrics"]
    assert metric["resource"]["target"]["averageUtilization"] == round(100 * UTILISATION)
    # a number here would undo what the autoscaler did
    assert "replicas" not in kinds["Deployment"]["spec"]
    assert overlay("kserve")["InferenceService"]["spec"]["predictor"]["scaleTarget"] == round(100 * UTILISATION)


async def test_metrics_are_scraped_where_the_service_has_them(tmp_path: Path) -> None:
    kinds = composed(tmp_path, "kubernetes/components/service-monitor")
    service, monitor = kinds["Service"], kinds["ServiceMonitor"]["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "softmax-service"
    (endpoint,) = monitor["endpoints"]
    ports = {port["name"]: port["targetPort"] for port in service["spec"]["ports"]}
    (container,) = pod_spec(kinds["Deployment"])["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert {"name": ports[endpoint["port"]], "containerPort": int(variables["SOFTMAX_METRICS_PORT"])} in container[
        "ports"
    ]
    inside, monitoring = kinds["NetworkPolicy"]["spec"]["ingress"]
    assert (inside["ports"], monitoring["ports"]) == ([{"port": "http"}], [{"port": ports[endpoint["port"]]}])
    async with connect(create_metrics_app(create_app(Settings()).runtime)) as client:
        answer = await client.get(endpoint["path"])
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(("text/plain", "application/openmetrics-text"))


def test_kserve_runs_plain_deployments() -> None:
    annotations = overlay("kserve")["InferenceService"]["metadata"]["annotations"]
    assert annotations == {"serving.kserve.io/deploymentMode": "Standard"}
