"""Other people's charts, rendered by Helm with our values: `make test-charts`.

Where the charts cannot be had, test_charts.py holds the values to what they make of them.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.conftest import Manifests, helm_template, read_manifests, run_tool

_DEPLOY = Path(__file__).parents[2] / "deploy"
_CHARTS = Path(os.environ["CHARTS"])
_SNIPPETS = {
    "official": _DEPLOY / "kubernetes/mlflow/official-chart.yaml",
    "community": _DEPLOY / "kubernetes/mlflow/community-chart.yaml",
    "airflow": _DEPLOY / "airflow/values.yaml",
}
_ENV = [{"name": "MINE", "value": "stays"}]
_OFFICIAL = {"mlflow": {"backendStoreUri": "postgresql://db/mlflow"}, "env": _ENV}
_ADMIN = {"enabled": True, "adminUsername": "admin", "adminPassword": "admin"}
_OIDC = {"enabled": True, "discoveryUrl": "https://id", "clientId": "a", "clientSecret": "b"}
_SITES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("official", _OFFICIAL, []),
    ("official", {**_OFFICIAL, "tls": {"enabled": True}}, []),
    (
        "official",
        {**_OFFICIAL, "server": {"value_options": {"app_name": "basic-auth"}}},
        ["basic-auth"],
    ),
    ("community", {}, []),
    ("community", {"auth": _ADMIN}, ["basic-auth"]),
    ("community", {"auth": {**_ADMIN, "appName": "our-login"}}, ["our-login"]),
    ("community", {"ldapAuth": {"enabled": True, "uri": "ldap://l"}}, ["basic-auth"]),
    ("community", {"oidcAuth": _OIDC}, ["oidc-auth"]),
    ("community", {"image": {"digest": "sha256:" + "0" * 64}}, []),
    ("community", {"oauth2Proxy": {"enabled": True}}, []),
    ("community", {"extraArgs": {"appName": "oidc-auth"}}, ["oidc-auth"]),
]
"""A chart, what somebody has set in it, and the login that this makes."""

_EXECUTORS = ["LocalExecutor", "CeleryExecutor", "KubernetesExecutor"]


def _render(chart: str, values: Mapping[str, Any], folder: Path, *more: Path) -> Manifests:
    own = folder / "values.yaml"
    own.write_text(yaml.safe_dump(dict(values)))
    files = [word for file in (own, *more) for word in ("--values", file)]
    built = run_tool("helm", "template", "mlflow", _CHARTS / chart, *files)
    assert built.returncode == 0, built.stderr
    return read_manifests(built.stdout)


def _container(manifests: Manifests) -> dict[str, Any]:
    [deployment] = [one for (kind, _), one in manifests.items() if kind == "Deployment"]
    container: dict[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
    return container


def _line(container: Mapping[str, Any]) -> list[str]:
    return [*container["command"], *container.get("args", [])]


@pytest.mark.parametrize(("chart", "values", "login"), _SITES)
def test_flowgauge_is_added_and_nothing_taken(
    chart: str, values: dict[str, Any], login: list[str], folder: Path
) -> None:
    """Image and one argument are all that our values change, and the login is named before it."""
    before = _render(chart, values, folder)
    after = _render(chart, values, folder, _SNIPPETS[chart])
    container, ours = _container(before), _container(after)
    flags = [word for word in _line(ours) if word.startswith("--app-name=")]
    assert flags == [f"--app-name={app}" for app in [*login, "flowgauge"]]
    assert sorted(_line(ours)) == sorted([*_line(container), "--app-name=flowgauge"])
    assert ours["image"] == "registry.example.com/flowgauge-mlflow:0.1.0"
    for one in (container, ours):
        for key in ("image", "command", "args"):
            one.pop(key, None)
        # The community's chart tells the image's tag to the container.
        one["env"] = [each for each in one["env"] if each["name"] != "MLFLOW_VERSION"]
    for manifests in (before, after):
        for (kind, _), manifest in manifests.items():
            if kind == "Secret":
                manifest.pop("data", None)  # some are drawn by lot
    assert before == after


@pytest.mark.parametrize(
    ("chart", "own"),
    [("official", {**_OFFICIAL, "metrics": {"enabled": True}}), ("community", {})],
)
def test_their_monitor_gives_way_to_ours(chart: str, own: dict[str, Any], folder: Path) -> None:
    """MLflow's own metrics and monitor go off, and our monitor finds the chart's Service."""
    values = {**own, "serviceMonitor": {"enabled": True}}
    manifests = _render(chart, values, folder, _SNIPPETS[chart])
    assert not [name for kind, name in manifests if kind == "ServiceMonitor"]
    assert not [word for word in _line(_container(manifests)) if "--expose-prom" in word]
    [service] = [one for (kind, _), one in manifests.items() if kind == "Service"]
    ours = helm_template("--set", "mlflow.uri=http://mlflow")["ServiceMonitor", "flowgauge-mlflow"]
    wanted = ours["spec"]["selector"]["matchLabels"].items()
    assert wanted <= service["metadata"]["labels"].items()
    [endpoint] = ours["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}


def _containers(manifests: Manifests) -> Iterator[dict[str, Any]]:
    """Yield what runs in every pod, that of the KubernetesExecutor included."""
    for manifest in manifests.values():
        template = manifest.get("spec", {}).get("template")
        text = manifest.get("data", {}).get("pod_template_file.yaml")
        for pod in [template, text and yaml.safe_load(text)]:
            if pod:
                yield from pod["spec"]["containers"]
                yield from pod["spec"].get("initContainers") or []


@pytest.mark.parametrize("executor", _EXECUTORS)
def test_airflow_runs_our_image_and_keeps_its_own_settings(executor: str, folder: Path) -> None:
    """Airflow's containers have the image; what somebody set arrives, our ConfigMap with it."""
    ours = "- configMapRef: {name: flowgauge}\n"
    pinned = {"airflow": {"digest": "sha256:" + "0" * 64}}
    values = {"executor": executor, "env": _ENV, "extraEnvFrom": ours, "images": pinned}
    before = list(_containers(_render("airflow", values, folder)))
    after = list(_containers(_render("airflow", values, folder, _SNIPPETS["airflow"])))
    assert len(after) == len(before)
    for was, own in zip(before, after, strict=True):
        if was["image"].startswith("apache/airflow"):
            assert own["image"] == "registry.example.com/flowgauge-airflow:0.1.0", own["name"]
        own["image"] = was["image"]
    assert before == after
    working = {"scheduler", "triggerer", "api-server", "dag-processor"}
    working |= {"worker"} if executor == "CeleryExecutor" else set()
    working |= {"base"} if executor == "KubernetesExecutor" else set()
    told = {
        one["name"]
        for one in after
        if {"configMapRef": {"name": "flowgauge"}} in one.get("envFrom", [])
        and _ENV[0] in one["env"]
    }
    assert working <= told
