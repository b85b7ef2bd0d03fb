"""The rendered Kubernetes manifests: valid, hardened, and fitting together."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from flowgauge.assets import asset
from flowgauge.environment import Environment, load_environment
from flowgauge.render import render, replace_folder
from tests.deploy.conftest import OPERATOR, Manifests, check_schema, kustomize
from tests.documents import blocks

_DEPLOY_PAGE = Path(__file__).parents[2] / "docs" / "deploy.md"
_CORE = {
    ("ServiceAccount", "flowgauge-exporter"),
    ("Deployment", "flowgauge-exporter"),
    ("Service", "flowgauge-exporter"),
    ("PodDisruptionBudget", "flowgauge-exporter"),
    ("NetworkPolicy", "flowgauge-exporter"),
    ("ServiceAccount", "flowgauge-relay"),
    ("Deployment", "flowgauge-relay"),
    ("Service", "flowgauge-relay"),
    ("NetworkPolicy", "flowgauge-relay"),
}
_PROGRAMS = pytest.mark.parametrize("name", ["flowgauge-exporter", "flowgauge-relay"])


def _pod(manifests: Manifests, name: str = "flowgauge-exporter") -> dict[str, Any]:
    template: dict[str, Any] = manifests["Deployment", name]["spec"]["template"]
    return template


def _container(manifests: Manifests, name: str = "flowgauge-exporter") -> dict[str, Any]:
    [container] = _pod(manifests, name)["spec"]["containers"]
    return dict(container)


def _of_kind(manifests: Manifests, kind: str) -> dict[str, dict[str, Any]]:
    return {name: manifest for (k, name), manifest in manifests.items() if k == kind}


@pytest.mark.parametrize("version", ["1.27.0", "1.37.0"])
def test_core_kinds_follow_kubernetes_schemas(manifests: Manifests, version: str) -> None:
    """Every manifest of a core kind is valid in old and new Kubernetes, without unknown fields."""
    assert manifests.keys() >= _CORE
    for manifest in manifests.values():
        if manifest["apiVersion"] != OPERATOR:
            check_schema(manifest, version)


def test_the_schemas_find_a_mistake(manifests: Manifests) -> None:
    """The check above is one: a misspelt field and a wrong type are found."""
    deployment = manifests["Deployment", "flowgauge-exporter"]
    for wrong in ({"replica": 1}, {"replicas": "one"}):
        spec = {**deployment["spec"], **wrong}
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate({**deployment, "spec": spec}, "1.37.0", strict=True)


def test_operator_kinds_follow_its_types(manifests: Manifests) -> None:
    """Monitors and rules are what the Prometheus operator expects, without unknown fields."""
    found = [m for m in manifests.values() if m["apiVersion"] == OPERATOR]
    assert {manifest["kind"] for manifest in found} == {"ServiceMonitor", "PrometheusRule"}
    for manifest in found:
        check_schema(manifest)


def test_a_monitor_that_logs_in_follows_the_operators_types(folder: Path) -> None:
    """So is a monitor that sends the token of a Secret."""
    text = "domains: {mlflow: h}\nkubernetes: {mlflow: {token_secret: mlflow-metrics}}\n"
    (folder / "test.yaml").write_text(text)
    files = render("test", load_environment("test", folder))
    monitor = yaml.safe_load(files["kubernetes/monitors/mlflow.yaml"])
    assert "mlflow-metrics" in str(monitor["spec"]["endpoints"])
    check_schema(monitor)


def test_the_rules_in_the_cluster_are_valid(manifests: Manifests, folder: Path) -> None:
    """Promtool accepts the rules as the operator will hand them to Prometheus, all of them."""
    rules = _of_kind(manifests, "PrometheusRule")
    for name, manifest in rules.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(manifest["spec"]))
    files = sorted(folder.glob("*.yaml"))
    subprocess.run(["promtool", "check", "rules", *files], check=True, capture_output=True)
    assert {file.stem for file in files} == {
        f"flowgauge-{file.stem.replace('_', '-')}" for file in asset("alerts").glob("*.yaml")
    }


def test_everything_is_where_it_belongs(manifests: Manifests) -> None:
    """Namespace, image, replicas and the operator's labels are the environment's."""
    assert {m["metadata"]["namespace"] for m in manifests.values()} == {"flowgauge"}
    assert _container(manifests)["image"] == "registry.example.com/flowgauge:0.1.0"
    assert manifests["Deployment", "flowgauge-exporter"]["spec"]["replicas"] == 2
    for kind in ("ServiceMonitor", "PrometheusRule"):
        for manifest in _of_kind(manifests, kind).values():
            assert manifest["metadata"]["labels"]["release"] == "kube-prometheus-stack"


@_PROGRAMS
def test_the_programs_can_do_no_harm(manifests: Manifests, name: str) -> None:
    """Their pods meet the restricted Pod Security Standard, have limits, and no token."""
    pod, container = _pod(manifests, name)["spec"], _container(manifests, name)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert container["resources"]["limits"]["memory"]
    assert not {"hostNetwork", "hostPID", "volumes"} & pod.keys()


@_PROGRAMS
def test_the_parts_find_each_other(manifests: Manifests, name: str) -> None:
    """Service, monitor and policy select the program's pods, by ports that exist; so a budget."""
    labels = _pod(manifests, name)["metadata"]["labels"].items()
    service = manifests["Service", name]
    policy = manifests["NetworkPolicy", name]["spec"]
    assert service["spec"]["selector"].items() <= labels
    assert policy["podSelector"]["matchLabels"].items() <= labels
    if budget := manifests.get(("PodDisruptionBudget", name)):
        assert budget["spec"]["selector"]["matchLabels"].items() <= labels

    monitor = manifests["ServiceMonitor", name]["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    [port] = _container(manifests, name)["ports"]
    used = [service["spec"]["ports"][0]["targetPort"], monitor["endpoints"][0]["port"],
            policy["ingress"][0]["ports"][0]["port"],
            _container(manifests, name)["livenessProbe"]["httpGet"]["port"]]  # fmt: skip
    assert set(used) == {port["name"]}
    # MLflow that is down makes the exporter unready; it must be scraped all the more.
    assert service["spec"]["publishNotReadyAddresses"] is True


@_PROGRAMS
def test_prometheus_may_connect(manifests: Manifests, name: str) -> None:
    """The policy lets in the pods of Prometheus, by their label, from any namespace."""
    [rule] = manifests["NetworkPolicy", name]["spec"]["ingress"]
    name_of_prometheus = {
        "key": "app.kubernetes.io/name", "operator": "In", "values": ["prometheus"],
    }  # fmt: skip
    assert rule["from"] == [
        {"namespaceSelector": {}, "podSelector": {"matchExpressions": [name_of_prometheus]}}
    ]


def test_the_targets_have_the_labels_the_rules_know(manifests: Manifests) -> None:
    """The jobs have our names, and all targets are one system, in whichever namespace they run."""
    labels = {
        name: {
            relabeling["targetLabel"]: relabeling["replacement"]
            for relabeling in monitor["spec"]["endpoints"][0]["relabelings"]
        }
        for name, monitor in _of_kind(manifests, "ServiceMonitor").items()
    }
    one = {"environment": "prod", "namespace": "mlflow"}
    assert labels == {
        "flowgauge-mlflow": {"job": "mlflow", **one},
        "flowgauge-exporter": {"job": "flowgauge", **one},
        "flowgauge-relay": {"job": "flowgauge-relay", **one},
    }
    mlflow = manifests["ServiceMonitor", "flowgauge-mlflow"]["spec"]
    assert mlflow["namespaceSelector"] == {"matchNames": ["mlflow"]}


def test_dashboards_fit_into_config_maps(manifests: Manifests) -> None:
    """One ConfigMap a dashboard, with the label Grafana's sidecar looks for, small enough."""
    maps = [m for m in _of_kind(manifests, "ConfigMap").values()
            if m["metadata"].get("labels", {}).get("grafana_dashboard") == "1"]  # fmt: skip
    files = [file for config in maps for file in config["data"]]
    assert "flowgauge-server.json" in files
    assert len(files) == len(maps)
    for config in maps:
        # `kubectl apply` keeps a copy in an annotation, and an annotation has 256 KiB.
        assert len(yaml.safe_dump(config)) < 262144


def _variables(manifests: Manifests) -> tuple[str, dict[str, str]]:
    config_map = _container(manifests)["envFrom"][0]["configMapRef"]["name"]
    return config_map, manifests["ConfigMap", config_map]["data"]


def test_a_new_address_restarts_the_exporter(folder: Path) -> None:
    """The exporter reads a ConfigMap whose name changes with its content."""
    names = []
    for host in ("a.example.com", "b.example.com"):
        environment = Environment.model_validate(
            {"domains": {"mlflow": host}, "store": "redis://r:6379/0", "kubernetes": {}}
        )
        replace_folder(folder / host, render("test", environment))
        name, variables = _variables(kustomize(folder / host))
        assert variables == {
            "MLFLOW_TRACKING_URI": f"https://{host}",
            "FLOWGAUGE_STORE": "redis://r:6379/0",
        }
        names.append(name)
    assert names[0] != names[1]


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("flowgauge", "flowgauge:latest"),
        ("registry.example.com:5000/flowgauge", "registry.example.com:5000/flowgauge:latest"),
        ("registry.example.com:5000/a/b:1.0", "registry.example.com:5000/a/b:1.0"),
        (f"a/b@sha256:{'0' * 64}", f"a/b@sha256:{'0' * 64}"),
        (f"a/b:1.0@sha256:{'0' * 64}", f"a/b@sha256:{'0' * 64}"),
    ],
)
def test_any_image_reference_arrives_whole(folder: Path, image: str, said: str) -> None:
    """Registry port, tag and digest of `image` reach the Deployment."""
    environment = Environment.model_validate(
        {"domains": {"mlflow": "h"}, "image": image, "kubernetes": {}}
    )
    replace_folder(folder / "out", render("test", environment))
    assert _container(kustomize(folder / "out"))["image"] == said


