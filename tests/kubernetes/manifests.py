"""Render the manifests, and validate them as a cluster does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

FOLDER = Path(__file__).parents[2] / "deploy/kubernetes"
SCHEMAS = Path(__file__).parent / "schemas"

VERSIONS = ("1.34", "1.37")
"""Versions of Kubernetes: the oldest maintained one, and the newest."""

OF_POD = {
    "containers",
    "automountServiceAccountToken",
    "enableServiceLinks",
    "terminationGracePeriodSeconds",
    "securityContext",
}
"""Fields of a predictor of KServe that become fields of its pods."""

Manifest = dict[str, Any]


def render(folder: Path) -> list[Manifest]:
    """Return the manifests of a kustomization."""
    near = Path(sys.executable).parent
    kubectl = shutil.which("kubectl", path=str(near)) or shutil.which("kubectl")
    assert kubectl is not None, "these tests need kubectl"
    rendered = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, check=False)
    assert rendered.returncode == 0, rendered.stderr
    assert rendered.stderr == ""
    return list(yaml.safe_load_all(rendered.stdout))


def composed(folder: Path, *components: str, upper: Manifest | None = None, **lower: str) -> dict[str, Manifest]:
    """Return the production overlay with components of deploy/ on top, by kind.

    folder: an empty one. upper: more fields of the kustomization with the components. lower: fields of the kustomization
    below it, such as namespace.
    """
    # kustomize accepts relative paths only
    root = "../" * (len(folder.resolve().parts)) + str(FOLDER.parent)[1:]
    below = {"resources": [f"{root}/kubernetes/overlays/production"], **lower}
    above = {"resources": ["../lower"], "components": [f"{root}/{each}" for each in components], **(upper or {})}
    for name, content in (("lower", below), ("upper", above)):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "kustomization.yaml").write_text(yaml.safe_dump(content), "utf-8")
    manifests = render(folder / "upper")
    kinds = {each["kind"]: each for each in manifests}
    assert len(kinds) == len(manifests)
    return kinds


@cache
def overlay(name: str) -> dict[str, Manifest]:
    """Return the manifests of a folder of deploy/kubernetes, by kind. A kind occurs once."""
    manifests = render(FOLDER / name)
    kinds = {each["kind"]: each for each in manifests}
    assert len(kinds) == len(manifests)
    return kinds


def validate(manifest: Manifest) -> None:
    """Raise an error for fields that the kind of a manifest does not have, or of another type.

    Kubernetes has strict schemas of its own kinds. For other kinds, schemas/ holds the fields used here.
    """
    schema = SCHEMAS / f"{manifest['kind']}.json"
    if schema.exists():
        jsonschema.validate(manifest, json.loads(schema.read_text("utf-8")), jsonschema.Draft202012Validator)
    if manifest["kind"] == "InferenceService":
        manifest = pod_of(manifest)
    elif schema.exists():
        return
    for version in VERSIONS:
        kubernetes_validate.validate(manifest, version, strict=True)


def pod_of(service: Manifest) -> Manifest:
    """Return the pod of an InferenceService."""
    spec = {name: value for name, value in service["spec"]["predictor"].items() if name in OF_POD}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": service["metadata"], "spec": spec}


def pod_spec(manifest: Manifest) -> Manifest:
    """Return the pod specification of a Deployment or an InferenceService."""
    spec = manifest["spec"]
    pods: Manifest = spec["predictor"] if "predictor" in spec else spec["template"]["spec"]
    return pods


def quantity(text: str) -> float:
    """Return the number of a Kubernetes quantity."""
    for suffix, factor in {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9}.items():
        if text.endswith(suffix):
            return float(text.removesuffix(suffix)) * factor
    return float(text)
