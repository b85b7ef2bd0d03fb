"""What deploys flowgauge, built once."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.prometheus_operator import v1 as operator

from flowgauge.environment import load_environment
from flowgauge.render import render, replace_folder
from stack.process import python_tool

Manifests = dict[tuple[str, str], dict[str, Any]]
"""Kubernetes manifests by kind and name."""

EXAMPLES = Path(__file__).parents[2] / "environments"
CHART = Path(__file__).parents[2] / "deploy" / "helm" / "flowgauge"
OPERATOR = "monitoring.coreos.com/v1"
_OPERATOR_TYPES: dict[str, Any] = {
    "PodMonitor": operator.PodMonitor,
    "PrometheusRule": operator.PrometheusRule,
    "ServiceMonitor": operator.ServiceMonitor,
}


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rendering of the repository's environment `prod`."""
    out = tmp_path_factory.mktemp("production") / "prod"
    replace_folder(out, render("prod", load_environment("prod", EXAMPLES)))
    return out


@pytest.fixture(scope="session")
def manifests(production: Path) -> Manifests:
    """What `kubectl apply -k` would apply to the cluster of `prod`."""
    return kustomize(production)


def kustomize(folder: Path) -> Manifests:
    """Build the kustomization in *folder* with the real kubectl."""
    built = run_tool("kubectl", "kustomize", folder)
    assert built.returncode == 0, built.stderr
    assert built.stderr == ""
    return read_manifests(built.stdout)


def helm_template(*options: str | Path, release: str = "flowgauge") -> Manifests:
    """Render the chart with the real helm."""
    built = run_tool("helm", "template", release, CHART, "--namespace", "flowgauge", *options)
    assert built.returncode == 0, built.stderr
    return read_manifests(built.stdout)


def run_tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run kubectl or helm."""
    tools = f"{Path(python_tool('python')).parent}{os.pathsep}{os.environ['PATH']}"
    tool = shutil.which(name, path=tools)
    assert tool, f"{name} is missing: `scripts/kubernetes-tools .venv/bin` gets it"
    return subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)


def read_manifests(text: str) -> Manifests:
    """Read what is applied to a cluster; the same twice is a mistake."""
    # In C: dashboards are long.
    found = [manifest for manifest in yaml.load_all(text, yaml.CSafeLoader) if manifest]
    manifests = {(one["kind"], one["metadata"]["name"]): one for one in found}
    assert len(manifests) == len(found)
    return manifests


def check_schema(manifest: dict[str, Any], version: str = "1.37.0") -> None:
    """Compare a manifest with Kubernetes' schemas, or the types of the Prometheus operator."""
    if manifest["apiVersion"] != OPERATOR:
        kubernetes_validate.validate(manifest, version, strict=True)
        return
    typed = _OPERATOR_TYPES[manifest["kind"]].model_validate(manifest)
    # The types drop what they do not know.
    known = typed.model_dump(by_alias=True, exclude_unset=True, mode="json")
    assert known["spec"] == manifest["spec"]
