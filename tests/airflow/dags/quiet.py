"""A DAG that is told to leave MLflow alone, and uses it all the same."""

from airflow.sdk import dag, task
from sending import log_a_run, noted


@dag(schedule=None, params={"mlflow_enable": False})
def quiet() -> None:
    """Log a run by MLflow's own functions."""

    @task()
    def logs() -> None:
        with noted("quiet"):
            log_a_run()

    logs()


quiet()
