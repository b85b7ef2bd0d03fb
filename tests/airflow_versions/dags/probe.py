"""What a task leaves in MLflow, in Airflow's metrics and in its UI. For Airflow 2 and 3."""

import sys
from datetime import timedelta

try:
    from airflow.sdk import dag, get_current_context, task
except ImportError:
    # Airflow 2
    from airflow.decorators import dag, task  # type: ignore[no-redef]
    from airflow.operators.python import get_current_context

from flowgauge.airflow import log_with_mlflow

# Knows nothing of flowgauge or Airflow.
PROGRAM = "import mlflow; mlflow.set_experiment('probe'); mlflow.start_run(run_name='child')"


@dag(schedule=None)
def probe() -> None:
    """Log from a task, from a task that is tried again, and from a program a task starts."""

    @task
    def logs() -> str | None:
        return log_with_mlflow({"rows": 3}, "logs", "probe")

    @task(retries=1, retry_delay=timedelta(0))
    def tries_again() -> None:
        if get_current_context()["ti"].try_number == 1:
            raise RuntimeError("the first try fails")
        log_with_mlflow({"rows": 4}, "tries_again", "probe")

    @task
    def uses_plain_mlflow() -> None:
        import mlflow  # noqa: PLC0415 - not for the parser

        mlflow.set_experiment("plain probe")
        with mlflow.start_run(run_name="plain"):
            mlflow.log_metric("rows", 5)

    @task.bash
    def starts_a_program() -> str:
        return f'"{sys.executable}" -c "{PROGRAM}"'

    logs()
    tries_again()
    uses_plain_mlflow()
    starts_a_program()


probe()
