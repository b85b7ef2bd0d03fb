"""Airflow's own metrics (StatsD or OpenTelemetry), for those who collect them already."""

import sys
from typing import Any

__all__ = ["count", "time_taken"]


def count(name: str, dag_id: str, task_id: str, **tags: str) -> None:
    """Add one to the counter *name*; does nothing outside Airflow."""
    if stats := _stats():
        stats.incr(name, tags={"dag_id": dag_id, "task_id": task_id, **tags})


def time_taken(name: str, seconds: float, dag_id: str, task_id: str) -> None:
    """Observe a duration; does nothing outside Airflow."""
    if stats := _stats():
        # A number means milliseconds to Airflow.
        stats.timing(name, seconds * 1000, tags={"dag_id": dag_id, "task_id": task_id})


def _stats() -> Any:
    if "airflow" not in sys.modules:
        return None
    try:
        from airflow.sdk.observability import stats  # noqa: PLC0415 - only where Airflow runs
    except ImportError:
        # Airflow 2
        from airflow.stats import Stats as stats  # noqa: PLC0415, N813
    return stats