def test_a_kustomization_goes_over_the_rendered_folder(
    production: Path, manifests: Manifests, folder: Path
) -> None:
    """The documentation's one changes what it names, in a folder of its own, and nothing else."""
    [layer] = blocks(_DEPLOY_PAGE, language="yaml")
    shutil.copytree(production, folder / "build" / "prod")
    (folder / "ours").mkdir()
    (folder / "ours" / "kustomization.yaml").write_text(layer.text)

    layered = kustomize(folder / "ours")

    changed = {key for key in manifests if layered[key] != manifests[key]}
    assert changed == {
        ("Deployment", "flowgauge-exporter"),
        ("Deployment", "flowgauge-relay"),
        ("ServiceMonitor", "flowgauge-mlflow"),
    }
    assert layered.keys() == manifests.keys()
    assert _pod(layered)["spec"]["tolerations"][0]["key"] == "dedicated"
    for manifest in layered.values():
        check_schema(manifest)


_STRICT = """\
domains: {mlflow: h}
kubernetes:
  image_pull_secrets: [registry]
  resources: {requests: {cpu: 100m}, limits: {memory: 1Gi}}
  mlflow:
    scheme: https
    tls: {ca_secret: mlflow-ca, server_name: mlflow}
  prometheus_namespace: monitoring
"""


