"""A DAG whose run fails, which MLflow's own `with` tells MLflow."""

from datetime import datetime

from airflow.decorators import dag, task


@dag(schedule="@once", start_date=datetime(2021, 1, 1), catchup=False, tags=["example"])
def failing():
    """Log, then divide by zero."""

    @task()
    def divides():
        import mlflow

        mlflow.set_experiment("MLflow Quickstart")
        with mlflow.start_run():
            mlflow.log_metric("rows", 0)
            mlflow.log_metric("mean", 1 / 0)

    divides()


failing()
