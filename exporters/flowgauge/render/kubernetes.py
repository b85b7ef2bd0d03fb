"""A kustomize overlay over `deploy/kubernetes`, and the Prometheus operator's kinds.

The overlay's `kustomization.yaml` is the rendered folder's own, because kustomize reads no file
above it: `kubectl apply -k build/prod`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import yaml

from flowgauge.assets import asset
from flowgauge.environment.model import Environment, Kubernetes, MonitorTls
from flowgauge.render.files import Files, to_yaml
from flowgauge.render.grafana import DASHBOARDS
from flowgauge.render.rules import RULES
from flowgauge.render.variables import variables

__all__ = ["image_parts", "kubernetes_files", "scrapers", "tls_config"]

_BASES = ("kubernetes/base", "kubernetes/relay")
_EXPORTER = "flowgauge-exporter"
_RELAY = "flowgauge-relay"


def kubernetes_files(
    name: str, environment: Environment, settings: Kubernetes, files: Files
) -> Files:
    """Return base and overlay of the environment *name*.

    *files* hold the rules and dashboards that go into the cluster.
    """
    base = {
        f"{base}/{path.name}": path.read_text()
        for base in _BASES
        for path in sorted((asset("deploy") / base).glob("*.yaml"))
    }
    endpoint = _Endpoint(
        environment.prometheus.scrape_interval,
        {"environment": name, "namespace": settings.mlflow.namespace or settings.namespace},
    )
    monitors = {
        "kubernetes/monitors/exporter.yaml": _monitor(_EXPORTER, "flowgauge", settings, endpoint),
        "kubernetes/monitors/mlflow.yaml": _mlflow_monitor(settings, endpoint),
        "kubernetes/monitors/relay.yaml": _monitor(_RELAY, _RELAY, settings, endpoint),
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
    told = variables(environment)
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
            {"name": _EXPORTER, "literals": [f"{key}={value}" for key, value in told.items()]},
            *map(_dashboard, dashboards),
        ],
    }


def scrapers(namespace: str) -> list[dict[str, Any]]:
    """Return who may connect, as a NetworkPolicy says it: Prometheus, from *namespace* alone."""
    names = [{"key": "app.kubernetes.io/name", "operator": "In", "values": ["prometheus"]}]
    return [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "podSelector": {"matchExpressions": names},
        }
    ]


def _patches(settings: Kubernetes) -> dict[str, Any]:
    """Return what Deployments and NetworkPolicies have in another way than the base."""
    pod = "/spec/template/spec"
    patch: list[dict[str, Any]] = []
    if names := settings.image_pull_secrets:
        secrets = [{"name": name} for name in names]
        patch += [{"op": "add", "path": f"{pod}/imagePullSecrets", "value": secrets}]
    if settings.resources:
        resources = settings.resources.model_dump(exclude_defaults=True)
        path = f"{pod}/containers/0/resources"
        patch += [{"op": "replace", "path": path, "value": resources}]
    patches = [{"target": {"kind": "Deployment"}, "patch": to_yaml(patch)}] if patch else []
    if namespace := settings.prometheus_namespace:
        let_in = {"op": "replace", "path": "/spec/ingress/0/from", "value": scrapers(namespace)}
        patches.append({"target": {"kind": "NetworkPolicy"}, "patch": to_yaml([let_in])})
    return {"patches": patches} if patches else {}


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


@dataclass(frozen=True)
class _Endpoint:
    """How each target is scraped, and the labels that make all of them one system."""

    interval: str
    labels: Mapping[str, str]

    def of(self, job: str, port: str) -> dict[str, Any]:
        # The rules and dashboards know the jobs by these names, not by their Services'; and what is
        # said of MLflow explains what is said by an exporter of another namespace.
        labels = {"job": job, **self.labels}
        return {
            "port": port,
            "path": "/metrics",
            "interval": self.interval,
            "relabelings": [
                {"targetLabel": label, "replacement": value} for label, value in labels.items()
            ],
        }


def _monitor(name: str, job: str, settings: Kubernetes, endpoint: _Endpoint) -> dict[str, Any]:
    spec = {
        "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
        "endpoints": [endpoint.of(job, "http")],
    }
    return _operator_kind("ServiceMonitor", name, settings, spec)


def _mlflow_monitor(settings: Kubernetes, endpoint: _Endpoint) -> dict[str, Any]:
    mlflow = settings.mlflow
    scraped = endpoint.of("mlflow", mlflow.port)
    if mlflow.scheme == "https":
        scraped["scheme"] = "https"
    if mlflow.tls:
        scraped["tlsConfig"] = tls_config(mlflow.tls)
    if secret := mlflow.basic_auth_secret:
        keys = ("username", "password")
        scraped["basicAuth"] = {key: {"name": secret, "key": key} for key in keys}
    if secret := mlflow.token_secret:
        scraped["authorization"] = {"credentials": {"name": secret, "key": "token"}}
    spec = {
        "namespaceSelector": {"matchNames": [mlflow.namespace or settings.namespace]},
        "selector": {"matchLabels": mlflow.selector},
        "endpoints": [scraped],
    }
    return _operator_kind("ServiceMonitor", "flowgauge-mlflow", settings, spec)


def tls_config(tls: MonitorTls) -> dict[str, Any]:
    """Return *tls* as the operator's monitors have it."""
    ca = {"ca": {"secret": {"name": tls.ca_secret, "key": "ca.crt"}}} if tls.ca_secret else {}
    name = {"serverName": tls.server_name} if tls.server_name else {}
    unchecked = {"insecureSkipVerify": True} if tls.insecure_skip_verify else {}
    return {**ca, **name, **unchecked}


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
