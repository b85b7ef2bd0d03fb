"""The values of the Helm chart `deploy/helm/flowgauge`."""

from typing import Any

from flowgauge.environment.model import Environment, Kubernetes, MlflowService
from flowgauge.errors import UsageError
from flowgauge.render.files import to_yaml
from flowgauge.render.kubernetes import image_parts, scrapers, tls_config
from flowgauge.render.variables import rate_limits

__all__ = ["helm_values"]


def helm_values(name: str, environment: Environment) -> str:
    """Return the values with which the chart installs what `render` writes for kustomize.

    The namespace is Helm's `--namespace`. Raises `UsageError` for an environment without the
    section `kubernetes`.
    """
    settings = environment.kubernetes
    if settings is None:
        raise UsageError("kubernetes is missing: one line will do, kubernetes: {}")
    repository, tag, digest = image_parts(environment.image)
    resources = _resources(settings)
    values = {
        "environment": name,
        "rateLimits": rate_limits(environment),
        "mlflow": {"uri": environment.domains.mlflow, "monitor": _monitor(settings.mlflow)},
        "store": _said(url=environment.store),
        "image": _said(repository=repository, tag=tag or "latest", digest=digest),
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
        "exporter": _said(replicas=settings.replicas, resources=resources),
        "relay": _said(resources=resources),
        "networkPolicy": _said(
            **{"from": settings.prometheus_namespace and scrapers(settings.prometheus_namespace)}
        ),
        "monitors": _said(interval=environment.prometheus.scrape_interval, labels=settings.labels),
        "alerts": {
            name: alert.model_dump(by_alias=True, exclude_defaults=True)
            for name, alert in environment.alerts.items()
        },
        "objective": environment.objective,
        "urls": environment.urls.model_dump(exclude_none=True),
    }
    return _HEAD.format(namespace=settings.namespace) + to_yaml(_said(**values))


_HEAD = """\
# For the chart deploy/helm/flowgauge, with --namespace {namespace}. Receivers are not here: their
# secrets are files in an Alertmanager, and Secrets in an AlertmanagerConfig.
"""


def _monitor(mlflow: MlflowService) -> dict[str, Any]:
    return _said(
        namespace=mlflow.namespace,
        selector=mlflow.selector,
        port=mlflow.port,
        scheme=mlflow.scheme,
        tlsConfig=mlflow.tls and tls_config(mlflow.tls),
        basicAuthSecret=mlflow.basic_auth_secret,
        tokenSecret=mlflow.token_secret,
    )


def _resources(settings: Kubernetes) -> dict[str, Any]:
    if settings.resources is None:
        return {}
    # Helm adds to a map: what is not said here would be the chart's own.
    none = {
        "requests": {"cpu": None, "memory": None},
        "limits": {"memory": None},
    }
    said = settings.resources.model_dump()
    return {kind: {**none[kind], **said[kind]} for kind in none}


def _said(**values: Any) -> dict[str, Any]:
    """Return *values* without those that are empty: the chart has its own."""
    return {key: value for key, value in values.items() if value}
