"""A DAG of MLflow's own functions, which knows nothing of flowgauge. For Airflow 2 and 3."""

try:
    from airflow.sdk import dag, task
except ImportError:
    # Airflow 2
    from airflow.decorators import dag, task  # type: ignore[no-redef]


@dag(schedule=None)
def plain() -> None:
    """Make one run."""

    @task
    def logs() -> None:
        import mlflow  # noqa: PLC0415 - takes its time

        mlflow.set_experiment("plain")
        with mlflow.start_run():
            mlflow.log_metric("rows", 1)

    logs()


plain()
