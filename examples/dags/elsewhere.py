"""Tasks whose code does not run in a task's own process, and what each has to be told.

All runs that they start in MLflow bear DAG, task, DAG run and map index, and their requests say for
which task they are.
"""

import sys
from datetime import timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, task

from flowgauge.airflow import task_env

# Any program: it knows of MLflow only, and MLflow of flowgauge, where that is installed too.
TRAINING = """
import mlflow
mlflow.set_experiment("elsewhere")
with mlflow.start_run(run_name="by a program"):
    mlflow.log_metric("rows", 178)
"""


@dag(schedule=None, tags=["flowgauge", "example"])
def elsewhere() -> None:
    """Train in three places."""

    # What inherits the environment of its task finds all by itself: `@task.bash`,
    # `@task.external_python`, `@task.virtualenv`, a Spark driver in client mode.
    @task.external_python(python=sys.executable, execution_timeout=timedelta(minutes=5))
    def in_a_python_of_its_own() -> None:
        import mlflow

        mlflow.set_experiment("elsewhere")
        with mlflow.start_run(run_name="in a Python of its own"):
            mlflow.log_metric("rows", 178)

    # What does not has to be told, in one line. So has every container and pod:
    #   KubernetesPodOperator(env_vars=task_env(), ...)
    #   DockerOperator(environment=task_env(), ...)
    #   SparkSubmitOperator(env_vars=task_env(), ...)
    without_an_environment = BashOperator(
        task_id="without_an_environment",
        bash_command=f"{sys.executable} -c '{TRAINING}'",
        env={**task_env(), "MLFLOW_TRACKING_URI": "{{ var.value.MLFLOW_TRACKING_URI }}"},
    )

    in_a_python_of_its_own() >> without_an_environment


elsewhere()
