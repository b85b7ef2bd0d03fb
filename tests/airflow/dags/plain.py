"""A DAG of MLflow's own functions; each task notes what it sent, which is the truth."""

# ruff: noqa: PLC0415 - a DAG file is parsed every few seconds: tasks import what they need

import subprocess
import sys

import sending
from airflow.sdk import dag, task
from sending import log_a_run, noted


@dag(schedule=None)
def plain() -> None:
    """Train, log, trace, start a program, and log by flowgauge's function."""

    @task()
    def trains() -> None:
        import mlflow
        import numpy as np
        from sklearn.linear_model import LinearRegression

        with noted("trains"):
            mlflow.set_experiment("plain")
            mlflow.sklearn.autolog()
            LinearRegression().fit(np.arange(10).reshape(-1, 1), np.arange(10))
            mlflow.sklearn.autolog(disable=True)

    @task()
    def logs() -> None:
        with noted("logs"):
            log_a_run()

    @task()
    def traces() -> None:
        import mlflow

        with noted("traces"):
            mlflow.set_experiment("plain")
            with mlflow.start_span("asks"):
                pass
            mlflow.flush_trace_async_logging()

    @task()
    def starts_a_program() -> None:
        subprocess.run([sys.executable, sending.__file__, "starts_a_program"], check=True)

    @task()
    def logs_by_flowgauge() -> None:
        from flowgauge.airflow import log_with_mlflow

        with noted("logs_by_flowgauge"):
            assert log_with_mlflow({"rows": 7})

    trains() >> logs() >> traces() >> starts_a_program() >> logs_by_flowgauge()


plain()
