"""The link from a task in Airflow's UI to its run in MLflow's."""

from flowgauge.airflow.context import Task
from flowgauge.airflow.host.services import push_xcom

__all__ = ["XCOM_KEY", "push_run_link"]

XCOM_KEY = "mlflow_run_url"
_LONGEST_SECONDS = 2.0


def push_run_link(task: Task, url: str | None, seconds: float) -> None:
    """Leave the link to the task's MLflow run where Airflow's API server finds it.

    Takes at most *seconds*, and no more than two: a link is not worth a task's time.
    """
    if task.instance is not None and url is not None:
        push_xcom(task.instance, XCOM_KEY, url, min(seconds, _LONGEST_SECONDS))
