"""The environment variables of those who have no environment's file: pods, units, workers."""

import json
from collections.abc import Mapping

from flowgauge.environment.model import Environment
from flowgauge.render.files import Files, to_yaml

__all__ = ["variables", "worker_files"]

_ENV = "airflow/flowgauge.env"
_CONFIG_MAP = "airflow/configmap.yaml"


def variables(environment: Environment) -> Mapping[str, str]:
    """Return what exporter, relay and Airflow's workers are told alike."""
    limits = {
        key: limit.model_dump(exclude_none=True) for key, limit in environment.rate_limits.items()
    }
    return {
        "MLFLOW_TRACKING_URI": environment.domains.mlflow,
        **({"FLOWGAUGE_STORE": environment.store} if environment.store else {}),
        **({"FLOWGAUGE_RATE_LIMITS": json.dumps(limits)} if limits else {}),
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
