"""The smallest DAG: one task logs what it did as one MLflow run."""

import os
import time

from airflow.sdk import dag, task

from flowgauge.airflow import log_with_mlflow


@dag(schedule=None, tags=["example"])
def simple_mlflow_example() -> None:
    """Count the rows of scikit-learn's wine table and log the count."""

    @task
    def log_to_mlflow() -> str | None:
        # Imported here: Airflow parses this file every few seconds.
        from sklearn.datasets import load_wine

        started = time.monotonic()
        table = load_wine(as_frame=True).frame
        return log_with_mlflow(
            {
                "rows": len(table),
                "source": "sklearn.datasets.load_wine",
                "metrics": {"duration_ms": (time.monotonic() - started) * 1000},
            },
            experiment="simple_experiment",
            tags={"environment": os.environ.get("ENV", "dev"), "source": "airflow"},
        )

    log_to_mlflow()


simple_mlflow_example()
