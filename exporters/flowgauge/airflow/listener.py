"""What Airflow calls in every task's process, before the task runs.

https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/listeners.html
"""

from flowgauge.airflow.context import current_task, tell_programs
from flowgauge.airflow.host.names import airflow_name

__all__ = ["on_task_instance_running"]


@airflow_name("hookimpl")  # type: ignore[untyped-decorator] # Airflow has no types for mypy
def on_task_instance_running() -> None:
    """Tell the programs that the task starts what Airflow's AIRFLOW_CTX_* do not say."""
    tell_programs(current_task())
