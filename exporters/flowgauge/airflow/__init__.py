"""What runs in Airflow tasks: the log call, the rate limit, the outbox, the plugin.

A DAG file is parsed every few seconds, so importing this module imports nothing else: each name is
loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flowgauge.loading import loading

if TYPE_CHECKING:
    from flowgauge.airflow.effort import best_effort
    from flowgauge.airflow.elsewhere import task_env
    from flowgauge.airflow.log import log_with_mlflow
    from flowgauge.airflow.payload import ExtractPayload, PayloadError, validate_payload_schema
    from flowgauge.airflow.rate_limiter import RateLimitExceeded, rate_limit
    from flowgauge.airflow.sensor import RateLimitSensor
    from flowgauge.airflow.uri import configure_mlflow, tracking_uri

__all__ = [
    "ExtractPayload",
    "PayloadError",
    "RateLimitExceeded",
    "RateLimitSensor",
    "best_effort",
    "configure_mlflow",
    "log_with_mlflow",
    "rate_limit",
    "task_env",
    "tracking_uri",
    "validate_payload_schema",
]

_HOMES = {
    "ExtractPayload": "payload",
    "PayloadError": "payload",
    "RateLimitExceeded": "rate_limiter",
    "RateLimitSensor": "sensor",
    "best_effort": "effort",
    "configure_mlflow": "uri",
    "log_with_mlflow": "log",
    "rate_limit": "rate_limiter",
    "task_env": "elsewhere",
    "tracking_uri": "uri",
    "validate_payload_schema": "payload",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with loading():
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
