"""A DAG that waits for a rate limit, in a worker and in the triggerer. For Airflow 2 and 3."""

from typing import Any

try:
    from airflow.sdk import dag
except ImportError:
    # Airflow 2
    from airflow.decorators import dag

from flowgauge.airflow import RateLimitSensor


@dag(schedule=None)
def waits() -> None:
    """Find the window full twice, and wait until somebody empties it."""
    limit: Any = {"variable_key": "waits", "max_calls": 1, "window_seconds": 3600.0}
    deferred = RateLimitSensor(task_id="deferred", deferrable=True, **limit)
    held = RateLimitSensor(task_id="held", **limit)
    deferred >> held


waits()
