"""An MLflow plugin that tags every run started in an Airflow task with that task.

Entry point group: https://mlflow.org/docs/latest/plugins.html#run-context-providers
"""

from flowgauge.airflow.context import current_task
from flowgauge.airflow.run_link import note_plain_run

__all__ = ["AirflowRunContext"]


class AirflowRunContext:
    """Keeps MLflow's `RunContextProvider` interface, by duck type: deriving would import MLflow."""

    def in_context(self) -> bool:
        """Return whether an Airflow task is running."""
        return bool(current_task().dag_id)

    def tags(self) -> dict[str, str]:
        """Return the task as tags, for a run that is about to start."""
        task = current_task()
        note_plain_run(task)
        return task.tags
