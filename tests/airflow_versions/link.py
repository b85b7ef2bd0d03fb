"""Write the links to MLflow that tasks offer, as Airflow's web server finds them: lines of JSON."""

import json
import sys

import airflow.models.xcom  # noqa: F401 - as a web server has long done
from airflow.models.taskinstancekey import TaskInstanceKey

from flowgauge.airflow.plugin import MlflowRunLink

dag_id, run_id, *task_ids = sys.argv[1:]
links = {
    task_id: MlflowRunLink().get_link(None, ti_key=TaskInstanceKey(dag_id, task_id, run_id))
    for task_id in task_ids
}
sys.stdout.write(f"links {json.dumps(links)}\n")
