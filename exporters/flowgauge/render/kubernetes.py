"""A kustomize overlay over `deploy/kubernetes`, and the Prometheus operator's kinds.

The overlay's `kustomization.yaml` is the rendered folder's own, because kustomize reads no file
above it: `kubectl apply -k build/prod`.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import yaml

from flowgauge.assets import asset
from flowgauge.environment.model import Environment, Kubernetes, MonitorTls
from flowgauge.render.files import Files, to_yaml
from flowgauge.render.grafana import DASHBOARDS
from flowgauge.render.rules import RULES

__all__ = ["image_parts", "kubernetes_files", "tls_config"]

_BASES = ("kubernetes/base", "kubernetes/relay")
_EXPORTER = "flowgauge-exporter"
_RELAY = "flowgauge-relay"


def kubernetes_files(environment: Environment, settings: Kubernetes, files: Files) -> Files:
    """Return base and overlay; *files* hold the rules and dashboards that go into the cluster."""
    base = {
        f"{base}/{path.name}": path.read_text()
        for base in _BASES
        for path in sorted((asset("deploy") / base).glob("*.yaml"))
    }
    interval = environment.prometheus.scrape_interval
    monitors = {
        "kubernetes/monitors/exporter.yaml": _monitor(_EXPORTER, "flowgauge", settings, interval),
        "kubernetes/monitors/mlflow.yaml": _mlflow_monitor(settings, interval),
        "kubernetes/monitors/relay.yaml": _monitor(_RELAY, _RELAY, settings, interval),
    }
    rules = {
        f"kubernetes/rules/{PurePosixPath(path).name}": _rule(path, text, settings)
        for path, text in files.items()
        if path.startswith(f"{RULES}/")
    }
    dashboards = [path for path in files if path.startswith(f"{DASHBOARDS}/")]
    overlay = _overlay(environment, settings, [*monitors, *rules], dashboards)
    return {
        **base,
        **{path: to_yaml(manifest) for path, manifest in {**monitors, **rules}.items()},
        "kustomization.yaml": to_yaml(overlay),
    }


def _overlay(
    environment: Environment, settings: Kubernetes, manifests: list[str], dashboards: list[str]
) -> dict[str, Any]:
    variables = {
        "MLFLOW_TRACKING_URI": environment.domains.mlflow,
        **({"FLOWGAUGE_STORE": environment.store} if environment.store else {}),
    }
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": settings.namespace,
        "resources": [*_BASES, *manifests],
        "images": [_image(environment.image)],
        "replicas": [{"name": _EXPORTER, "count": settings.replicas}],
        **_patches(settings),
        "configMapGenerator": [
            # Its name ends in a hash of what it holds: a change restarts the exporter.
            {"name": _EXPORTER, "literals": [f"{key}={value}" for key, value in variables.items()]},
            *map(_dashboard, dashboards),
        ],
    }


def _patches(settings: Kubernetes) -> dict[str, Any]:
    """Return what both Deployments have in another way than the base."""
    pod = "/spec/template/spec"
    patch: list[dict[str, Any]] = []
    if names := settings.image_pull_secrets:
        secrets = [{"name": name} for name in names]
        patch += [{"op": "add", "path": f"{pod}/imagePullSecrets", "value": secrets}]
    if settings.resources:
        resources = settings.resources.model_dump(exclude_defaults=True)
        path = f"{pod}/containers/0/resources"
        patch += [{"op": "replace", "path": path, "value": resources}]
    return (
        {"patches": [{"target": {"kind": "Deployment"}, "patch": to_yaml(patch)}]} if patch else {}
    )


def _image(image: str) -> dict[str, str]:
    repository, tag, digest = image_parts(image)
    version = {"digest": digest} if digest else {"newTag": tag or "latest"}
    return {"name": "flowgauge", "newName": repository, **version}


def image_parts(image: str) -> tuple[str, str, str]:
    """Return repository, tag and digest of *image*; "" for what it does not say."""
    name, _, digest = image.partition("@")
    # A colon before the last slash is a registry's port.
    repository, colon, tag = name.rpartition(":")
    return (repository, tag, digest) if colon and "/" not in tag else (name, "", digest)


def _dashboard(path: str) -> dict[str, Any]:
    return {
        "name": PurePosixPath(path).stem,
        "files": [path],
        # The label by which Grafana's sidecar finds dashboards; it needs no hash in the name.
        "options": {"labels": {"grafana_dashboard": "1"}, "disableNameSuffixHash": True},
    }


def _rule(path: str, text: str, settings: Kubernetes) -> dict[str, Any]:
    name = f"flowgauge-{PurePosixPath(path).stem.replace('_', '-')}"
    return _operator_kind("PrometheusRule", name, settings, yaml.safe_load(text))


def _monitor(name: str, job: str, settings: Kubernetes, interval: str) -> dict[str, Any]:
    spec = {
        "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
        "endpoints": [_endpoint(job, "http", interval)],
    }
    return _operator_kind("ServiceMonitor", name, settings, spec)


def _mlflow_monitor(settings: Kubernetes, interval: str) -> dict[str, Any]:
    mlflow = settings.mlflow
    endpoint = _endpoint("mlflow", mlflow.port, interval)
    if mlflow.scheme == "https":
        endpoint["scheme"] = "https"
    if mlflow.tls:
        endpoint["tlsConfig"] = tls_config(mlflow.tls)
    if secret := mlflow.basic_auth_secret:
        keys = ("username", "password")
        endpoint["basicAuth"] = {key: {"name": secret, "key": key} for key in keys}
    if secret := mlflow.token_secret:
        endpoint["authorization"] = {"credentials": {"name": secret, "key": "token"}}
    spec = {
        "namespaceSelector": {"matchNames": [mlflow.namespace or settings.namespace]},
        "selector": {"matchLabels": mlflow.selector},
        "endpoints": [endpoint],
    }
    return _operator_kind("ServiceMonitor", "flowgauge-mlflow", settings, spec)


def tls_config(tls: MonitorTls) -> dict[str, Any]:
    """Return *tls* as the operator's monitors have it."""
    ca = {"ca": {"secret": {"name": tls.ca_secret, "key": "ca.crt"}}} if tls.ca_secret else {}
    name = {"serverName": tls.server_name} if tls.server_name else {}
    unchecked = {"insecureSkipVerify": True} if tls.insecure_skip_verify else {}
    return {**ca, **name, **unchecked}


def _endpoint(job: str, port: str, interval: str) -> dict[str, Any]:
    return {
        "port": port,
        "path": "/metrics",
        "interval": interval,
        # The rules and dashboards know the jobs by these names, not by their Services'.
        "relabelings": [{"targetLabel": "job", "replacement": job}],
    }


def _operator_kind(
    kind: str, name: str, settings: Kubernetes, spec: Mapping[str, Any]
) -> dict[str, Any]:
    labels = {"app.kubernetes.io/part-of": "flowgauge", **settings.labels}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
    }
