"""A plugin of the user's own: it logs after one of the tasks."""

import sys
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin
from probing import probe


@hookimpl
def on_task_instance_success(task_instance: Any) -> None:
    """Log if it is the task that waits for it."""
    if task_instance.task_id == "listened_to":
        probe("listener")


class Listening(AirflowPlugin):  # type: ignore[misc] # Airflow is not followed by mypy
    """What Airflow takes from here."""

    name = "listening"
    listeners = [sys.modules[__name__]]  # noqa: RUF012 - Airflow's interface
