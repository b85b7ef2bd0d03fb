"""Airflow's own metrics (StatsD or OpenTelemetry), for those who collect them already."""

from collections.abc import Callable
from typing import Any

from flowgauge.airflow.host.asking import Asking
from flowgauge.airflow.host.names import airflow_is_loaded, airflow_name

__all__ = ["count", "time_taken"]

# A metric waits in memory or is a datagram: only the first one may have to look for a host's name.
_PATIENCE_SECONDS = 0.5
_metrics = Asking("Airflow's metrics")


def count(name: str, dag_id: str, task_id: str, **tags: str) -> None:
    """Add one to the counter *name*; does nothing outside Airflow."""
    labels = {"dag_id": dag_id, "task_id": task_id, **tags}
    _measure(name, lambda stats: stats.incr(name, tags=labels))


def time_taken(name: str, seconds: float, dag_id: str, task_id: str) -> None:
    """Observe a duration; does nothing outside Airflow."""
    labels = {"dag_id": dag_id, "task_id": task_id}
    # A number means milliseconds to Airflow.
    _measure(name, lambda stats: stats.timing(name, seconds * 1000, tags=labels))


def _measure(name: str, measure: Callable[[Any], object]) -> None:
    if airflow_is_loaded():
        _metrics.ask(f"Counting {name}", lambda: measure(airflow_name("Stats")), _PATIENCE_SECONDS)
