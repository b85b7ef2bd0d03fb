"""A DAG that uses all that flowgauge has for DAGs. For Airflow 2 and 3."""

from typing import Any

try:
    from airflow.sdk import dag, task
except ImportError:
    # Airflow 2
    from airflow.decorators import dag, task  # type: ignore[no-redef]

from flowgauge.airflow import RateLimitSensor, best_effort, log_with_mlflow, rate_limit

_LIMIT: Any = {"variable_key": "ours", "max_calls": 1000, "window_seconds": 60.0}


@dag(schedule=None)
def ours() -> None:
    """Log, at a limited rate, after waiting for it."""

    @task
    def logs() -> None:
        import mlflow  # noqa: PLC0415 - takes its time

        @rate_limit(**_LIMIT)
        def limited() -> None:
            """Do nothing."""

        limited()
        log_with_mlflow({"rows": 1}, experiment="ours")
        log_with_mlflow({"rows": 1}, experiment="ours", delivery="later")
        with best_effort():
            mlflow.set_experiment("ours")
            with mlflow.start_run():
                mlflow.log_metric("rows", 1)

    RateLimitSensor(task_id="waits", deferrable=True, **_LIMIT) >> logs()


ours()
