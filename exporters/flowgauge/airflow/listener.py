"""What Airflow calls in every task's process, before the task runs and after.

https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/listeners.html
"""

from flowgauge.airflow.context import current_task, tell_programs
from flowgauge.airflow.fail_open import report_fail_opens
from flowgauge.airflow.host.names import airflow_name
from flowgauge.airflow.run_link import push_last_link

__all__ = ["on_task_instance_failed", "on_task_instance_running", "on_task_instance_success"]

_hookimpl = airflow_name("hookimpl")


@_hookimpl  # type: ignore[untyped-decorator] # Airflow has no types for mypy
def on_task_instance_running() -> None:
    """Tell the programs that the task starts what Airflow's AIRFLOW_CTX_* do not say."""
    tell_programs(current_task())


@_hookimpl  # type: ignore[untyped-decorator] # see above
def on_task_instance_success() -> None:
    """Leave the link to what the task has in MLflow, and count what the process still holds."""
    push_last_link(current_task())
    # The process of a task ends in a way that does not ask what is to be done at its end.
    report_fail_opens()


@_hookimpl  # type: ignore[untyped-decorator] # see above
def on_task_instance_failed() -> None:
    """Do the same."""
    push_last_link(current_task())
    report_fail_opens()
