"""Prometheus' own configuration: what it scrapes, which rules it evaluates, whom it tells."""

from typing import Any
from urllib.parse import urlsplit

from flowgauge.environment.model import Endpoint, Environment, Login, RemoteWrite
from flowgauge.errors import UsageError
from flowgauge.render.files import Files, to_yaml

__all__ = ["prometheus_files"]

_DEFAULT_EXPORTER = "exporter:9877"
_DEFAULT_RELAY = "relay:9878"


def prometheus_files(name: str, environment: Environment) -> Files:
    """Return `prometheus/prometheus.yml` of the environment *name*; the rules lie beside it.

    https://prometheus.io/docs/prometheus/latest/configuration/configuration/
    """
    settings = environment.prometheus
    configuration: dict[str, Any] = {
        "global": {
            "scrape_interval": settings.scrape_interval,
            "evaluation_interval": settings.scrape_interval,
            # On all that is written to another store.
            "external_labels": {"environment": name},
        },
        "rule_files": ["rules/*.yaml"],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": settings.alertmanagers}]}],
        },
        "scrape_configs": [
            _mlflow_job(name, settings.mlflow, environment.domains.mlflow),
            _job(name, "flowgauge", settings.exporter, [_DEFAULT_EXPORTER]),
            _job(name, "flowgauge-relay", settings.relay, [_DEFAULT_RELAY]),
        ],
    }
    if settings.remote_write:
        configuration["remote_write"] = [_remote_write(store) for store in settings.remote_write]
    return {"prometheus/prometheus.yml": to_yaml(configuration)}


def _mlflow_job(name: str, endpoint: Endpoint, url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        raise UsageError(f"domains.mlflow is {url}: Prometheus can only scrape http and https")
    if parts.query or parts.fragment:
        raise UsageError(
            f"domains.mlflow is {url}: leave out what follows the path, from ? or # on"
        )
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    job = _job(name, "mlflow", endpoint, [f"{host}:{port}"])
    job["scheme"] = parts.scheme
    if prefix := parts.path.rstrip("/"):
        job["metrics_path"] = f"{prefix}/metrics"
    return job


def _job(name: str, job: str, endpoint: Endpoint, default: list[str]) -> dict[str, Any]:
    targets = endpoint.targets or default
    return {
        "job_name": job,
        # The rules read the label, and the external one is on no series here.
        "static_configs": [{"targets": targets, "labels": {"environment": name}}],
        **_login(endpoint),
    }


def _remote_write(store: RemoteWrite) -> dict[str, Any]:
    return {"url": store.url, **_login(store)}


def _login(login: Login) -> dict[str, Any]:
    if login.basic_auth:
        return {"basic_auth": login.basic_auth.model_dump()}
    if login.credentials_file:
        return {"authorization": {"credentials_file": login.credentials_file}}
    return {}
