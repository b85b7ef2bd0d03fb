"""The environment variables of those who have no environment's file: pods, units, workers."""

import json
from collections.abc import Mapping

from flowgauge.environment.model import Environment
from flowgauge.render.files import Files, to_yaml

__all__ = ["rate_limits", "variables", "worker_files"]

_ENV = "airflow/flowgauge.env"
_CONFIG_MAP = "airflow/configmap.yaml"


def variables(environment: Environment) -> Mapping[str, str]:
    """Return what exporter, relay and Airflow's workers are told alike."""
    limits = json.dumps(rate_limits(environment), separators=(",", ":"), sort_keys=True)
    return {
        "MLFLOW_TRACKING_URI": environment.domains.mlflow,
        **({"FLOWGAUGE_STORE": environment.store} if environment.store else {}),
        **({"FLOWGAUGE_RATE_LIMITS": limits} if environment.rate_limits else {}),
    }


def rate_limits(environment: Environment) -> Mapping[str, Mapping[str, float]]:
    """Return the limits that the environment sets, whole numbers as such."""
    return {
        key: {
            name: int(value) if value == int(value) else value
            for name, value in limit.model_dump(exclude_none=True).items()
        }
        for key, limit in environment.rate_limits.items()
    }


def worker_files(environment: Environment) -> Files:
    """Return them for Airflow: as Docker and systemd read them, and for its namespace.

    The ConfigMap stands beside the kustomization, not in it: Airflow's namespace is another.
    """
    told = variables(environment)
    files = {_ENV: "".join(f"{name}={value}\n" for name, value in told.items())}
    if environment.kubernetes:
        files[_CONFIG_MAP] = to_yaml(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": "flowgauge",
                    "labels": {"app.kubernetes.io/part-of": "flowgauge"},
                },
                "data": dict(told),
            }
        )
    return files