def test_what_a_strict_cluster_asks_for_is_there(folder: Path) -> None:
    """Pull secrets and resources reach both programs; the monitor speaks TLS, and knows its CA.

    Who may connect is Prometheus, from its own namespace.
    """
    environment = Environment.model_validate(yaml.safe_load(_STRICT))
    replace_folder(folder / "out", render("test", environment))
    manifests = kustomize(folder / "out")
    for name in ("flowgauge-exporter", "flowgauge-relay"):
        assert _pod(manifests, name)["spec"]["imagePullSecrets"] == [{"name": "registry"}]
        assert _container(manifests, name)["resources"] == {
            "requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"},
        }  # fmt: skip
    [endpoint] = manifests["ServiceMonitor", "flowgauge-mlflow"]["spec"]["endpoints"]
    assert endpoint["scheme"] == "https"
    assert endpoint["tlsConfig"] == {
        "ca": {"secret": {"name": "mlflow-ca", "key": "ca.crt"}}, "serverName": "mlflow",
    }  # fmt: skip
    for name in ("flowgauge-exporter", "flowgauge-relay"):
        [let_in] = manifests["NetworkPolicy", name]["spec"]["ingress"][0]["from"]
        assert let_in["namespaceSelector"] == {
            "matchLabels": {"kubernetes.io/metadata.name": "monitoring"}
        }
        assert let_in["podSelector"]["matchExpressions"][0]["values"] == ["prometheus"]
    for manifest in manifests.values():
        check_schema(manifest)


@pytest.mark.parametrize("login", [[], ["--app-name=basic-auth"]])
def test_an_mlflow_of_ones_own_gets_the_server_app(folder: Path, login: list[str]) -> None:
    """The component adds the flag after the args of the Deployment `mlflow`, and its image."""
    component = Path(__file__).parents[2] / "deploy" / "kubernetes" / "mlflow"
    (folder / "app").mkdir()
    (folder / "app" / "deployment.yaml").write_text(
        _OWN_MLFLOW.replace("--workers=4", ", ".join([*login, "--workers=4"]))
    )
    (folder / "app" / "kustomization.yaml").write_text(
        "resources: [deployment.yaml]\ncomponents: [../component]\n"
    )
    shutil.copytree(component, folder / "component")
    container = _container(kustomize(folder / "app"), "mlflow")
    assert container["args"] == ["server", *login, "--workers=4", "--app-name=flowgauge"]
    assert container["image"] == "registry.example.com/flowgauge-mlflow:0.1.0"


_OWN_MLFLOW = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: mlflow}
spec:
  selector: {matchLabels: {app: mlflow}}
  template:
    metadata: {labels: {app: mlflow}}
    spec:
      containers:
        - name: mlflow
          image: ghcr.io/mlflow/mlflow:v3.17.2-full
          command: [mlflow]
          args: [server, --workers=4]
"""
