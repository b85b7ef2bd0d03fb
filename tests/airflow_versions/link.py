"""Write the link to the MLflow run that a task offers, as Airflow's web server finds it."""

import sys

from airflow.models.taskinstancekey import TaskInstanceKey

from flowgauge.airflow.plugin import MlflowRunLink

dag_id, task_id, run_id = sys.argv[1:]
link = MlflowRunLink().get_link(None, ti_key=TaskInstanceKey(dag_id, task_id, run_id))
sys.stdout.write(f"{link}\n")
