"""The link from a task in Airflow's UI to its run in MLflow's."""

import logging

from flowgauge.airflow.context import Task

__all__ = ["XCOM_KEY", "push_run_link"]

XCOM_KEY = "mlflow_run_url"
_log = logging.getLogger(__name__)


def push_run_link(task: Task, url: str | None) -> None:
    """Leave the link to the task's MLflow run where Airflow's API server finds it."""
    if task.instance is None or url is None:
        return
    try:
        task.instance.xcom_push(key=XCOM_KEY, value=url)
    # Airflow's server or database fails in its own ways; a link is not worth a task.
    except Exception as error:  # noqa: BLE001
        _log.warning("No link to the MLflow run: %s", error)
