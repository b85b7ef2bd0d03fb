"""A DAG whose MLflow, login and all, is in a secrets backend. For Airflow 2 and 3."""

import os

try:
    from airflow.sdk import dag, task
except ImportError:
    # Airflow 2
    from airflow.decorators import dag, task  # type: ignore[no-redef]

from flowgauge.airflow import configure_mlflow, log_with_mlflow


@dag(schedule=None)
def from_vault() -> None:
    """Log with the right login, with a wrong one, and by a client that is given the right one."""

    @task
    def logs() -> None:
        assert log_with_mlflow({"rows": 1}, experiment="from a vault")

    @task
    def is_refused() -> None:
        os.environ["FLOWGAUGE_MLFLOW_CONN_ID"] = "mlflow_wrong"
        assert log_with_mlflow({"rows": 2}, experiment="from a vault") is None
        del os.environ["FLOWGAUGE_MLFLOW_CONN_ID"]

    @task
    def configures() -> None:
        os.environ["MLFLOW_TRACKING_TOKEN"] = "of another server"
        configure_mlflow()
        told = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN", "FLOWGAUGE_MLFLOW_HEADERS")
        assert [name in os.environ for name in told] == [True, False, True]
        # The next call finds them in the process.
        assert log_with_mlflow({"rows": 3}, experiment="from a vault")

    logs() >> is_refused() >> configures()


from_vault()
