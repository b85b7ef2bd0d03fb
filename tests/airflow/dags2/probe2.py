"""A DAG for Airflow 2.11 that logs from mapped tasks, within a rate limit of its own."""

from airflow.decorators import dag, task

from flowgauge.airflow import log_with_mlflow, rate_limit


@dag(schedule=None, params={"mlflow_enable": True})
def probe2() -> None:
    """Log two payloads, and take the two calls that a window allows."""

    @task
    def logs(rows: int) -> str | None:
        limited()
        return log_with_mlflow({"rows": rows}, experiment="probe2")

    @rate_limit(max_calls=2, window_seconds=3600, variable_key="probe2", max_wait_seconds=0)
    def limited() -> None:
        """Take a call."""

    logs.expand(rows=[1, 2])


probe2()
