"""Logging that whoever triggers the DAG turns on or off.

airflow dags trigger selective_logging --conf '{"mlflow_enable": false}'
"""

from airflow.sdk import Param, dag, task

from flowgauge.airflow import log_with_mlflow


@dag(schedule=None, params={"mlflow_enable": Param(default=True, type="boolean")}, tags=["example"])
def selective_logging() -> None:
    """Count the rows of scikit-learn's digits table; log the count unless told not to."""

    @task
    def count_digits() -> int:
        from sklearn.datasets import load_digits

        rows = len(load_digits().data)
        # Looks at mlflow_enable by itself.
        log_with_mlflow({"rows": rows}, experiment="selective_logging")
        return rows

    count_digits()


selective_logging()
